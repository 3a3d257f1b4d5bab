use super::*;

#[test]
fn ids_wider_than_the_column_are_refused() {
    assert_eq!("99999999".parse(), ContainerId::new(99_999_999));
    assert_eq!("100000000".parse::<ContainerId>(), Err(InvalidContainerId));
    assert_eq!(ContainerId::new(100_000_000), Err(InvalidContainerId));
}

#[test]
fn ids_that_are_not_plain_digits_are_refused() {
    for text in ["", "-1", "+1", " 1", "1 ", "0x10", "1e3", "\u{661}"] {
        assert_eq!(text.parse::<ContainerId>(), Err(InvalidContainerId), "{text:?}");
    }
}

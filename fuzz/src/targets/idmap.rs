//! Maps of ids into user namespaces.

use ubc_procfs::text::idmap::outside_of_zero;

/// What id 0 is outside stands in a line for id 0, and lines for other ids
/// before it do not matter.
///
/// # Panics
///
/// If that does not hold.
pub fn idmap(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let found = outside_of_zero(text);
    assert_eq!(outside_of_zero(&format!("1 7 1\n{text}")), found);
    let Some(outside) = found else { return };
    assert_ne!(outside, u32::MAX, "that is nobody");
    assert_eq!(outside_of_zero(&format!("{:>10} {outside:>10} {:>10}\n", 0, 1)), Some(outside));
    let stands = text.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().map(str::parse::<u32>);
        fields.next() == Some(Ok(0)) && fields.next() == Some(Ok(outside))
    });
    assert!(stands, "{outside} is made up");
}

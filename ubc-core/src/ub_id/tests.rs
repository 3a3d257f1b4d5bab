use alloc::string::ToString;

use super::*;

fn id(text: &str) -> UbId {
    text.parse().unwrap()
}

#[test]
fn text_and_id_are_the_same_both_ways() {
    for text in ["0", "101", "101.2", "1.2.3.4"] {
        assert_eq!(id(text).to_string(), text);
    }
}

#[test]
fn texts_that_name_no_beancounter_are_refused() {
    for text in ["", ".", "1.", ".1", "1..2", "1.x", "-1", "1.2.3.4.5", "100000000"] {
        assert_eq!(text.parse::<UbId>(), Err(InvalidUbId), "{text}");
    }
}

#[test]
fn a_child_knows_its_way_up() {
    let child = id("101.2.7");
    assert_eq!(child.parent(), Some(id("101.2")));
    assert_eq!(child.own().get(), 7);
    assert_eq!(child.container().get(), 101);
    assert_eq!(child.depth(), 3);
    assert_eq!(id("101").parent(), None);
    assert_eq!(id("101").own().get(), 101);
}

#[test]
fn a_hierarchy_does_not_grow_past_its_depth() {
    assert_eq!(id("1.2.3").child(ContainerId::HOST), Some(id("1.2.3.0")));
    assert_eq!(id("1.2.3.4").child(ContainerId::HOST), None);
}

#[test]
fn parents_come_before_children() {
    assert!(id("5") < id("5.0") && id("5.0") < id("5.0.9") && id("5.0.9") < id("6"));
}

#[test]
fn a_sub_beancounter_of_the_host_is_not_the_host() {
    assert!(id("0").is_host());
    assert!(!id("0.0").is_host());
}

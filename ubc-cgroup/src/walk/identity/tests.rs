use std::cmp::Ordering;
use std::io;

use proptest::prelude::*;

use super::Distinct;

#[test]
fn a_duplicate_far_away_is_not_counted_twice() {
    let mut distinct = Distinct::new(1000);
    assert_eq!(distinct.count(&[5, 1, 9, 1, 7, 5, 5], |a, b| Ok(a.cmp(&b))), 4);
    assert!(!distinct.refused && !distinct.exhausted);
}

#[test]
fn an_order_that_contradicts_itself_neither_panics_nor_hangs() {
    let mut turn = 0u32;
    let mut distinct = Distinct::new(usize::MAX);
    let names: Vec<u32> = (0..500).collect();
    let count = distinct.count(&names, |_, _| {
        turn = turn.wrapping_mul(1_103_515_245).wrapping_add(12345);
        Ok(if turn & 0x1_0000 == 0 { Ordering::Less } else { Ordering::Greater })
    });
    assert_eq!(count, 500);
}

#[test]
fn a_process_that_died_while_we_compare_is_no_refusal() {
    let mut distinct = Distinct::new(1000);
    let gone = |_, _| Err(io::Error::from_raw_os_error(libc::ESRCH));
    assert_eq!(distinct.count(&[1, 2, 3], gone), 3);
    assert!(!distinct.refused);
    let refused = |_, _| Err(io::Error::from_raw_os_error(libc::EPERM));
    assert_eq!(distinct.count(&[1, 2, 3], refused), 3);
    assert!(distinct.refused);
}

#[test]
fn a_hostile_pile_of_descriptors_stops_at_the_budget() {
    let mut distinct = Distinct::new(10);
    let mut calls = 0;
    distinct.count(&[1; 4096], |_, _| {
        calls += 1;
        Ok(Ordering::Equal)
    });
    assert_eq!(calls, 10);
    assert!(distinct.exhausted);
}

proptest! {
    #[test]
    fn the_count_is_that_of_a_set(names in prop::collection::vec(0u8..40, 0..200)) {
        let set: std::collections::HashSet<_> = names.iter().collect();
        let mut distinct = Distinct::new(usize::MAX);
        prop_assert_eq!(distinct.count(&names, |a, b| Ok(a.cmp(&b))), set.len());
    }
}

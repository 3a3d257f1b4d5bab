//! The second way to count locks, for kernels without the first.

use ubc_core::Resource::NumFlock;

use crate::common::shared::{Shared, shared};
use crate::locks;

/// Takes the first way down for all tests after it, which pass with either; so
/// it is named to run last.
#[test]
fn locks_are_counted_where_their_insertion_cannot_be_seen() {
    let Some(enforcer) = shared("locks_are_counted_where_their_insertion_cannot_be_seen") else {
        return;
    };
    take_down_first(&enforcer);
    drop(enforcer);
    locks::a_lock_broken_in_two_counts_as_two();
    locks::at_the_limit_no_lock_is_made_and_every_unlock_works();
    locks::a_lock_of_an_open_file_is_counted_with_flock_and_leases();
    locks::a_barrier_below_the_limit_stops_locks_but_no_unlock();
    locks::a_request_that_waits_is_charged_and_one_that_is_interrupted_gives_back();
    crate::storms::a_storm_at_the_limits_leaks_nothing_and_counts_every_refusal();
}

fn take_down_first(enforcer: &Shared) {
    let first = enforcer.mechanism(NumFlock).expect("one is on duty");
    if first.name == "numflock" {
        enforcer.replace(first, "the other one is tested").expect("replaced");
    }
    assert_eq!(enforcer.mechanism(NumFlock).map(|now| now.name), Some("numflock_lists"));
}

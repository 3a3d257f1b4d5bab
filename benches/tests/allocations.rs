//! What must not allocate.
#![allow(missing_docs, reason = "a test has no users")]

use allocation_counter::measure;
use ubc_core::{Beancounter, ContainerId, Resource, Severity};
use ubc_procfs::text::layout::USER_BEANCOUNTERS_LEN;
use ubc_procfs::text::table::fill_user_beancounters;

fn container() -> Beancounter {
    Beancounter::new(ContainerId::new(101).expect("a valid id"))
}

#[test]
fn a_reading_and_its_text_allocate_nothing() {
    let container = container();
    let mut text = [0; USER_BEANCOUNTERS_LEN];
    let counted = measure(|| fill_user_beancounters(&container.reading(), &mut text));
    assert_eq!(counted.count_total, 0);
    assert!(measure(|| drop(vec![1])).count_total > 0, "nothing is counted here");
}

#[test]
fn charging_allocates_nothing_with_a_stock_or_without() {
    let container = container();
    let stock = container.stock(Resource::NumFile);
    let counted = measure(|| {
        drop(container.charge(Resource::NumFile, 1, Severity::Hard));
        for _ in 0..1000 {
            assert!(stock.charge_raw(1, Severity::Hard).is_ok());
        }
    });
    assert_eq!(counted.count_total, 0);
}

use super::*;
use crate::{PerResource, Resource, Row};

/// A container that holds `held` pages against a guarantee of 100.
fn reading(id: u32, held: u64) -> Reading {
    let mut rows: PerResource<Row> = PerResource::default();
    rows[Resource::OomGuarPages] = Row { held, barrier: 100, ..Row::default() };
    Reading { id: ContainerId::new(id).unwrap(), rows }
}

fn chosen(selection: Selection) -> Option<(u32, i128)> {
    match selection {
        Selection::Container(candidate) => Some((candidate.id.get(), candidate.overdraft)),
        Selection::System => None,
    }
}

#[test]
fn a_container_exactly_at_its_guarantee_is_safe() {
    let readings = [reading(1, 100), reading(2, 99), reading(3, 0)];
    assert_eq!(chosen(Selector::new(PageSize::DEFAULT).select(&readings)), None);
    assert_eq!(order(&readings, PageSize::DEFAULT), []);
}

#[test]
fn the_largest_overdraft_pays_not_the_largest_container() {
    let mut big = reading(1, 100_000);
    big.rows[Resource::OomGuarPages].barrier = 99_999;
    let readings = [big, reading(2, 150), reading(3, 120)];
    assert_eq!(chosen(Selector::new(PageSize::DEFAULT).select(&readings)), Some((2, 50)));
}

#[test]
fn of_equals_the_first_seen_pays() {
    let readings = [reading(9, 110), reading(7, 150), reading(3, 150), reading(8, 110)];
    assert_eq!(chosen(Selector::new(PageSize::DEFAULT).select(&readings)), Some((7, 50)));
    let order: Vec<u32> =
        order(&readings, PageSize::DEFAULT).iter().map(|candidate| candidate.id.get()).collect();
    assert_eq!(order, [7, 3, 9, 8]);
}

#[test]
fn a_container_with_nobody_to_kill_does_not_stop_the_search() {
    let readings = [reading(0, 300), reading(1, 200), reading(2, 90)];
    let mut selector = Selector::new(PageSize::DEFAULT);
    let mut seen = Vec::new();
    while let Some((id, _)) = chosen(selector.select(&readings)) {
        seen.push(id);
        selector.no_killable_process(ContainerId::new(id).unwrap());
    }
    assert_eq!(seen, [0, 1], "the host is a candidate, one below its guarantee is not");
}

#[test]
fn each_retry_goes_by_the_use_of_that_moment() {
    let selector = Selector::new(PageSize::DEFAULT);
    assert_eq!(chosen(selector.select(&[reading(1, 200), reading(2, 150)])), Some((1, 100)));
    assert_eq!(chosen(selector.select(&[reading(1, 120), reading(2, 150)])), Some((2, 50)));
}

#[test]
fn selecting_and_ordering_agree() {
    let readings: Vec<Reading> =
        (0..50).map(|i| reading(i, u64::from(i * 7919 % 23) * 20)).collect();
    let mut selector = Selector::new(PageSize::DEFAULT);
    for candidate in order(&readings, PageSize::DEFAULT) {
        assert_eq!(selector.select(&readings), Selection::Container(candidate));
        selector.no_killable_process(candidate.id);
    }
    assert_eq!(selector.select(&readings), Selection::System);
}

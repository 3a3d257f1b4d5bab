use super::*;
use crate::UNLIMITED;

#[test]
fn the_guarantee_never_rescues_a_refused_charge() {
    assert_eq!(decide(Err("refused"), UNLIMITED), Allocation::Refused("refused"));
}

#[test]
fn the_guarantee_ends_just_above_its_barrier() {
    assert_eq!(decide(Ok::<_, ()>(100), 100), Allocation::Guaranteed);
    assert_eq!(decide(Ok::<_, ()>(101), 100), Allocation::BestEffort);
    assert_eq!(decide(Ok::<_, ()>(0), 0), Allocation::Guaranteed);
    assert_eq!(decide(Ok::<_, ()>(1), 0), Allocation::BestEffort);
}

#[test]
fn page_cache_is_not_counted_against_the_oom_guarantee() {
    let pages =
        UnreclaimablePages { active_anon: 1000, inactive_anon: 200, unevictable: 30, swap: 4 };
    assert_eq!(pages.held(), 1234);
}

#[test]
fn a_sum_of_page_counts_does_not_wrap() {
    let all = u64::MAX;
    let pages =
        UnreclaimablePages { active_anon: all, inactive_anon: all, unevictable: all, swap: all };
    assert_eq!(pages.held(), UNLIMITED);
}

fn rows(entries: &[(Resource, u64, u64)]) -> PerResource<Row> {
    let mut rows = PerResource::default();
    for &(resource, held, barrier) in entries {
        rows[resource] = Row { held, barrier, limit: UNLIMITED, ..Row::default() };
    }
    rows
}

#[test]
fn overdraft_counts_kernel_memory_and_all_four_buffers_in_pages() {
    use Resource::{DgramRcvBuf, KmemSize, OomGuarPages, OtherSockBuf, TcpRcvBuf, TcpSndBuf};
    let rows = rows(&[
        (OomGuarPages, 1000, 900),
        (KmemSize, 4096, 0),
        (TcpSndBuf, 4096, 0),
        (TcpRcvBuf, 4096, 0),
        (OtherSockBuf, 4096, 0),
        (DgramRcvBuf, 4096, 0),
    ]);
    assert_eq!(overdraft(&rows, PageSize::DEFAULT), 100 + 5);
}

#[test]
fn the_buffers_are_rounded_down_once_and_not_one_by_one() {
    use Resource::{DgramRcvBuf, KmemSize, OomGuarPages};
    let rows = rows(&[(OomGuarPages, 0, 0), (KmemSize, 4095, 0), (DgramRcvBuf, 1, 0)]);
    assert_eq!(overdraft(&rows, PageSize::DEFAULT), 1);
}

#[test]
fn other_resources_do_not_count_towards_the_overdraft() {
    let entries: Vec<_> =
        [Resource::DcacheSize, Resource::PrivvmPages, Resource::PhysPages, Resource::SwapPages]
            .map(|resource| (resource, 1 << 40, 0))
            .into();
    assert_eq!(overdraft(&rows(&entries), PageSize::DEFAULT), 0);
}

#[test]
fn extreme_rows_neither_wrap_nor_panic() {
    let most = PerResource::from_fn(|_| Row { held: u64::MAX, ..Row::default() });
    let one_byte_pages = PageSize::new(1).unwrap();
    assert_eq!(overdraft(&most, one_byte_pages), 6 * i128::from(u64::MAX));
    let least = rows(&[(Resource::OomGuarPages, 0, u64::MAX)]);
    assert_eq!(overdraft(&least, one_byte_pages), -i128::from(u64::MAX));
}

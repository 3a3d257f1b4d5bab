use super::*;
use crate::profiles::{Profile, VE_BASIC, VE_LIGHT};

/// A container at its limits that holds this much of each row.
fn rows(sample: Profile, held: u64) -> PerResource<Row> {
    let limits = sample.limits();
    PerResource::from_fn(|row| {
        limits[row].map_or(Row::default(), |limits| Row { held, ..Row::from_limits(limits) })
    })
}

const GIB: u64 = 1 << 30;
const HOST: Memory = Memory { ram: 4 * GIB, swap: 4 * GIB, low: GIB };

#[test]
fn the_published_samples_commit_what_they_are_known_to() {
    for (sample, kernel) in [(VE_BASIC, 22_556_180), (VE_LIGHT, 2_805_760)] {
        let shares = Shares::of(&rows(sample, 0), HOST, PageSize::DEFAULT);
        assert_eq!(shares.low_committed, Share { part: kernel, whole: 429_496_729 });
        assert_eq!(shares.low_used.part, 0);
    }
    let shares = Shares::of(&rows(VE_BASIC, 0), HOST, PageSize::DEFAULT);
    let parts = shares.columns().map(|share| share.part);
    assert_eq!(
        parts,
        [
            0,
            22_556_180,
            0,
            0,
            26_112 * 4096 + 22_556_180,
            0,
            33_792 * 4096 + 22_556_180,
            69_632 * 4096 + 22_556_180
        ]
    );
    assert!((shares.low_committed.percent() - 5.2518).abs() < 0.0001);
    assert!((shares.low_committed.mebibytes() - 21.5112).abs() < 0.0001);
}

#[test]
fn what_is_held_counts_in_its_unit_and_adds_up() {
    let one = Shares::of(&rows(VE_LIGHT, 1000), HOST, PageSize::DEFAULT);
    assert!(one.columns().into_iter().all(|share| !share.is_unlimited()));
    assert_eq!(one.low_used.part, 5000);
    for share in [one.ram_used, one.swap_used, one.allocated_used] {
        assert_eq!(share.part, 1000 * 4096 + 5000);
    }
    assert_eq!((one.ram_used.whole, one.swap_used.whole), (4 << 30, 8 << 30));
    let mut all = Shares::none(HOST);
    all += one;
    all += one;
    assert_eq!(all.low_used, Share { part: 10_000, ..one.low_used });
}

#[test]
fn no_limit_and_no_host_do_not_overflow() {
    let rows = PerResource::from_fn(|_| Row {
        held: u64::MAX,
        ..Row::from_limits(crate::Limits::UNLIMITED)
    });
    let none = Memory { ram: 0, swap: 0, low: 0 };
    let page = PageSize::new(PageSize::MAX).unwrap();
    let shares = Shares::of(&rows, none, page);
    assert!(shares.columns().into_iter().all(|share| share.percent() == 0.0));
    assert!(shares.allocated_limit.mebibytes() > 1e9 && shares.low_committed.is_unlimited());
}

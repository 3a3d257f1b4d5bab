use proptest::prelude::*;

use super::*;
use crate::profiles::{VE_BASIC, VE_LIGHT};
use crate::rules::HostMemory;

fn unrepaired(config: &Config) -> bool {
    check(config).iter().any(|finding| {
        finding.level > Level::Recommendation
            && !matches!(finding.rule, Rule::VswapWithinHost | Rule::OneContainerOfMany)
    })
}

#[test]
fn what_is_consistent_is_left_alone() {
    for sample in [VE_BASIC, VE_LIGHT] {
        let mut config = Config::new(sample.limits());
        config.avnumproc = Some(sample.avnumproc);
        assert_eq!(repair(&config), sample.limits(), "{}", sample.name);
    }
    let config = Config::new(PerResource::default());
    assert_eq!(repair(&config), config.limits, "what is not set stays so");
}

#[test]
fn a_vswap_configuration_only_loses_barriers_without_effect() {
    let mut config = Config::new(PerResource::default());
    config.host = Some(HostMemory { ram: 1, swap: 1 });
    config.limits[Resource::PhysPages] = Some(Limits { barrier: 7, limit: 100 });
    config.limits[Resource::SwapPages] = Some(Limits { barrier: 7, limit: 200 });
    let limits = repair(&config);
    assert_eq!(limits[Resource::PhysPages], Some(Limits { barrier: 0, limit: 100 }));
    assert_eq!(limits[Resource::SwapPages], Some(Limits { barrier: 0, limit: 200 }));
}

fn pair() -> impl Strategy<Value = Option<Limits>> {
    let value = || prop_oneof![4 => 0..1_000_000_u64, 1 => 0..=UNLIMITED, 1 => Just(UNLIMITED)];
    let pair = (value(), value()).prop_map(|(barrier, limit)| Limits { barrier, limit });
    prop::option::weighted(0.9, pair)
}

proptest! {
    #[test]
    fn whatever_is_broken_is_repaired_and_nothing_is_taken_away(
        pairs in prop::collection::vec(pair(), Resource::COUNT),
        avnumproc in prop::option::of(0..=UNLIMITED),
    ) {
        let mut config = Config::new(PerResource::from_fn(|row| pairs[row.index()]));
        config.avnumproc = avnumproc;
        let mut repaired = config;
        repaired.limits = repair(&config);
        prop_assert!(!unrepaired(&repaired), "{:?}", check(&repaired));
        prop_assert_eq!(repair(&repaired), repaired.limits);
        for (row, before) in config.limits.iter() {
            let after = repaired.limits[row];
            prop_assert_eq!(before.is_some(), after.is_some());
            let (Some(before), Some(after)) = (before, after) else { continue };
            prop_assert!(after.limit >= before.limit, "{row}");
            let barrier_counts = !matches!(row, Resource::PhysPages | Resource::SwapPages);
            prop_assert!(!barrier_counts || after.hard() >= before.hard(), "{row}");
        }
    }
}

//! What outlives a charge: periods, observations, snapshots, ids.

use proptest::prelude::*;
use ubc_core::{
    Beancounter, ContainerId, Defaults, Limits, Observation, Registry, Resource, Restore, Row,
    Severity,
};

use crate::naive::RESOURCES;
use crate::world::{IDS, World, steps};

const SEEN: Resource = Resource::PhysPages;

fn container() -> Beancounter {
    Beancounter::new(ContainerId::new(101).unwrap())
}

proptest! {
    #[test]
    fn a_reset_begins_at_what_is_held_and_keeps_failcnt(steps in steps(), node in 0..IDS.len()) {
        let world = World::run(&steps);
        let before = world.row(node, 0);
        world.real[node].reset_all_maxheld();
        let held = before.held;
        prop_assert_eq!(world.row(node, 0), Row { maxheld: held, minheld: held, ..before });
    }

    #[test]
    fn a_snapshot_with_held_is_the_same_registry(steps in steps()) {
        let world = World::run(&steps);
        let snapshot = world.registry.snapshot();
        // Histories may give back in a parent what a child charged; such a
        // snapshot must be refused, and only such a one.
        let sound = (0..RESOURCES.len()).all(|r| {
            let held = |node| world.row(node, r).held;
            held(1) >= held(3) + held(4) && held(3) >= held(5)
        });
        match Registry::from_snapshot(Defaults::new(), &snapshot, Restore::WithHeld) {
            Ok(registry) => {
                prop_assert!(sound);
                prop_assert_eq!(registry.snapshot(), snapshot);
            }
            Err(_) => prop_assert!(!sound),
        }
    }

    #[test]
    fn a_restore_without_held_keeps_everything_else(steps in steps()) {
        let world = World::run(&steps);
        let snapshot = world.registry.snapshot();
        let registry = Registry::from_snapshot(Defaults::new(), &snapshot, Restore::WithoutHeld).unwrap();
        for beancounter in &world.real {
            let again = registry.get(beancounter.id()).unwrap();
            for resource in RESOURCES {
                prop_assert_eq!(again.row(resource), Row { held: 0, ..beancounter.row(resource) });
            }
        }
    }

    #[test]
    fn a_restored_registry_goes_on_as_if_nothing_had_happened(first in steps(), then in steps()) {
        let mut world = World::run(&first);
        let snapshot = world.registry.snapshot();
        let Ok(registry) = Registry::from_snapshot(Defaults::new(), &snapshot, Restore::WithHeld) else {
            return Ok(());
        };
        for real in &mut world.real {
            *real = registry.get(real.id()).unwrap();
        }
        for step in then {
            world.step(step);
        }
        world.assert_same();
    }

    #[test]
    fn failcnt_of_an_observed_row_is_the_sum_of_what_the_kernel_counted(
        lives in prop::collection::vec(prop::collection::vec(0..9u64, 1..6), 1..5),
    ) {
        // In each life the kernel counts from 0. The engine sees a new life
        // by a smaller number, so a life begins below where the last ended.
        let beancounter = container();
        let (mut total, mut last) = (0, 0);
        for steps in lives {
            let mut count = 0;
            if last > 0 {
                let seen = Observation { failures: Some(0), ..Observation::default() };
                beancounter.observe(SEEN, seen).unwrap();
            }
            for step in steps {
                count += step;
                total += step;
                let seen = Observation { failures: Some(count), ..Observation::default() };
                beancounter.observe(SEEN, seen).unwrap();
                prop_assert_eq!(beancounter.row(SEEN).failcnt, total);
            }
            last = count;
        }
    }

    #[test]
    fn failcnt_of_an_observed_row_never_falls(counts in prop::collection::vec(0..50u64, 0..20)) {
        let beancounter = container();
        let mut before = 0;
        for count in counts {
            let seen = Observation { failures: Some(count), ..Observation::default() };
            beancounter.observe(SEEN, seen).unwrap();
            let now = beancounter.row(SEEN).failcnt;
            prop_assert!(now >= before && now >= count);
            before = now;
        }
    }

    #[test]
    fn maxheld_of_an_observed_row_is_the_highest_of_its_period(
        helds in prop::collection::vec(prop::option::weighted(0.9, 0..50u64), 0..40),
    ) {
        // `None` is a reset. The kernel's peak knows of no periods.
        let beancounter = container();
        let (mut held, mut peak, mut expected) = (0, 0, 0);
        for step in helds {
            if let Some(now) = step {
                held = now;
                peak = peak.max(now);
                expected = expected.max(now);
                let seen = Observation { held: Some(held), peak: Some(peak), failures: None };
                beancounter.observe(SEEN, seen).unwrap();
            } else {
                beancounter.reset_maxheld(SEEN);
                expected = held;
            }
            prop_assert_eq!(beancounter.row(SEEN).maxheld, expected);
        }
    }

    #[test]
    fn an_id_used_again_finds_its_counters_if_and_only_if_they_are_in_use(
        held in 0..5u64, peak in 0..5u64, keep in any::<bool>(),
    ) {
        let registry = Registry::new();
        let id = ContainerId::new(101).unwrap();
        let old = registry.create(id).unwrap();
        old.set_limits(SEEN, Limits::both(20).unwrap()).unwrap();
        drop(old.charge(SEEN, held + peak, Severity::Hard).unwrap());
        let charge = old.charge(SEEN, held, Severity::Hard).unwrap();
        prop_assert!(old.charge_raw(SEEN, 21, Severity::Hard).is_err());
        let before = old.row(SEEN);
        drop(old);
        let charge = if keep { Some(charge) } else { drop(charge); None };
        registry.remove(id).unwrap();
        let row = registry.get_or_create(id).unwrap().row(SEEN);
        let fresh = Row::from_limits(Limits::UNLIMITED);
        prop_assert_eq!(row, if keep { before } else { fresh });
        drop(charge);
    }
}

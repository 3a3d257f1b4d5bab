//! Deciding, counting and giving back.

use proptest::prelude::*;
use ubc_core::{ContainerId, Counter, Denied, Limits, Severity, UNLIMITED};

use crate::naive::{Outcome, RESOURCES};
use crate::world::{IDS, Step, World, amounts, bounds, charges, limits, severities, steps};

fn counter(held: u64, barrier: u64, limit: u64) -> Counter {
    let counter = Counter::new();
    counter.charge(held, Severity::Force).unwrap();
    counter.set_limits(Limits { barrier, limit }).unwrap();
    counter
}

proptest! {
    #[test]
    fn every_number_is_the_model_s_after_any_history(steps in steps()) {
        World::run(&steps).assert_same();
    }

    #[test]
    fn hard_is_accepted_up_to_the_lower_bound(held in 0..16u64, n in 0..16u64, b in bounds(), l in bounds()) {
        let fits = held + n <= b && held + n <= l;
        prop_assert_eq!(counter(held, b, l).charge(n, Severity::Hard).is_ok(), fits);
    }

    #[test]
    fn soft_is_accepted_up_to_the_limit(held in 0..16u64, n in 0..16u64, b in bounds(), l in bounds()) {
        prop_assert_eq!(counter(held, b, l).charge(n, Severity::Soft).is_ok(), held + n <= l);
    }

    #[test]
    fn force_is_always_accepted(held in 0..=UNLIMITED, n in 0..=UNLIMITED, b in bounds(), l in bounds()) {
        let counter = counter(held, b, l);
        prop_assert_eq!(counter.charge(n, Severity::Force), Ok(()));
        prop_assert_eq!(counter.held(), held + n);
    }

    #[test]
    fn a_severer_charge_that_fits_would_fit_a_milder_one(held in 0..16u64, n in 0..16u64, b in bounds(), l in bounds()) {
        let fits = |severity| counter(held, b, l).charge(n, severity).is_ok();
        prop_assert!(!fits(Severity::Hard) || fits(Severity::Soft));
        prop_assert!(!fits(Severity::Soft) || fits(Severity::Force));
    }

    #[test]
    fn no_sequence_wraps_the_counter(ns in prop::collection::vec(0..=UNLIMITED, 0..8)) {
        let counter = Counter::new();
        let mut held = 0u128;
        for n in ns {
            match counter.charge(n, Severity::Force) {
                Ok(()) => held += u128::from(n),
                Err(denied) => {
                    prop_assert!(held + u128::from(n) > u128::from(u64::MAX));
                    let full = Denied::Full { held: counter.held() };
                    prop_assert_eq!(denied, full);
                }
            }
            prop_assert_eq!(u128::from(counter.held()), held);
        }
    }

    #[test]
    fn too_large_a_charge_leaves_no_trace(n in UNLIMITED + 1.., severity in severities(), b in bounds(), l in bounds()) {
        let counter = counter(3, b, l);
        let before = counter.row();
        prop_assert_eq!(counter.charge(n, severity), Err(Denied::TooLarge));
        prop_assert_eq!(counter.row(), before);
    }

    #[test]
    fn failcnt_counts_the_loud_refusals_of_its_own_level(
        limits in prop::collection::vec(limits(), 1..8),
        charges in prop::collection::vec(charges(), 0..60),
    ) {
        let mut world = World::run(&limits);
        let mut refused = [[0; RESOURCES.len()]; IDS.len()];
        for step in charges {
            let Step::Charge { node, r, n, severity, quiet } = step else { unreachable!() };
            let outcome = world.naive.clone().charge(node, r, n, severity, quiet);
            if let (Outcome::Refused(at), false) = (outcome, quiet) {
                refused[at][r] += 1;
            }
            world.step(step);
        }
        for (node, counts) in refused.iter().enumerate() {
            for (r, count) in counts.iter().enumerate() {
                prop_assert_eq!(world.row(node, r).failcnt, *count);
            }
        }
    }

    #[test]
    fn a_quiet_ask_decides_like_a_loud_one(held in 0..16u64, n in amounts(), severity in severities(), b in bounds(), l in bounds()) {
        let (quiet, loud) = (counter(held, b, l), counter(held, b, l));
        let result = quiet.charge(n, severity.quiet());
        prop_assert_eq!(result, loud.charge(n, severity));
        let (quiet, loud) = (quiet.row(), loud.row());
        prop_assert_eq!(quiet.failcnt, 0);
        prop_assert_eq!((quiet.held, quiet.maxheld, quiet.minheld), (loud.held, loud.maxheld, loud.minheld));
    }

    #[test]
    fn a_refused_charge_changes_held_at_no_level(steps in steps(), last in charges()) {
        let mut world = World::run(&steps);
        let held = |world: &World| -> Vec<u64> {
            (0..IDS.len()).flat_map(|node| (0..RESOURCES.len()).map(move |r| (node, r)))
                .map(|(node, r)| world.row(node, r).held).collect()
        };
        let Step::Charge { node, r, n, severity, quiet } = last else { unreachable!() };
        let taken = world.naive.clone().charge(node, r, n, severity, quiet) == Outcome::Taken;
        let before = held(&world);
        world.step(last);
        prop_assert!(taken || held(&world) == before);
    }

    #[test]
    fn maxheld_is_never_below_held(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
            for node in 0..IDS.len() {
                for r in 0..RESOURCES.len() {
                    let row = world.row(node, r);
                    prop_assert!(row.maxheld >= row.held && row.minheld <= row.maxheld);
                }
            }
        }
    }

    #[test]
    fn minheld_stays_0_without_a_reset(steps in prop::collection::vec(charges(), 0..40)) {
        let world = World::run(&steps);
        for node in 0..IDS.len() {
            prop_assert_eq!(world.row(node, 0).minheld, 0);
        }
    }

    #[test]
    fn giving_back_touches_nothing_but_held(steps in steps(), node in 0..IDS.len(), n in 0..20u64) {
        let mut world = World::run(&steps);
        let before = world.row(node, 0);
        world.step(Step::Uncharge { node, r: 0, n });
        let held = before.held.saturating_sub(n);
        prop_assert_eq!(world.row(node, 0), ubc_core::Row { held, ..before });
    }

    #[test]
    fn a_shortfall_marks_exactly_the_levels_that_were_short(charged in 0..6u64, above in 0..6u64, back in 0..12u64) {
        let parent = ubc_core::Beancounter::new(ContainerId::new(1).unwrap());
        let child = parent.child(ContainerId::new(2).unwrap()).unwrap();
        child.charge_raw(RESOURCES[0], charged, Severity::Hard).unwrap();
        parent.charge_raw(RESOURCES[0], above, Severity::Hard).unwrap();
        let result = child.uncharge(RESOURCES[0], back);
        prop_assert_eq!(result.is_err(), back > charged);
        prop_assert_eq!(child.underflowed(), back > charged);
        prop_assert_eq!(parent.underflowed(), back > charged + above);
    }

    #[test]
    fn limits_may_be_set_below_what_is_held_and_take_nothing_away(steps in steps(), limits in limits()) {
        let mut world = World::run(&steps);
        let Step::Limit { node, r, barrier, limit } = limits else { unreachable!() };
        let before = world.row(node, r);
        world.step(limits);
        prop_assert_eq!(world.row(node, r), ubc_core::Row { barrier, limit, ..before });
    }

    #[test]
    fn a_parent_holds_what_it_was_charged_and_what_its_children_hold(charges in prop::collection::vec(charges(), 0..60)) {
        let mut world = World::new();
        let mut own = [[0u64; RESOURCES.len()]; IDS.len()];
        for step in charges {
            let Step::Charge { node, r, n, severity, quiet } = step else { unreachable!() };
            if world.naive.clone().charge(node, r, n, severity, quiet) == Outcome::Taken {
                own[node][r] += n;
            }
            world.step(step);
        }
        let held = |node, r| world.row(node, r).held;
        for (r, charged) in own[1].iter().enumerate() {
            prop_assert_eq!(held(1, r), charged + held(3, r) + held(4, r));
        }
        for (r, charged) in own[3].iter().enumerate() {
            prop_assert_eq!(held(3, r), charged + held(5, r));
        }
    }
}

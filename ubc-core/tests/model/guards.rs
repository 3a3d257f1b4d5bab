//! Guards, splits, transfers and sets.

use proptest::prelude::*;
use ubc_core::{Beancounter, Charge, ContainerId, Limits, Resource, Severity, UNLIMITED};

use crate::naive::{Naive, Outcome, RESOURCES};
use crate::world::{IDS, Step, World, severities, steps};

const RES: Resource = RESOURCES[0];

fn container() -> Beancounter {
    Beancounter::new(ContainerId::new(101).unwrap())
}

fn held(beancounter: &Beancounter) -> u64 {
    beancounter.row(RES).held
}

proptest! {
    #[test]
    fn guards_dropped_in_any_order_leave_nothing(
        charges in prop::collection::vec((0..IDS.len(), 0..9u64), 0..20).prop_shuffle(),
        order in any::<prop::sample::Selector>(),
    ) {
        let world = World::new();
        let charge = |(node, n): (usize, u64)| world.real[node].charge(RES, n, Severity::Hard).unwrap();
        let mut guards: Vec<Charge> = charges.iter().copied().map(charge).collect();
        let total: u64 = guards.iter().map(Charge::amount).sum();
        let tops: u64 = [0, 1, 2].map(|node| held(&world.real[node])).iter().sum();
        prop_assert_eq!(tops, total);
        while !guards.is_empty() {
            let one = order.select(0..guards.len());
            drop(guards.swap_remove(one));
            let left: u64 = guards.iter().map(Charge::amount).sum();
            let tops: u64 = [0, 1, 2].map(|node| held(&world.real[node])).iter().sum();
            prop_assert_eq!(tops, left);
        }
        for beancounter in &world.real {
            prop_assert!(held(beancounter) == 0 && !beancounter.underflowed());
        }
    }

    #[test]
    fn splits_and_merges_keep_the_sum(n in 0..100u64, cuts in prop::collection::vec(0..100u64, 0..10)) {
        let owner = container();
        let mut whole = owner.charge(RES, n, Severity::Hard).unwrap();
        let mut parts = Vec::new();
        for cut in cuts {
            let before = whole.amount();
            match whole.split(cut) {
                Some(part) => parts.push(part),
                None => prop_assert!(cut > before && whole.amount() == before),
            }
            let sum: u64 = parts.iter().map(Charge::amount).sum();
            prop_assert_eq!(whole.amount() + sum, n);
            prop_assert_eq!(held(&owner), n);
        }
        for part in parts {
            whole.merge(part).unwrap();
        }
        prop_assert_eq!(whole.amount(), n);
        drop(whole);
        prop_assert_eq!(held(&owner), 0);
    }

    #[test]
    fn forgetting_and_adopting_changes_nothing(n in 0..=UNLIMITED) {
        let owner = container();
        let amount = owner.charge(RES, n, Severity::Hard).unwrap().forget();
        let before = owner.row(RES);
        let again = Charge::adopt(&owner, RES, amount);
        prop_assert_eq!(owner.row(RES), before);
        drop(again);
        prop_assert_eq!(held(&owner), 0);
    }

    #[test]
    fn growing_is_charging_twice(first in 0..9u64, more in 0..9u64, limit in 0..16u64) {
        let owner = container();
        owner.set_limits(RES, Limits::both(limit).unwrap()).unwrap();
        if let Ok(mut charge) = owner.charge(RES, first, Severity::Hard) {
            let grown = charge.grow(more, Severity::Hard).is_ok();
            prop_assert_eq!(grown, first + more <= limit);
            prop_assert_eq!(charge.amount(), held(&owner));
        }
        prop_assert_eq!(held(&owner), 0);
    }

    #[test]
    fn a_transfer_keeps_the_units_of_every_level_both_share(
        steps in steps(), from in 0..IDS.len(), to in 0..IDS.len(), n in 0..8u64, severity in severities(),
    ) {
        let mut world = World::run(&steps);
        let shared: Vec<usize> = {
            let up = world.naive.way_up(to);
            world.naive.way_up(from).into_iter().filter(|node| up.contains(node)).collect()
        };
        let before: Vec<_> = shared.iter().map(|node| world.row(*node, 0)).collect();
        world.step(Step::Transfer { from, to, r: 0, n, severity });
        let after: Vec<_> = shared.iter().map(|node| world.row(*node, 0)).collect();
        prop_assert_eq!(before, after);
    }

    #[test]
    fn a_set_takes_everything_or_leaves_only_marks(
        wanted in prop::collection::vec((0..RESOURCES.len(), 0..9u64), 0..6),
        limits in prop::array::uniform3(0..12u64),
        severity in severities(),
    ) {
        let owner = container();
        let mut naive = Naive::default();
        naive.add(None);
        for (r, limit) in limits.into_iter().enumerate() {
            owner.set_limits(RESOURCES[r], Limits::both(limit).unwrap()).unwrap();
            naive.set_limits(0, r, limit, limit);
        }
        let list: Vec<_> = wanted.iter().map(|(r, n)| (RESOURCES[*r], *n)).collect();
        let result = owner.charge_all(&list, severity);

        let refused = wanted.iter().position(|(r, n)| naive.charge(0, *r, *n, severity, false) != Outcome::Taken);
        if let Some(done) = refused {
            for (r, n) in &wanted[..done] {
                naive.uncharge(0, *r, *n);
            }
        }
        prop_assert_eq!(result.is_err(), refused.is_some());
        for (r, resource) in RESOURCES.into_iter().enumerate() {
            prop_assert_eq!(owner.row(resource), naive.row(0, r));
        }
        drop(result);
        for resource in RESOURCES {
            prop_assert_eq!(owner.row(resource).held, 0);
        }
        prop_assert!(!owner.underflowed());
    }

    #[test]
    fn a_set_moves_as_one(amounts in prop::array::uniform3(0..9u64), room in prop::array::uniform3(0..9u64)) {
        let (from, to) = (container(), container());
        for (r, limit) in room.into_iter().enumerate() {
            to.set_limits(RESOURCES[r], Limits::both(limit).unwrap()).unwrap();
        }
        let list: Vec<_> = RESOURCES.into_iter().zip(amounts).collect();
        let mut set = from.charge_all(&list, Severity::Hard).unwrap();
        let moved = set.transfer(&to, Severity::Hard).is_ok();
        prop_assert_eq!(moved, amounts.iter().zip(room).all(|(n, room)| *n <= room));
        let (full, empty) = if moved { (&to, &from) } else { (&from, &to) };
        for (resource, n) in list {
            prop_assert_eq!((full.row(resource).held, empty.row(resource).held), (n, 0));
        }
        prop_assert!(set.owner().is(full));
    }
}

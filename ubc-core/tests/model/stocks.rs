//! Stocks change nothing that the model knows of but `maxheld` and `minheld`.

use proptest::prelude::*;
use ubc_core::{Ask, Stock, UNLIMITED};

use crate::naive::{Outcome, RESOURCES};
use crate::world::{IDS, Step, World, amounts, severities};

/// A world with a stock in front of each counter.
struct Stocked {
    world: World,
    stocks: Vec<[Stock; RESOURCES.len()]>,
    /// What was charged at each node itself: only that is given back or moved.
    own: [[u64; RESOURCES.len()]; IDS.len()],
}

impl Stocked {
    fn new() -> Stocked {
        let world = World::new();
        let stocks = world.real.iter().map(|real| RESOURCES.map(|r| real.stock(r))).collect();
        Stocked { world, stocks, own: Default::default() }
    }

    /// Does a step through a stock if it can be done through one.
    fn step(&mut self, step: Step, through: bool) {
        match step {
            Step::Charge { node, r, n, severity, quiet } => {
                let ask = Ask { severity, quiet };
                let result = if through {
                    self.stocks[node][r].charge_raw(n, ask)
                } else {
                    self.world.real[node].charge_raw(RESOURCES[r], n, ask)
                };
                self.own[node][r] += result.map_or(0, |()| n);
                let expected = self.world.naive.charge(node, r, n, severity, quiet);
                assert_eq!(self.world.outcome(result), expected, "{step:?}");
            }
            Step::Transfer { from, to, r, n, severity } => {
                let n = n.min(self.own[from][r]);
                let mut before = self.world.naive.clone();
                self.world.step(Step::Transfer { from, to, r, n, severity });
                let taken = before.transfer(from, to, r, n, severity) == Outcome::Taken;
                if taken {
                    self.own[from][r] -= n;
                    self.own[to][r] += n;
                }
            }
            Step::Uncharge { node, r, n } => {
                // Only what is there: what is not may be noticed later.
                let n = n.min(self.own[node][r]);
                self.own[node][r] -= n;
                if through {
                    self.stocks[node][r].uncharge(n).unwrap();
                    assert_eq!(self.world.naive.uncharge(node, r, n), None);
                } else {
                    self.world.step(Step::Uncharge { node, r, n });
                }
            }
            step => self.world.step(step),
        }
        self.assert_same();
    }

    fn assert_same(&self) {
        for (node, id) in IDS.iter().enumerate() {
            for (r, resource) in RESOURCES.iter().enumerate() {
                let (row, naive) = (self.world.row(node, r), self.world.naive.row(node, r));
                assert_eq!(row.held, naive.held, "held of {resource} of {id}");
                assert_eq!(row.failcnt, naive.failcnt, "failcnt of {resource} of {id}");
                assert_eq!(row.limits(), naive.limits(), "limits of {resource} of {id}");
                assert!(row.maxheld >= naive.maxheld, "maxheld of {resource} of {id}");
            }
        }
    }
}

/// Wide enough for stocks, narrow enough to be met.
fn bounds() -> impl Strategy<Value = u64> {
    prop_oneof![2 => 0..16u64, 5 => 16..80u64, 1 => Just(UNLIMITED)]
}

fn steps() -> impl Strategy<Value = Vec<(Step, bool)>> {
    let (nodes, rs) = (|| 0..IDS.len(), || 0..RESOURCES.len());
    let charge = (nodes(), rs(), amounts(), severities(), any::<bool>())
        .prop_map(|(node, r, n, severity, quiet)| Step::Charge { node, r, n, severity, quiet });
    let limit = (nodes(), rs(), bounds(), bounds())
        .prop_map(|(node, r, barrier, limit)| Step::Limit { node, r, barrier, limit });
    let step = prop_oneof![
        8 => charge,
        5 => (nodes(), rs(), 0..8u64).prop_map(|(node, r, n)| Step::Uncharge { node, r, n }),
        1 => (nodes(), nodes(), rs(), 0..8u64, severities()).prop_map(
            |(from, to, r, n, severity)| Step::Transfer { from, to, r, n, severity }
        ),
        2 => limit,
        1 => (nodes(), rs()).prop_map(|(node, r)| Step::Reset { node, r }),
    ];
    prop::collection::vec((step, prop::bool::weighted(0.7)), 0..120)
}

proptest! {
    #[test]
    fn who_is_refused_and_what_is_held_is_the_same_with_stocks(steps in steps()) {
        let mut stocked = Stocked::new();
        for (step, through) in steps {
            stocked.step(step, through);
        }
        // Nor does it show that they go.
        stocked.stocks.clear();
        stocked.assert_same();
        prop_assert!(stocked.world.real.iter().all(|real| !real.underflowed()));
    }

    #[test]
    fn a_snapshot_has_nothing_of_what_is_idle(steps in steps()) {
        let mut stocked = Stocked::new();
        for (step, through) in steps {
            stocked.step(step, through);
        }
        let with = stocked.world.registry.snapshot();
        stocked.stocks.clear();
        prop_assert_eq!(with, stocked.world.registry.snapshot());
    }

    #[test]
    fn stocks_hold_no_more_than_half_of_what_is_free(limit in 0..4000u64, ns in prop::collection::vec(1..9u64, 1..6)) {
        let container = ubc_core::Beancounter::new(ubc_core::ContainerId::new(1).unwrap());
        let limits = ubc_core::Limits::both(limit).unwrap();
        container.set_limits(RESOURCES[0], limits).unwrap();
        let stocks: Vec<Stock> = ns.iter().map(|_| container.stock(RESOURCES[0])).collect();
        let mut used = 0;
        for (stock, n) in stocks.iter().zip(ns) {
            used += if stock.charge_raw(n, ubc_core::Severity::Hard).is_ok() { n } else { 0 };
        }
        // All it ever held is what is used and what was put by.
        let row = container.row(RESOURCES[0]);
        prop_assert_eq!(row.held, used);
        prop_assert!(row.maxheld - used <= limit / 2, "{:?}", row);
    }
}

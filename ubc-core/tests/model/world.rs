//! The engine and the naive model side by side, and what is done to both.

use proptest::prelude::*;
use ubc_core::{Ask, Beancounter, ChargeError, Limits, Registry, Row, Severity, UbId};

use crate::naive::{Naive, Outcome, RESOURCES};

/// Two containers, one of them with two children and a grandchild.
pub(crate) const IDS: [&str; 6] = ["0", "101", "102", "101.1", "101.2", "101.1.1"];
const PARENTS: [Option<usize>; 6] = [None, None, None, Some(1), Some(1), Some(3)];

pub(crate) struct World {
    pub(crate) registry: Registry,
    pub(crate) real: Vec<Beancounter>,
    pub(crate) naive: Naive,
}

/// One thing done to both.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Charge { node: usize, r: usize, n: u64, severity: Severity, quiet: bool },
    Uncharge { node: usize, r: usize, n: u64 },
    Transfer { from: usize, to: usize, r: usize, n: u64, severity: Severity },
    Limit { node: usize, r: usize, barrier: u64, limit: u64 },
    Reset { node: usize, r: usize },
}

impl World {
    pub(crate) fn new() -> World {
        let registry = Registry::new();
        let mut naive = Naive::default();
        let mut real = Vec::new();
        for (text, parent) in IDS.into_iter().zip(PARENTS) {
            let id: UbId = text.parse().unwrap();
            real.push(registry.get_or_create(id).unwrap());
            naive.add(parent);
        }
        World { registry, real, naive }
    }

    /// Does one step to both; they must agree on what it came to.
    pub(crate) fn step(&mut self, step: Step) {
        match step {
            Step::Charge { node, r, n, severity, quiet } => {
                let result = self.real[node].charge_raw(RESOURCES[r], n, Ask { severity, quiet });
                let expected = self.naive.charge(node, r, n, severity, quiet);
                assert_eq!(self.outcome(result), expected, "{step:?}");
            }
            Step::Uncharge { node, r, n } => {
                let short = self.real[node].uncharge(RESOURCES[r], n).err();
                let expected = self.naive.uncharge(node, r, n);
                let at = short.map(|underflow| self.number(underflow.at));
                assert_eq!(at, expected, "{step:?}");
            }
            Step::Transfer { from, to, r, n, severity } => {
                // Only what is there: the guard's way of moving.
                let n = n.min(self.real[from].row(RESOURCES[r]).held);
                let mut charge = ubc_core::Charge::adopt(&self.real[from], RESOURCES[r], n);
                let result = charge.transfer(&self.real[to], severity);
                let owner = self.number(charge.owner().id());
                let _ = charge.forget();
                let expected = self.naive.transfer(from, to, r, n, severity);
                assert_eq!(owner, if expected == Outcome::Taken { to } else { from });
                assert_eq!(self.outcome(result), expected, "{step:?}");
            }
            Step::Limit { node, r, barrier, limit } => {
                self.real[node].set_limits(RESOURCES[r], Limits { barrier, limit }).unwrap();
                self.naive.set_limits(node, r, barrier, limit);
            }
            Step::Reset { node, r } => {
                self.real[node].reset_maxheld(RESOURCES[r]);
                self.naive.reset(node, r);
            }
        }
    }

    pub(crate) fn run(steps: &[Step]) -> World {
        let mut world = World::new();
        for step in steps {
            world.step(*step);
        }
        world
    }

    pub(crate) fn row(&self, node: usize, r: usize) -> Row {
        self.real[node].row(RESOURCES[r])
    }

    /// Every number of every row.
    pub(crate) fn assert_same(&self) {
        for (node, id) in IDS.iter().enumerate() {
            for (r, resource) in RESOURCES.iter().enumerate() {
                assert_eq!(self.row(node, r), self.naive.row(node, r), "{resource} of {id}");
            }
        }
    }

    pub(crate) fn outcome(&self, result: Result<(), ChargeError>) -> Outcome {
        match result {
            Ok(()) => Outcome::Taken,
            Err(ChargeError::Refused(refusal)) => Outcome::Refused(self.number(refusal.at)),
            Err(ChargeError::TooLarge { .. }) => Outcome::Invalid,
            Err(other) => panic!("{other}"),
        }
    }

    fn number(&self, id: UbId) -> usize {
        self.real.iter().position(|beancounter| beancounter.id() == id).unwrap()
    }
}

pub(crate) fn severities() -> impl Strategy<Value = Severity> {
    prop_oneof![Just(Severity::Hard), Just(Severity::Soft), Just(Severity::Force)]
}

/// Few values close together, so that bounds are met exactly; and the ends.
pub(crate) fn amounts() -> impl Strategy<Value = u64> {
    let max = ubc_core::UNLIMITED;
    prop_oneof![
        20 => 0..8u64,
        1 => Just(max + 1),
        1 => Just(u64::MAX),
    ]
}

pub(crate) fn bounds() -> impl Strategy<Value = u64> {
    prop_oneof![5 => 0..16u64, 1 => Just(ubc_core::UNLIMITED)]
}

pub(crate) fn charges() -> impl Strategy<Value = Step> {
    let quiet = prop::bool::weighted(0.2);
    (0..IDS.len(), 0..RESOURCES.len(), amounts(), severities(), quiet)
        .prop_map(|(node, r, n, severity, quiet)| Step::Charge { node, r, n, severity, quiet })
}

pub(crate) fn limits() -> impl Strategy<Value = Step> {
    (0..IDS.len(), 0..RESOURCES.len(), bounds(), bounds())
        .prop_map(|(node, r, barrier, limit)| Step::Limit { node, r, barrier, limit })
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let nodes = || 0..IDS.len();
    let rs = || 0..RESOURCES.len();
    let step = prop_oneof![
        6 => charges(),
        3 => (nodes(), rs(), 0..8u64).prop_map(|(node, r, n)| Step::Uncharge { node, r, n }),
        2 => (nodes(), nodes(), rs(), 0..8u64, severities()).prop_map(
            |(from, to, r, n, severity)| Step::Transfer { from, to, r, n, severity }
        ),
        2 => limits(),
        1 => (nodes(), rs()).prop_map(|(node, r)| Step::Reset { node, r }),
    ];
    prop::collection::vec(step, 0..60)
}

//! The rules of the engine written down a second time, as plainly as can be:
//! one thread, a list of nodes, the order of operations of the kernel
//! (add, compare, subtract again), 128-bit numbers that cannot overflow.

use ubc_core::{Resource, Row, Severity, UNLIMITED};

/// The resources the tests use.
pub(crate) const RESOURCES: [Resource; 3] =
    [Resource::KmemSize, Resource::NumProc, Resource::NumFile];

/// What a charge came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Taken,
    /// By the node with this number.
    Refused(usize),
    Invalid,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    held: u128,
    maxheld: u128,
    minheld: u128,
    barrier: u128,
    limit: u128,
    failcnt: u128,
}

#[derive(Clone, Debug)]
struct Node {
    parent: Option<usize>,
    cells: [Cell; RESOURCES.len()],
}

/// A forest of beancounters; a node is its position in the list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Naive {
    nodes: Vec<Node>,
}

impl Naive {
    pub(crate) fn add(&mut self, parent: Option<usize>) -> usize {
        let max = u128::from(UNLIMITED);
        let cell = Cell { held: 0, maxheld: 0, minheld: 0, barrier: max, limit: max, failcnt: 0 };
        self.nodes.push(Node { parent, cells: [cell; RESOURCES.len()] });
        self.nodes.len() - 1
    }

    /// This node, its parent, and so on.
    pub(crate) fn way_up(&self, node: usize) -> Vec<usize> {
        let mut way = vec![node];
        while let Some(parent) = self.nodes[way[way.len() - 1]].parent {
            way.push(parent);
        }
        way
    }

    pub(crate) fn charge(
        &mut self,
        node: usize,
        r: usize,
        n: u64,
        severity: Severity,
        quiet: bool,
    ) -> Outcome {
        let way = self.way_up(node);
        self.charge_way(&way, r, n, severity, quiet)
    }

    fn charge_way(
        &mut self,
        way: &[usize],
        r: usize,
        n: u64,
        severity: Severity,
        quiet: bool,
    ) -> Outcome {
        if n > UNLIMITED {
            return Outcome::Invalid;
        }
        for (done, &at) in way.iter().enumerate() {
            let cell = &mut self.nodes[at].cells[r];
            cell.held += u128::from(n);
            let refused = match severity {
                Severity::Hard => cell.held > cell.barrier || cell.held > cell.limit,
                Severity::Soft => cell.held > cell.limit,
                Severity::Force => false,
            };
            if refused {
                cell.held -= u128::from(n);
                if !quiet {
                    cell.failcnt += 1;
                }
                for &lower in &way[..done] {
                    self.nodes[lower].cells[r].held -= u128::from(n);
                }
                return Outcome::Refused(at);
            }
            cell.maxheld = cell.maxheld.max(cell.held);
            cell.minheld = cell.minheld.min(cell.held);
        }
        Outcome::Taken
    }

    /// Returns the lowest node that had less, if one had.
    pub(crate) fn uncharge(&mut self, node: usize, r: usize, n: u64) -> Option<usize> {
        let way = self.way_up(node);
        self.uncharge_way(&way, r, n)
    }

    fn uncharge_way(&mut self, way: &[usize], r: usize, n: u64) -> Option<usize> {
        let mut short = None;
        for &at in way {
            let held = &mut self.nodes[at].cells[r].held;
            if u128::from(n) > *held {
                short = short.or(Some(at));
                *held = 0;
            } else {
                *held -= u128::from(n);
            }
        }
        short
    }

    pub(crate) fn transfer(
        &mut self,
        from: usize,
        to: usize,
        r: usize,
        n: u64,
        severity: Severity,
    ) -> Outcome {
        let (old, new) = (self.way_up(from), self.way_up(to));
        let only_new: Vec<usize> = new.iter().copied().filter(|at| !old.contains(at)).collect();
        let only_old: Vec<usize> = old.iter().copied().filter(|at| !new.contains(at)).collect();
        let outcome = self.charge_way(&only_new, r, n, severity, false);
        if outcome == Outcome::Taken {
            self.uncharge_way(&only_old, r, n);
        }
        outcome
    }

    pub(crate) fn set_limits(&mut self, node: usize, r: usize, barrier: u64, limit: u64) {
        let cell = &mut self.nodes[node].cells[r];
        (cell.barrier, cell.limit) = (u128::from(barrier), u128::from(limit));
    }

    pub(crate) fn reset(&mut self, node: usize, r: usize) {
        let cell = &mut self.nodes[node].cells[r];
        (cell.maxheld, cell.minheld) = (cell.held, cell.held);
    }

    pub(crate) fn row(&self, node: usize, r: usize) -> Row {
        let cell = self.nodes[node].cells[r];
        let word = |value: u128| u64::try_from(value).unwrap();
        Row {
            held: word(cell.held),
            maxheld: word(cell.maxheld),
            minheld: word(cell.minheld),
            barrier: word(cell.barrier),
            limit: word(cell.limit),
            failcnt: word(cell.failcnt),
        }
    }
}

//! Which container pays when memory runs out.
//!
//! The container furthest above its guarantee is chosen; one at or below it is
//! never chosen while another is above. With nobody above, the system's
//! ordinary selection applies. (2.6.18 `kernel/ub/ub_oom.c`, 042stab
//! `kernel/bc/oom_kill.c`.)

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::guarantee::overdraft;
use crate::{ContainerId, PageSize, Reading};

/// A container above its guarantee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// The container.
    pub id: ContainerId,
    /// By how many pages it is above, at least 1; see
    /// [`overdraft`].
    pub overdraft: i128,
}

/// Where to look for a process to kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Selection {
    /// Among the processes of this container.
    Container(Candidate),
    /// Among all processes of the system: no container is above its
    /// guarantee, or none of those has a process that may be killed.
    System,
}

/// Every container above its guarantee, in the order in which they would be
/// chosen: largest overdraft first; of equals, the one first seen.
///
/// Containers at or below their guarantee are left out.
pub fn order<'a>(
    readings: impl IntoIterator<Item = &'a Reading>,
    page: PageSize,
) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = candidates(readings, page).collect();
    // A stable sort: equals stay as they came.
    candidates.sort_by_key(|candidate| Reverse(candidate.overdraft));
    candidates
}

fn candidates<'a>(
    readings: impl IntoIterator<Item = &'a Reading>,
    page: PageSize,
) -> impl Iterator<Item = Candidate> {
    readings
        .into_iter()
        .map(move |reading| Candidate { id: reading.id, overdraft: overdraft(&reading.rows, page) })
        .filter(|candidate| candidate.overdraft > 0)
}

/// One out-of-memory situation: selects again and again until a process was
/// killed, passing over containers that turned out to have none to kill.
///
/// Every retry takes fresh readings, as the kernel derives the overdraft anew
/// each time. A new situation needs a new selector.
///
/// # Examples
///
/// ```
/// use ubc_core::oom::{Selection, Selector};
/// use ubc_core::{ContainerId, PageSize, PerResource, Reading, Resource, Row};
///
/// let mut greedy =
///     Reading { id: ContainerId::new(101)?, rows: PerResource::from_fn(|_| Row::default()) };
/// greedy.rows[Resource::OomGuarPages].held = 10;
///
/// let mut selector = Selector::new(PageSize::DEFAULT);
/// let Selection::Container(chosen) = selector.select([&greedy]) else { panic!() };
/// assert_eq!((chosen.id, chosen.overdraft), (greedy.id, 10));
///
/// selector.no_killable_process(chosen.id);
/// assert_eq!(selector.select([&greedy]), Selection::System);
/// # Ok::<(), ubc_core::InvalidContainerId>(())
/// ```
#[derive(Clone, Debug)]
pub struct Selector {
    page: PageSize,
    passed_over: BTreeSet<ContainerId>,
}

impl Selector {
    /// A new situation: every container may be chosen.
    pub const fn new(page: PageSize) -> Selector {
        Selector { page, passed_over: BTreeSet::new() }
    }

    /// Where to kill now: the container with the largest overdraft strictly
    /// above 0, the first seen of equals, among those not passed over.
    pub fn select<'a>(&self, readings: impl IntoIterator<Item = &'a Reading>) -> Selection {
        candidates(readings, self.page)
            .filter(|candidate| !self.passed_over.contains(&candidate.id))
            .reduce(|first, next| if next.overdraft > first.overdraft { next } else { first })
            .map_or(Selection::System, Selection::Container)
    }

    /// Notes that this container has no process that may be killed: later
    /// selections pass it over.
    pub fn no_killable_process(&mut self, id: ContainerId) {
        self.passed_over.insert(id);
    }
}

#[cfg(test)]
mod tests;

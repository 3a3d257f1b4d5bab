//! From overdrafts to `oom_score_adj`.

use ubc_cgroup::oom::Domain;
use ubc_core::oom::order;
use ubc_core::{PageSize, Reading, Resource};

/// The container that is to die first: more points than any process without
/// an `oom_score_adj`, however large.
const FIRST: i32 = 1000;

/// The first of those that share a limited cgroup, when another one is first
/// on the machine.
const FIRST_HERE: i32 = 750;

/// Any other that is above its guarantee.
const OVERDRAWN: i32 = 500;

/// Points below every process that has any, but not exempt.
const LOWEST: u64 = 999;

/// A container that has a guarantee.
pub(crate) struct Contender {
    /// Its rows, as far as they count here.
    pub(crate) reading: Reading,
    /// The memory it can run out of.
    pub(crate) domains: Vec<Domain>,
}

/// The `oom_score_adj` of each contender's processes; `None`: what they would
/// have without us.
///
/// While somebody is above the guarantee, those die first, the one furthest
/// above before the others. Everybody else's processes get as many points
/// less as pages are guaranteed, so that the kernel itself sees at the moment
/// of the kill if a process has outgrown the guarantee since. While nobody is
/// above and memory is scarce, the system's ordinary selection applies.
pub(crate) fn places(contenders: &[Contender], scarce: bool) -> Vec<Option<i32>> {
    let page = PageSize::new(rustix::param::page_size() as u64).unwrap_or_default();
    let candidates = order(contenders.iter().map(|contender| &contender.reading), page);
    let position = |contender: &Contender| {
        candidates.iter().position(|candidate| candidate.id == contender.reading.id)
    };
    let place = |contender: &Contender| match position(contender) {
        Some(0) => Some(FIRST),
        Some(own) => {
            // First of one of its domains, unless somebody before it is in there.
            let is_first = |domain: &Domain| {
                !contenders.iter().any(|other| {
                    position(other).is_some_and(|at| at < own)
                        && other.domains.iter().any(|its| its.name == domain.name)
                })
            };
            let first = contender.domains.iter().any(is_first);
            Some(if first { FIRST_HERE } else { OVERDRAWN })
        }
        None if candidates.is_empty() && scarce => None,
        None => Some(discount(contender)),
    };
    contenders.iter().map(place).collect()
}

/// The guarantee in thousandths of the smallest memory that can run out,
/// rounded up.
fn discount(contender: &Contender) -> i32 {
    let guarantee = u128::from(contender.reading.rows[Resource::OomGuarPages].barrier);
    let memory = contender.domains.iter().map(|domain| domain.pages).min().unwrap_or(1);
    let share = (guarantee * 1000).div_ceil(u128::from(memory.max(1))).min(u128::from(LOWEST));
    -i32::try_from(share).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use ubc_core::{ContainerId, PerResource, Row};

    use super::*;

    fn contender(id: u32, held: u64, barrier: u64, parents: &[(&str, u64)]) -> Contender {
        let mut rows = PerResource::from_fn(|_| Row::default());
        rows[Resource::OomGuarPages] = Row { held, barrier, ..Row::default() };
        let parent =
            |(name, pages): &(&str, u64)| Domain { name: Some((*name).to_owned()), pages: *pages };
        let mut domains: Vec<Domain> = parents.iter().map(parent).collect();
        domains.push(Domain { name: None, pages: 10_000 });
        Contender { reading: Reading { id: ContainerId::new(id).unwrap(), rows }, domains }
    }

    #[test]
    fn the_furthest_overdrawn_goes_before_everybody_and_the_guaranteed_after() {
        let all = [
            contender(1, 900, 1000, &[]),
            contender(2, 300, 100, &[]),
            contender(3, 1000, 500, &[]),
            contender(4, 100, 0, &[]),
            // Exactly at it is within.
            contender(5, 2500, 2500, &[]),
        ];
        let expected = [Some(-100), Some(500), Some(1000), Some(500), Some(-250)];
        assert_eq!(places(&all, false), expected);
        assert_eq!(places(&all, true), expected);
    }

    #[test]
    fn the_first_below_a_limited_parent_goes_before_its_siblings() {
        let all = [
            contender(1, 900, 0, &[]),
            contender(2, 200, 0, &[("a", 1000)]),
            contender(3, 300, 0, &[("a/b", 500), ("a", 1000)]),
            contender(4, 250, 0, &[("c", 1000)]),
        ];
        assert_eq!(places(&all, false), [Some(1000), Some(500), Some(750), Some(750)]);
    }

    #[test]
    fn with_nobody_overdrawn_and_memory_scarce_the_ordinary_selection_applies() {
        let all = [contender(1, 900, 1000, &[]), contender(2, 0, 0, &[])];
        assert_eq!(places(&all, false), [Some(-100), Some(0)]);
        assert_eq!(places(&all, true), [None, None]);
        assert_eq!(places(&[], true), []);
    }

    #[test]
    fn a_guarantee_beyond_memory_does_not_make_anybody_immortal() {
        let all = [
            contender(1, 0, ubc_core::UNLIMITED - 1, &[]),
            contender(2, 0, 1, &[("a", 1)]),
            contender(3, 0, 1, &[]),
        ];
        assert_eq!(places(&all, false), [Some(-999), Some(-999), Some(-1)]);
    }
}

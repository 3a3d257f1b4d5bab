//! Sets of CPUs and memory nodes.

use std::collections::BTreeSet;
use std::fmt;

/// CPUs or memory nodes, 0..=4095 as OpenVZ's masks of 4096 bits held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mask {
    /// All the machine has.
    #[default]
    All,
    /// These.
    Only(Ids),
}

/// One id or more, each of 0..=4095. Prints as the kernel's list: `0-2,5`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ids(BTreeSet<u32>);

impl Ids {
    /// `None` without any id, and for one above 4095.
    pub fn new(ids: impl IntoIterator<Item = u32>) -> Option<Ids> {
        let mut set = BTreeSet::new();
        for id in ids {
            if id > 4095 {
                return None;
            }
            set.insert(id);
        }
        (!set.is_empty()).then_some(Ids(set))
    }

    /// The ids, rising.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().copied()
    }
}

impl Mask {
    /// What a cpuset file takes and prints; all is the empty text, which
    /// means "as the parent". Where tasks live the kernel takes it only of a
    /// list that was never set; then all ids there can be are written.
    pub(super) fn list(&self) -> String {
        match self {
            Mask::All => String::new(),
            Mask::Only(ids) => ids.to_string(),
        }
    }
}

impl fmt::Display for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ids = self.iter().peekable();
        let mut separator = "";
        while let Some(first) = ids.next() {
            let mut last = first;
            while ids.next_if_eq(&(last + 1)).is_some() {
                last += 1;
            }
            match last - first {
                0 => write!(f, "{separator}{first}")?,
                _ => write!(f, "{separator}{first}-{last}")?,
            }
            separator = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Ids, Mask};
    use crate::parse;

    #[test]
    fn an_empty_mask_is_not_taken_for_all() {
        assert_eq!(Ids::new([]), None);
        assert_eq!(Mask::All.list(), "");
    }

    #[test]
    fn lists_are_written_as_the_kernel_prints_them() {
        let list = |ids: &[u32]| Ids::new(ids.iter().copied()).map(|ids| ids.to_string());
        assert_eq!(list(&[5, 0, 2, 1]).as_deref(), Some("0-2,5"));
        assert_eq!(list(&[0, 1]).as_deref(), Some("0-1"));
        assert_eq!(list(&[3, 3]).as_deref(), Some("3"));
        assert_eq!(list(&[4095]).as_deref(), Some("4095"));
        assert_eq!(list(&[4096]), None);
        assert_eq!(list(&[u32::MAX]), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_the_same_ids(ids in prop::collection::vec(0_u32..4096, 1..50)) {
            let ids = Ids::new(ids).unwrap();
            let read = parse::ids(ids.to_string().as_bytes()).unwrap();
            prop_assert_eq!(read, ids.iter().collect::<Vec<_>>());
        }
    }
}

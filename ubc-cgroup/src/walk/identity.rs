//! How many different kernel objects stand behind a list of names for them.
//!
//! `kcmp` puts any two descriptors in an order that is the kernel's own (it
//! compares scrambled pointers), so the distinct ones are counted by sorting.

use std::cmp::Ordering;
use std::io;

/// Counts distinct objects with at most a given number of comparisons.
#[derive(Debug)]
pub(crate) struct Distinct {
    budget: usize,
    /// Comparisons that failed for another reason than a vanished process:
    /// the count is then of names.
    pub(crate) refused: bool,
    /// The budget ran out: the count is too high.
    pub(crate) exhausted: bool,
}

impl Distinct {
    pub(crate) fn new(budget: usize) -> Distinct {
        Distinct { budget, refused: false, exhausted: false }
    }

    /// How many of `names` name different objects.
    ///
    /// The order may change under us (a descriptor is closed and opened
    /// again between two comparisons), so this is a merge sort of our own:
    /// std's sorts may panic on an order that contradicts itself.
    pub(crate) fn count<T: Copy>(
        &mut self,
        names: &[T],
        compare: impl FnMut(T, T) -> io::Result<Ordering>,
    ) -> usize {
        self.unique(names, compare).len()
    }

    /// One name for each object.
    pub(crate) fn unique<T: Copy>(
        &mut self,
        names: &[T],
        mut compare: impl FnMut(T, T) -> io::Result<Ordering>,
    ) -> Vec<T> {
        self.sort(names, &mut compare)
    }

    /// Sorted, with one name for each object.
    fn sort<T: Copy>(
        &mut self,
        names: &[T],
        compare: &mut impl FnMut(T, T) -> io::Result<Ordering>,
    ) -> Vec<T> {
        if names.len() < 2 {
            return names.to_vec();
        }
        let (low, high) = names.split_at(names.len() / 2);
        let (low, high) = (self.sort(low, compare), self.sort(high, compare));
        let mut merged = Vec::with_capacity(low.len() + high.len());
        let (mut low, mut high) = (low.as_slice(), high.as_slice());
        while let (Some((&a, low_rest)), Some((&b, high_rest))) =
            (low.split_first(), high.split_first())
        {
            let order = self.order(a, b, compare);
            if order.is_le() {
                merged.push(a);
                low = low_rest;
            } else {
                merged.push(b);
            }
            if order.is_ge() {
                high = high_rest;
            }
        }
        merged.extend_from_slice(low);
        merged.extend_from_slice(high);
        merged
    }

    fn order<T: Copy>(
        &mut self,
        a: T,
        b: T,
        compare: &mut impl FnMut(T, T) -> io::Result<Ordering>,
    ) -> Ordering {
        if self.budget == 0 {
            self.exhausted = true;
            return Ordering::Less;
        }
        self.budget -= 1;
        compare(a, b).unwrap_or_else(|error| {
            // ESRCH and EBADF: process or descriptor went away meanwhile.
            if !matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EBADF)) {
                self.refused = true;
            }
            Ordering::Less
        })
    }
}

#[cfg(test)]
mod tests;

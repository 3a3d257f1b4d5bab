//! Pages used by several containers, divided among them.
//!
//! A page mapped by `k` containers is split in powers of one half, so that
//! the shares always add up to exactly one page and adding or removing a user
//! changes the shares of at most two others. (2.6.18 `kernel/ub/ub_page_bc.c`,
//! `kernel/bc/rss_pages.c` of the 2.6.32 patch.)
//!
//! The users of a page stand in a ring whose head has the largest share. A
//! newcomer splits the head's share in half, and both go to the tail; when a
//! user leaves, the user at the tail doubles its share and goes to the head.
//!
//! A page is a [`SharedPage`]; what containers hold of all pages together is a
//! [`PageTotals`].

use alloc::collections::{BTreeMap, VecDeque};

use crate::ContainerId;

/// One whole page, in the weights that shares are counted in: 2^24.
pub const WHOLE_PAGE: u64 = 1 << 24;

/// The container has no mapping of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("container {0} has no mapping of this page")]
pub struct NotMapped(pub ContainerId);

/// One user of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct User {
    id: ContainerId,
    /// Its share is `WHOLE_PAGE >> shift`.
    shift: u32,
    /// Mappings it has; more than one changes nothing but this.
    mappings: u64,
}

/// One page and its users.
///
/// Shares are exact up to 2^24 containers on one page; from the next one on
/// a share would be less than a weight can express and counts as nothing.
///
/// # Examples
///
/// ```
/// use ubc_core::ContainerId;
/// use ubc_core::shares::{PageTotals, SharedPage, WHOLE_PAGE};
///
/// let (a, b) = (ContainerId::new(101)?, ContainerId::new(102)?);
/// let (mut page, mut totals) = (SharedPage::new(), PageTotals::new());
/// page.map(a, &mut totals);
/// page.map(b, &mut totals);
/// assert_eq!(page.share(a), WHOLE_PAGE / 2);
/// assert_eq!(totals.pages(a), 0, "half a page is shown as none");
///
/// page.unmap(b, &mut totals)?;
/// assert_eq!(totals.pages(a), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct SharedPage {
    /// Head first. Shifts never fall from head to tail and differ by at most
    /// one.
    ring: VecDeque<User>,
}

impl SharedPage {
    /// A page nobody uses.
    pub const fn new() -> SharedPage {
        SharedPage { ring: VecDeque::new() }
    }

    /// A container maps the page once more; its first mapping makes it a user.
    pub fn map(&mut self, id: ContainerId, totals: &mut PageTotals) {
        if let Some(user) = self.ring.iter_mut().find(|user| user.id == id) {
            user.mappings += 1;
            return;
        }
        let shift = match self.ring.pop_front() {
            None => 0,
            Some(mut head) => {
                totals.take(head.id, weight(head.shift));
                head.shift += 1;
                totals.add(head.id, weight(head.shift));
                self.ring.push_back(head);
                head.shift
            }
        };
        totals.add(id, weight(shift));
        self.ring.push_back(User { id, shift, mappings: 1 });
    }

    /// A container gives up one mapping; with its last one it stops being a
    /// user.
    ///
    /// # Errors
    ///
    /// The container has no mapping of this page; nothing changed.
    pub fn unmap(&mut self, id: ContainerId, totals: &mut PageTotals) -> Result<(), NotMapped> {
        let place = self.ring.iter().position(|user| user.id == id).ok_or(NotMapped(id))?;
        if self.ring[place].mappings > 1 {
            self.ring[place].mappings -= 1;
            return Ok(());
        }
        let Some(gone) = self.ring.remove(place) else { return Err(NotMapped(id)) };
        totals.take(id, weight(gone.shift));
        // The freed share goes to the tail; where the tail had half of it,
        // the next tail gets the other half.
        if self.promote_tail(totals).is_some_and(|shift| shift > gone.shift) {
            self.promote_tail(totals);
        }
        Ok(())
    }

    /// Doubles the share of the user at the tail and makes it the head.
    /// Returns its old shift.
    fn promote_tail(&mut self, totals: &mut PageTotals) -> Option<u32> {
        let mut tail = self.ring.pop_back()?;
        let old = tail.shift;
        totals.take(tail.id, weight(old));
        // A user left, so the tail shared the page: its shift is above 0.
        tail.shift = old.saturating_sub(1);
        totals.add(tail.id, weight(tail.shift));
        self.ring.push_front(tail);
        Some(old)
    }

    /// A container's share of the page, 0 to [`WHOLE_PAGE`].
    pub fn share(&self, id: ContainerId) -> u64 {
        self.shares().find(|&(user, _)| user == id).map_or(0, |(_, share)| share)
    }

    /// Every user with its share, from the head of the ring to the tail:
    /// largest shares first. Together they are exactly one [`WHOLE_PAGE`].
    pub fn shares(&self) -> impl ExactSizeIterator<Item = (ContainerId, u64)> {
        self.ring.iter().map(|user| (user.id, weight(user.shift)))
    }

    /// Whether nobody uses the page.
    pub fn is_unused(&self) -> bool {
        self.ring.is_empty()
    }
}

fn weight(shift: u32) -> u64 {
    WHOLE_PAGE.checked_shr(shift).unwrap_or(0)
}

/// What each container holds of all pages together.
///
/// A page's changes must always go to the same totals: they add and take what
/// that page contributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageTotals(BTreeMap<ContainerId, u64>);

impl PageTotals {
    /// Nobody holds anything.
    pub const fn new() -> PageTotals {
        PageTotals(BTreeMap::new())
    }

    /// The whole pages a container holds: its weight, rounded down, as the
    /// kernel showed it. Rounding loses less than one page per container, not
    /// per page.
    pub fn pages(&self, id: ContainerId) -> u64 {
        self.weight(id) / WHOLE_PAGE
    }

    /// The sum of a container's shares, in units of a [`WHOLE_PAGE`]'s
    /// 2^24th part.
    pub fn weight(&self, id: ContainerId) -> u64 {
        self.0.get(&id).copied().unwrap_or(0)
    }

    /// Every container that holds anything, with its weight, by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (ContainerId, u64)> {
        self.0.iter().map(|(&id, &weight)| (id, weight))
    }

    fn add(&mut self, id: ContainerId, weight: u64) {
        let total = self.0.entry(id).or_default();
        *total = total.saturating_add(weight);
    }

    fn take(&mut self, id: ContainerId, weight: u64) {
        if let Some(total) = self.0.get_mut(&id) {
            *total = total.saturating_sub(weight);
            if *total == 0 {
                self.0.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests;

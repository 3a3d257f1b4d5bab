//! Full ids: a container, or a sub-beancounter inside one.

use core::fmt;
use core::str::FromStr;

use crate::{ContainerId, InvalidContainerId};

/// The full id of a beancounter: a container's, or the way from a container
/// down to a sub-beancounter.
///
/// OpenVZ keyed sub-beancounters by (parent, id) and printed them as
/// `parent.child` (2.6.18 `kernel/ub/ub_proc.c`); so does this: `101`,
/// `101.2`. Ids order parents before their children.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(try_from = "alloc::string::String", into = "alloc::string::String")
)]
pub struct UbId {
    top: ContainerId,
    /// The ids below `top`; `None` from the first unused level on.
    below: [Option<ContainerId>; UbId::MAX_DEPTH - 1],
}

/// A text that is no full id, or one that goes too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a beancounter id is 1 to {} container ids joined by dots, such as 101 or 101.2",
    UbId::MAX_DEPTH
)]
pub struct InvalidUbId;

impl UbId {
    /// The most levels a hierarchy has, the container's included. It bounds
    /// what one charge can cost.
    pub const MAX_DEPTH: usize = 4;

    /// The host's.
    pub const HOST: UbId = UbId::top(ContainerId::HOST);

    /// A container's.
    pub const fn top(id: ContainerId) -> UbId {
        UbId { top: id, below: [None; UbId::MAX_DEPTH - 1] }
    }

    /// The id of a sub-beancounter of this one; `None` below the last level.
    #[must_use]
    pub fn child(mut self, id: ContainerId) -> Option<UbId> {
        *self.below.iter_mut().find(|level| level.is_none())? = Some(id);
        Some(self)
    }

    /// The id of the beancounter above; `None` for a container.
    #[must_use]
    pub fn parent(mut self) -> Option<UbId> {
        *self.below.iter_mut().rfind(|level| level.is_some())? = None;
        Some(self)
    }

    /// The container at the top.
    pub const fn container(self) -> ContainerId {
        self.top
    }

    /// The last number: this beancounter's own among its siblings.
    pub fn own(self) -> ContainerId {
        self.below.into_iter().flatten().last().unwrap_or(self.top)
    }

    /// How many levels, 1 (a container) to [`UbId::MAX_DEPTH`].
    pub fn depth(self) -> usize {
        1 + self.below.into_iter().flatten().count()
    }

    /// Whether this is the host itself.
    pub fn is_host(self) -> bool {
        self == UbId::HOST
    }
}

impl From<ContainerId> for UbId {
    fn from(id: ContainerId) -> UbId {
        UbId::top(id)
    }
}

impl FromStr for UbId {
    type Err = InvalidUbId;

    fn from_str(text: &str) -> Result<UbId, InvalidUbId> {
        let mut ids =
            text.split('.').map(|part| part.parse().map_err(|InvalidContainerId| InvalidUbId));
        let top = ids.next().ok_or(InvalidUbId)??;
        ids.try_fold(UbId::top(top), |id, part| id.child(part?).ok_or(InvalidUbId))
    }
}

impl fmt::Display for UbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.top)?;
        self.below.into_iter().flatten().try_for_each(|id| write!(f, ".{id}"))
    }
}

impl fmt::Debug for UbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UbId({self})")
    }
}

#[cfg(feature = "serde")]
impl TryFrom<alloc::string::String> for UbId {
    type Error = InvalidUbId;

    fn try_from(text: alloc::string::String) -> Result<UbId, InvalidUbId> {
        text.parse()
    }
}

#[cfg(feature = "serde")]
impl From<UbId> for alloc::string::String {
    fn from(id: UbId) -> Self {
        alloc::string::ToString::to_string(&id)
    }
}

#[cfg(test)]
mod tests;

//! Container ids.

use core::fmt;
use core::str::FromStr;

/// A container's number (OpenVZ's CTID), 0 to 99999999; 0 is the host.
///
/// Eight digits are what fits the first column of
/// `/proc/user_beancounters` with the leading blank many readers ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "u32", into = "u32"))]
pub struct ContainerId(u32);

/// A text or number that is no container id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a container id is a whole number from 0 to {}, at most 8 digits", ContainerId::MAX)]
pub struct InvalidContainerId;

impl ContainerId {
    /// The host itself.
    pub const HOST: ContainerId = ContainerId(0);

    /// The largest id.
    pub const MAX: u32 = 99_999_999;

    /// The id with this number.
    ///
    /// # Errors
    ///
    /// A number above [`ContainerId::MAX`].
    pub const fn new(id: u32) -> Result<ContainerId, InvalidContainerId> {
        if id > Self::MAX { Err(InvalidContainerId) } else { Ok(ContainerId(id)) }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Whether this is the host (id 0).
    pub const fn is_host(self) -> bool {
        self.0 == 0
    }
}

impl TryFrom<u32> for ContainerId {
    type Error = InvalidContainerId;

    fn try_from(id: u32) -> Result<Self, InvalidContainerId> {
        Self::new(id)
    }
}

impl From<ContainerId> for u32 {
    fn from(id: ContainerId) -> u32 {
        id.0
    }
}

impl FromStr for ContainerId {
    type Err = InvalidContainerId;

    /// Decimal digits only: no sign, no blanks.
    fn from_str(text: &str) -> Result<Self, InvalidContainerId> {
        if text.is_empty() || text.len() > 8 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidContainerId);
        }
        text.parse().map_err(|_| InvalidContainerId).and_then(Self::new)
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests;

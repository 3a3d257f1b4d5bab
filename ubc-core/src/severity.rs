//! How hard a charge insists.

use core::fmt;

/// How far a charge may go (OpenVZ `UB_HARD`, `UB_SOFT`, `UB_FORCE`).
///
/// Decided for the use *after* the charge, `h`, with barrier `b` and limit
/// `l` (042stab `kernel/bc/beancounter.c`); reaching a bound is allowed:
///
/// |       | h <= b, h <= l | b < h <= l | l < h <= b | h > b, h > l |
/// |-------|----------------|------------|------------|--------------|
/// | Hard  | yes            | no         | no         | no           |
/// | Soft  | yes            | yes        | no         | no           |
/// | Force | yes            | yes        | yes        | yes          |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Severity {
    /// Refused above the barrier, and above the limit.
    Hard,
    /// Refused above the limit: may use the reserve over the barrier.
    Soft,
    /// Never refused. For what cannot fail any more.
    Force,
}

/// A severity, and whether a refusal is counted: what every charge takes.
///
/// A plain [`Severity`] converts into one that counts, so
/// `charge(NumProc, 1, Severity::Hard)` reads as it should;
/// `Severity::Hard.quiet()` is OpenVZ's `UB_HARD | UB_TEST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ask {
    /// How far the charge may go.
    pub severity: Severity,
    /// A refusal does not raise `failcnt` (OpenVZ `UB_TEST`). An *accepted*
    /// quiet charge is a charge like any other.
    pub quiet: bool,
}

impl Severity {
    /// The same severity, but a refusal is not counted (OpenVZ `UB_TEST`).
    ///
    /// For callers that try something else first and count the failure
    /// themselves if that does not help:
    /// [`Beancounter::count_refusal`](crate::Beancounter::count_refusal).
    pub const fn quiet(self) -> Ask {
        Ask { severity: self, quiet: true }
    }
}

impl From<Severity> for Ask {
    fn from(severity: Severity) -> Ask {
        Ask { severity, quiet: false }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Hard => "hard",
            Severity::Soft => "soft",
            Severity::Force => "force",
        })
    }
}

#[cfg(test)]
mod tests;

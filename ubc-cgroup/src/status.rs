//! What is true of each row here: how it is measured, and who refuses.

use std::borrow::Cow;
use std::fmt;

/// How near a measured number is to the beancounter's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// The same thing is counted.
    Exact,
    /// Something slightly different is counted; docs/meters.md says what.
    Near,
    /// The truth is this or more.
    Lower,
    /// The truth is this or less.
    Upper,
}

/// How a row is measured.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Metered {
    /// From this source.
    By {
        /// `memory.current`, `sock_diag + fds`.
        source: Cow<'static, str>,
        /// How near.
        bound: Bound,
    },
    /// Not at all, for this reason.
    Absent(Cow<'static, str>),
}

/// Who refuses the operation that goes over the row's limit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Enforced {
    /// The kernel, through this file.
    By {
        /// `pids.max`.
        file: &'static str,
        /// Whether a refusal was seen on this kernel ([`crate::Host::self_test`]).
        proven: bool,
    },
    /// A program of ours in the kernel, of this name; its refusal was seen
    /// on this kernel ([`crate::Programs`]).
    Program(&'static str),
    /// Nobody refuses; a promise is kept through these: `memory.low,
    /// oom_score_adj`. docs/guarantees.md says how far each binds.
    Guarantee(&'static str),
    /// The row is measured and its limit is not applied.
    ObservedOnly(Cow<'static, str>),
}

/// What is true of one row on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RowStatus {
    /// How it is measured.
    pub metered: Metered,
    /// Who refuses.
    pub enforced: Enforced,
}

impl Metered {
    /// Measured from `source`, the same thing as the beancounter.
    pub const fn exact(source: &'static str) -> Metered {
        Metered::By { source: Cow::Borrowed(source), bound: Bound::Exact }
    }

    /// Whether the row has a number at all.
    pub const fn is_present(&self) -> bool {
        matches!(self, Metered::By { .. })
    }
}

impl Enforced {
    /// Whether going over the limit is refused here.
    pub const fn is_enforced(&self) -> bool {
        matches!(self, Enforced::By { .. } | Enforced::Program(_))
    }
}

impl fmt::Display for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Metered::By { source, bound: Bound::Exact } => f.pad(source),
            Metered::By { source, bound: Bound::Near } => f.pad(&format!("{source} (near)")),
            Metered::By { source, bound: Bound::Lower } => {
                f.pad(&format!("{source} (lower bound)"))
            }
            Metered::By { source, bound: Bound::Upper } => {
                f.pad(&format!("{source} (upper bound)"))
            }
            Metered::Absent(reason) => f.pad(&format!("absent: {reason}")),
        }
    }
}

impl fmt::Display for Enforced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Enforced::By { file, proven: true } => f.pad(file),
            Enforced::By { file, proven: false } => f.pad(&format!("{file} (untested)")),
            Enforced::Program(mechanism) => f.pad(&format!("bpf {mechanism}")),
            Enforced::Guarantee(file) => f.pad(&format!("guarantee: {file}")),
            Enforced::ObservedOnly(reason) => f.pad(&format!("observed only: {reason}")),
        }
    }
}

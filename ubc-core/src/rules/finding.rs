//! What checking a configuration finds.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::Rule;
use crate::{Resource, UNLIMITED};

/// How much a broken rule matters, least first.
///
/// (vzcfgvalidate's words for it are the same; "severity" is taken by charges.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// It would run better otherwise.
    Recommendation,
    /// It runs, slowly or with a promise that is not kept.
    Warning,
    /// It will fail in the middle of operations.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::Recommendation => "recommendation",
            Level::Warning => "warning",
            Level::Error => "error",
        })
    }
}

/// A rule the configuration breaks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// How much it matters.
    pub level: Level,
    /// The resources whose limits are in conflict; the one to change first.
    pub resources: Vec<Resource>,
    /// What is wrong, with the actual numbers, in one line.
    pub message: String,
}

impl fmt::Display for Finding {
    /// `error: <message> (rule 7: <reason>)`, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { rule, level, message, .. } = self;
        write!(f, "{level}: {message} (rule {}: {})", rule.number(), rule.reason())
    }
}

/// A value in a message: the maximum reads "unlimited".
pub(super) struct Shown(pub(super) u64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            UNLIMITED => f.write_str("unlimited"),
            value => write!(f, "{value}"),
        }
    }
}

//! Why a text is no value.

use std::fmt;

use ubc_core::{LimitsError, Unit};

use super::rate::{Bare, MOST_BYTES_PER_SECOND};
use crate::text::excerpt;

/// A text that is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError {
    /// The text: quoted, escaped and shortened.
    pub given: String,
    /// What is wrong with it.
    pub reason: Reason,
    /// What was asked for.
    pub form: Form,
}

/// What a value was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `barrier[:limit]` of a resource counted in this unit.
    Limits(Unit),
    /// The size given to `--ram` or `--swap`.
    Memory,
    /// The rate given to `--iolimit`, with what a bare number means.
    Rate(Bare),
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// There is nothing, or nothing on one side of the colon.
    #[error("a value is missing")]
    Empty,
    /// Not digits, at most one point and at most one suffix.
    #[error("not a number")]
    NotANumber,
    /// A suffix nobody knows.
    #[error("unknown suffix {0:?}")]
    UnknownSuffix(char),
    /// A suffix where pieces are counted.
    #[error("a count has no suffix {0:?}")]
    SuffixOnCount(char),
    /// A fraction of the unit itself.
    #[error("a fraction needs a suffix")]
    FractionWithoutSuffix,
    /// More than 18 digits after the point.
    #[error("more than 18 digits after the point")]
    TooManyDecimals,
    /// More than 64 bits hold.
    #[error("above 18446744073709551615")]
    TooLarge,
    /// More than vzctl takes.
    #[error("above {MOST_BYTES_PER_SECOND} bytes per second")]
    RateTooLarge,
    /// Two values that cannot be set together.
    #[error("{0}")]
    Limits(#[source] LimitsError),
}

impl ValueError {
    pub(super) fn new(given: &str, reason: Reason, form: Form) -> ValueError {
        ValueError { given: excerpt(given.as_bytes()), reason, form }
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ValueError { given, reason, form } = self;
        write!(f, "{given}: {reason}")?;
        // This one says itself what would be accepted.
        if let Reason::Limits(_) = reason {
            return Ok(());
        }
        write!(f, "; accepted: {form}")
    }
}

impl std::error::Error for ValueError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.reason {
            Reason::Limits(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scaled = match self {
            Form::Limits(Unit::Count) => {
                return f.write_str("a whole number or \"unlimited\", once or as barrier:limit");
            }
            Form::Limits(unit) => format!("a whole number of {unit}"),
            Form::Memory => "a whole number of bytes".to_owned(),
            Form::Rate(bare) => {
                f.write_str(match bare {
                    Bare::Megabytes => "megabytes per second",
                    Bare::Bytes => "bytes per second",
                })?;
                return f.write_str(
                    ", a number of bytes with G, M, K or B such as 2.5M, or 0 or \"unlimited\"",
                );
            }
        };
        write!(f, "{scaled}, a number with T, G, M, K, P or B such as 2.2G, or \"unlimited\"")?;
        match self {
            Form::Limits(_) => f.write_str(", once or as barrier:limit"),
            Form::Memory | Form::Rate(_) => Ok(()),
        }
    }
}

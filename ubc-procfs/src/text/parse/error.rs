//! Why a text is no resource table.

use crate::text::excerpt;

/// A text that is no resource table, or a larger one than was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected {expected}, found {found}")]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What would be accepted there.
    pub expected: String,
    /// What is there: quoted, escaped and shortened.
    pub found: String,
}

impl ParseError {
    pub(super) fn new(line: usize, expected: impl Into<String>, found: &[u8]) -> ParseError {
        ParseError { line, expected: expected.into(), found: excerpt(found) }
    }

    /// The text ended where more was expected.
    pub(super) fn end(line: usize, expected: impl Into<String>) -> ParseError {
        ParseError { line, expected: expected.into(), found: "the end".to_owned() }
    }
}

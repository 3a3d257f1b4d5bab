//! What can be wrong with a file.

use std::io;
use std::path::PathBuf;

/// A line that cannot be taken as it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {key}: {reason}")]
pub struct Malformed {
    /// Its number, from 1.
    pub line: usize,
    /// The parameter, or the beginning of the line where there is none.
    pub key: String,
    /// What is wrong, and what would be accepted.
    pub reason: String,
}

/// Why a file could not be read, understood or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system did not let us.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// `read`, `write`, `lock`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is wrong.
    #[error("{}, {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line.
        source: Malformed,
    },
    /// No sample has this name.
    #[error("no sample {name:?}; accepted: {}", known.join(", "))]
    NoSample {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl Fn(io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io { action, path: path.clone(), source }
    }
}

/// A piece of a file fit for a message: escaped, shortened, on one line.
pub(crate) fn excerpt(text: &[u8]) -> String {
    const MOST: usize = 40;
    let shown = text.get(..MOST).unwrap_or(text);
    let dots = if shown.len() < text.len() { "..." } else { "" };
    format!("\"{}{dots}\"", shown.escape_ascii())
}

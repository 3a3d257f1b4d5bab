//! What can go wrong, by kind and in one line.

use std::fmt;

/// What kind of thing went wrong: what a caller may want to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value or a name is wrong, or the thing asked for makes no sense.
    Invalid,
    /// There is no such container or process, or it has ended.
    NotFound,
    /// The id, the cgroup or the container's /proc is taken.
    InUse,
    /// This machine lacks something: cgroup v2, FUSE, programs that refuse.
    Unavailable,
    /// The caller is not root.
    NoPermission,
    /// A limit cannot be imposed here.
    Limit,
    /// The system refused something.
    System,
    /// A fault of this library's own.
    Internal,
}

/// One clear line, and what kind of failure it is.
///
/// Whatever failed has changed nothing, unless the function says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure with this line; control characters are shown escaped.
    pub(crate) fn new(kind: ErrorKind, message: impl fmt::Display) -> Error {
        Error { kind, message: one_line(&message.to_string()) }
    }

    pub(crate) fn invalid(message: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn system(message: impl fmt::Display) -> Error {
        Error::new(ErrorKind::System, message)
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// A text on one line that drives no terminal: texts from containers and the
/// kernel may have been chosen to.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.trim_end().chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_cannot_forge_a_line_or_drive_the_terminal() {
        let error = Error::invalid("no cgroup a\nubc: all is well\u{1b}[2J\n");
        assert_eq!(error.to_string(), "no cgroup a\\nubc: all is well\\u{1b}[2J");
    }
}

//! What can go wrong, by kind and in one line.

use std::fmt;
use std::io;

use rustix::io::Errno;
use ubc_cgroup::ubc_bpf;

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

/// Whether something failed for want of what may come back: memory, descriptors, an answer of
/// a disk.
pub(crate) fn may_pass(error: &(dyn std::error::Error + 'static)) -> bool {
    const PASS: [Errno; 8] = [
        Errno::AGAIN,
        Errno::INTR,
        Errno::IO,
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::NOSPC,
    ];
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|cause| {
        let number = cause.downcast_ref().and_then(io::Error::raw_os_error);
        PASS.iter().any(|errno| number == Some(errno.raw_os_error()))
            || cause.downcast_ref().is_some_and(ubc_bpf::Error::may_pass)
    })
}

/// A text on one line that drives no terminal: texts from containers and the
/// kernel may have been chosen to.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.trim_end().chars() {
        if is_active(c) { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// Whether a character does something to a terminal or a line instead of being
/// seen: control characters, also the second set of them (U+0080 to U+009F),
/// line separators, and those of Unicode's format characters that hide text or
/// turn its order around.
pub fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_come_back_is_waited_for() {
        let failed = |errno: Errno| {
            ubc_cgroup::Error::Programs(ubc_cgroup::ubc_bpf::Error::Io {
                path: "/sys/fs/bpf".into(),
                source: errno.into(),
            })
        };
        assert!(may_pass(&failed(Errno::NOMEM)) && may_pass(&failed(Errno::MFILE)));
        assert!(!may_pass(&failed(Errno::PERM)) && !may_pass(&failed(Errno::NOENT)));
        assert!(!may_pass(&ubc_cgroup::Error::NoCgroup2));
    }

    #[test]
    fn a_hostile_name_cannot_forge_a_line_or_drive_the_terminal() {
        let error = Error::invalid("no cgroup a\nubc: all is well\u{1b}[2J\n");
        assert_eq!(error.to_string(), "no cgroup a\\nubc: all is well\\u{1b}[2J");
        // The same begin of a sequence in one character; an order turned around; a
        // line's end that only some know.
        assert_eq!(one_line("a\u{9b}2Jb"), "a\\u{9b}2Jb");
        assert_eq!(one_line("\u{202e}b\u{2066}a\u{2028}"), "\\u{202e}b\\u{2066}a");
        assert_eq!(one_line("\u{feff}\u{200b}\u{7f}"), "\\u{feff}\\u{200b}\\u{7f}");
        let harmless = "na\u{ef}ve \u{65e5}\u{672c} \u{1f980}";
        assert_eq!(one_line(harmless), harmless);
    }
}

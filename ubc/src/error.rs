//! What can go wrong, and the exit code of each kind.

use std::process::ExitCode;

use ubc_node::ErrorKind;
pub(crate) use ubc_node::{is_active, one_line};

/// The exit codes, after `sysexits.h`, so that they stay clear of those of
/// most commands that `ubc run` passes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// 64: the command line or a value is wrong.
    Usage,
    /// 65: a configuration file is wrong, or contradicts itself.
    Config,
    /// 66: there is no such container.
    NoContainer,
    /// 69: this machine lacks something: cgroup v2, FUSE, a runtime.
    Unavailable,
    /// 70: a fault of ours.
    Software,
    /// 71: the system refused something.
    System,
    /// 73: the container id is in use.
    InUse,
    /// 76: the daemon speaks another version.
    Protocol,
    /// 77: needs root.
    NoPermission,
    /// 78: a limit cannot be imposed here.
    Limit,
}

impl Kind {
    /// The exit code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Kind::Usage => 64,
            Kind::Config => 65,
            Kind::NoContainer => 66,
            Kind::Unavailable => 69,
            Kind::Software => 70,
            Kind::System => 71,
            Kind::InUse => 73,
            Kind::Protocol => 76,
            Kind::NoPermission => 77,
            Kind::Limit => 78,
        }
    }
}

/// One clear line, and what kind of failure it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) message: String,
}

impl Failure {
    /// A failure with this line; control characters are shown escaped.
    pub(crate) fn new(kind: Kind, message: impl std::fmt::Display) -> Failure {
        Failure { kind, message: one_line(&message.to_string()) }
    }

    pub(crate) fn usage(message: impl std::fmt::Display) -> Failure {
        Failure::new(Kind::Usage, message)
    }

    pub(crate) fn system(message: impl std::fmt::Display) -> Failure {
        Failure::new(Kind::System, message)
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        self.kind.code().into()
    }
}

impl From<ubc_node::Error> for Failure {
    fn from(error: ubc_node::Error) -> Failure {
        let kind = match error.kind() {
            ErrorKind::Invalid => Kind::Usage,
            ErrorKind::NotFound => Kind::NoContainer,
            ErrorKind::InUse => Kind::InUse,
            ErrorKind::Unavailable => Kind::Unavailable,
            ErrorKind::NoPermission => Kind::NoPermission,
            ErrorKind::Limit => Kind::Limit,
            ErrorKind::System => Kind::System,
            _ => Kind::Software,
        };
        Failure::new(kind, error)
    }
}

/// What commands return.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_cannot_forge_a_line_or_drive_the_terminal() {
        let failure = Failure::usage("no cgroup a\nubc: all is well\u{1b}[2J\n");
        assert_eq!(failure.to_string(), "no cgroup a\\nubc: all is well\\u{1b}[2J");
    }
}

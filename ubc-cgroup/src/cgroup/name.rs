//! Names of cgroups.

use std::fmt;

/// The path of a cgroup below the mount: `101`, `ubc/101`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CgroupName(String);

/// Why a text names no container's cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The root cgroup is the machine, not a container.
    #[error("is empty; the root cgroup is no container")]
    Empty,
    /// `.` or `..` as a component.
    #[error("has a component \".\" or \"..\"")]
    Dots,
    /// A newline or NUL, which the kernel refuses in a cgroup's name.
    #[error("has a newline or NUL in it")]
    ControlByte,
    /// A component longer than the kernel's 255 bytes.
    #[error("has a component longer than 255 bytes")]
    TooLong,
    /// More nested than any container.
    #[error("has more than 32 components")]
    TooDeep,
    /// A name of a control file: `cgroup.procs`, `memory.max`.
    #[error("has a component that reads like a control file (cgroup.*)")]
    ControlFile,
}

impl CgroupName {
    /// Checks a path below the mount; slashes at both ends and double ones
    /// do not matter.
    ///
    /// # Errors
    ///
    /// See [`InvalidName`].
    pub fn new(text: &str) -> Result<CgroupName, InvalidName> {
        if text.contains(['\n', '\0']) {
            return Err(InvalidName::ControlByte);
        }
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
        if parts.is_empty() {
            return Err(InvalidName::Empty);
        }
        if parts.len() > 32 {
            return Err(InvalidName::TooDeep);
        }
        for part in &parts {
            match *part {
                "." | ".." => return Err(InvalidName::Dots),
                part if part.len() > 255 => return Err(InvalidName::TooLong),
                part if part.starts_with("cgroup.") => return Err(InvalidName::ControlFile),
                _ => {}
            }
        }
        Ok(CgroupName(parts.join("/")))
    }

    /// The path, without slashes at its ends.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl fmt::Display for CgroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

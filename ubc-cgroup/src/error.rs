//! What can go wrong, with the path and the resource it went wrong on.

use std::io;
use std::path::{Path, PathBuf};

use crate::Target;
use crate::cgroup::InvalidName;
use crate::parse::Malformed;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong. Each message is one line that names the thing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel's programs.
    #[error("kernel programs: {0}")]
    Programs(#[from] ubc_bpf::Error),
    /// No cgroup v2 hierarchy is mounted where we can see it.
    #[error(
        "no cgroup2 file system is mounted; mount one with \
         `mount -t cgroup2 none DIR` or boot with systemd.unified_cgroup_hierarchy=1"
    )]
    NoCgroup2,
    /// The caller is not root.
    #[error(
        "ubc needs root: it reads other users' processes and writes cgroup files (uid is {uid})"
    )]
    NotRoot {
        /// The effective uid.
        uid: u32,
    },
    /// A path in a cgroup v1 hierarchy.
    #[error(
        "{} is cgroup v1; ubc needs cgroup v2, which is mounted here at {}",
        path.display(), mount.display()
    )]
    CgroupV1 {
        /// What the caller asked for.
        path: PathBuf,
        /// Where cgroup v2 is.
        mount: PathBuf,
    },
    /// A path outside the cgroup v2 mount.
    #[error("{} is not below the cgroup v2 mount {}", path.display(), mount.display())]
    NotBelowMount {
        /// What the caller asked for.
        path: PathBuf,
        /// Where cgroup v2 is.
        mount: PathBuf,
    },
    /// A name no cgroup may have.
    #[error("cgroup name {name:?}: {reason}")]
    Name {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        #[source]
        reason: InvalidName,
    },
    /// The cgroup is gone.
    #[error("cgroup {} was removed", path.display())]
    Removed {
        /// Where it was.
        path: PathBuf,
    },
    /// Processes did not leave the cgroup in time after a kill.
    #[error("cgroup {} still has processes {millis} ms after cgroup.kill", path.display())]
    StillPopulated {
        /// The cgroup.
        path: PathBuf,
        /// How long we waited.
        millis: u128,
    },
    /// A controller could not be enabled for the children of a cgroup.
    #[error("cannot enable the {controller} controller in {}: {source}", path.display())]
    Controller {
        /// `cgroup.subtree_control` of the parent.
        path: PathBuf,
        /// `memory`, `cpu`.
        controller: &'static str,
        /// EBUSY: processes live in the parent itself.
        #[source]
        source: io::Error,
    },
    /// A file operation failed.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A kernel file does not read as its format says.
    #[error("{} {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line and reason.
        #[source]
        source: Malformed,
    },
    /// The kernel refused a netlink request.
    #[error("netlink {request} failed: {source}")]
    Netlink {
        /// Which request.
        request: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A limit could not be applied. Everything written before was restored,
    /// except what `restore` names.
    #[error("{target}: cannot write {value} to {}: {source}{}", path.display(), Restored(restore))]
    Limit {
        /// The row or the knob.
        target: Target,
        /// The controller's file.
        path: PathBuf,
        /// What was written.
        value: String,
        /// Why not.
        #[source]
        source: io::Error,
        /// Files that could not be put back, with the reason.
        restore: Vec<(PathBuf, io::Error)>,
    },
    /// A limit in MHz, and a machine that does not tell its own.
    #[error(
        "cpulimit: neither cpufreq nor /proc/cpuinfo tells this machine's MHz; \
         give percent of a CPU instead"
    )]
    UnknownFrequency,
    /// A kernel that took a limit and keeps another.
    #[error("{target}: wrote {wanted} to {} but it reads {got}", path.display())]
    LimitReadsBack {
        /// The row or the knob.
        target: Target,
        /// The controller's file.
        path: PathBuf,
        /// What was written.
        wanted: String,
        /// What is there.
        got: String,
    },
}

struct Restored<'a>(&'a [(PathBuf, io::Error)]);

impl std::fmt::Display for Restored<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (path, error) in self.0 {
            write!(f, "; and {} could not be put back: {error}", path.display())?;
        }
        Ok(())
    }
}

impl Error {
    pub(crate) fn io(
        operation: &'static str,
        path: impl AsRef<Path>,
        source: impl Into<io::Error>,
    ) -> Error {
        Error::Io { operation, path: path.as_ref().to_owned(), source: source.into() }
    }

    pub(crate) fn parse(path: impl AsRef<Path>, source: Malformed) -> Error {
        Error::Parse { path: path.as_ref().to_owned(), source }
    }
}

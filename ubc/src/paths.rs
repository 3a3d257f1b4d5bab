//! Where things are kept while they run.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use ubc_core::ContainerId;

/// The usual directory.
pub(crate) const USUAL: &str = "/run/ubc";

/// Where what goes with it outlives a boot.
const USUAL_STATE: &str = "/var/lib/ubc";

/// Where the daemon and the containers of `ubc run` keep what they need until
/// the next boot, /run/ubc unless told otherwise.
#[derive(Clone, Debug)]
pub(crate) struct RunDir(PathBuf);

impl RunDir {
    /// The directory at this path, by its full name.
    pub(crate) fn new(path: &Path) -> io::Result<RunDir> {
        path.canonicalize().or_else(|_| std::path::absolute(path)).map(RunDir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// What outlives the daemon, and with the usual directory a boot.
    pub(crate) fn state(&self) -> PathBuf {
        if self.0 == Path::new(USUAL) { USUAL_STATE.into() } else { self.0.join("state") }
    }

    /// The daemon's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("ubc.sock")
    }

    /// Locked by the daemon for as long as it lives.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Locked by the process that serves, where another one holds the lock of
    /// the daemon for it.
    pub(crate) fn serving(&self) -> PathBuf {
        self.0.join("serving")
    }

    /// Where the daemon's parent hears from it.
    pub(crate) fn notify(&self) -> PathBuf {
        self.0.join("notify")
    }

    /// Since when there is no daemon that serves.
    pub(crate) fn starting(&self) -> PathBuf {
        self.0.join("starting")
    }

    /// What is kept of containers for the next daemon.
    pub(crate) fn kept(&self) -> PathBuf {
        self.0.join("kept")
    }

    /// Where a daemon that was started by a command writes its log.
    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// The view of all containers.
    pub(crate) fn view(&self) -> PathBuf {
        self.0.join("proc")
    }

    /// What belongs to one container of `ubc run`.
    pub(crate) fn container(&self, id: ContainerId) -> PathBuf {
        self.0.join("containers").join(id.to_string())
    }

    /// Makes the directory, for root only: what lies below are sockets and
    /// root file systems.
    pub(crate) fn make(&self) -> io::Result<()> {
        make_private(&self.0)
    }
}

/// Makes a directory and its parents that only root can enter.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

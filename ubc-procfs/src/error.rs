//! Why a view could not be put in place.

use std::io;
use std::path::PathBuf;

/// A view could not be mounted, or not be taken away.
///
/// Nothing stays mounted after an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The process is not there, or ended meanwhile.
    #[error("no live process {pid}: {source}")]
    NoProcess {
        /// The number asked for.
        pid: u32,
        /// What the kernel said.
        source: io::Error,
    },
    /// There is no usable /dev/fuse.
    #[error("cannot open /dev/fuse: {source}; the view needs the kernel's FUSE (modprobe fuse)")]
    NoFuse {
        /// What the kernel said.
        source: io::Error,
    },
    /// The container has no procfs where it should be.
    #[error("{path} of the container is not the root of a procfs")]
    NotProcfs {
        /// The path inside the container.
        path: PathBuf,
    },
    /// The container has the view already.
    #[error("{path} of the container has the view already")]
    AlreadyAttached {
        /// The path inside the container.
        path: PathBuf,
    },
    /// Something is mounted onto the native entry: the view, or another file.
    #[error("{path} of the container has the view, or another mount, on it already")]
    Covered {
        /// The path inside the container.
        path: PathBuf,
    },
    /// A step was refused by the kernel.
    #[error("{step} {path}: {source}")]
    Mount {
        /// What was tried.
        step: &'static str,
        /// On which path inside the container.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A helper thread could not be started.
    #[error("cannot start a thread: {source}")]
    Thread {
        /// What the kernel said.
        source: io::Error,
    },
    /// A descriptor that a predecessor should have left is not there.
    #[error("the view cannot be taken over: its {what} is lost")]
    Lost {
        /// What it was.
        what: &'static str,
    },
    /// What a successor would need could not be kept.
    #[error("the view would not survive this process: {source}")]
    NotKept {
        /// What went wrong.
        source: io::Error,
    },
}

//! Doing something in a container's mount namespace.

use nix::sched::{CloneFlags, setns, unshare};

use crate::error::AttachError;
use crate::process::ContainerProcess;

/// The name of the threads that are in a container's mount namespace. Where a path
/// leads is the container's choice there, so nothing else is to open any: a logger,
/// for one.
pub const INSIDE: &str = "ubc-mount";

/// Runs on a new thread in the mount namespace of the process. The thread
/// shares descriptors with us, but not the root and working directory, which
/// setns(2) changes.
pub(super) fn inside<T: Send>(
    process: &ContainerProcess,
    work: impl FnOnce() -> Result<T, AttachError> + Send,
) -> Result<T, AttachError> {
    let namespace = process.namespace("mnt")?;
    let enter = |error: nix::Error| AttachError::Mount {
        step: "cannot enter the mount namespace of process",
        path: process.pid().to_string().into(),
        source: error.into(),
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name(INSIDE.to_owned())
            .spawn_scoped(scope, || {
                unshare(CloneFlags::CLONE_FS).map_err(enter)?;
                setns(&namespace, CloneFlags::CLONE_NEWNS).map_err(enter)?;
                work()
            })
            .map_err(|source| AttachError::Thread { source })?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

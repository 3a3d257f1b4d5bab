//! Locks, terminals and signals.

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;

use super::keep;

/// A lock that gets in nobody's way.
pub(super) fn lock() -> Result<(), Errno> {
    let file = openat(CWD, c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    flock(&file, FlockOperation::NonBlockingLockShared)?;
    keep(file);
    Ok(())
}

/// The master of a pair.
pub(super) fn terminal() -> Result<(), Errno> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    openat(CWD, c"/dev/ptmx", flags, Mode::empty()).map(keep)
}

/// A signal that stays in the queue.
pub(super) fn signal() -> Result<(), Errno> {
    crate::sys::queue_to_self()
}

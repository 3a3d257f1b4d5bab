//! The two halves of a store-load fence, one of them cheap.
//!
//! Two threads that each store one word and then load the other's must not
//! both miss each other. Normally both need a sequentially consistent fence.
//! Here one of them is on a hot path and the other is rare, so the rare one
//! pays for both where the system can: Linux' `membarrier(2)` puts a full
//! barrier into every running thread of the process, and a thread that is not
//! running has passed one. The hot half is then left with a fence for the
//! compiler alone.
//!
//! | build                            | [`light`]         | [`heavy`]           |
//! |----------------------------------|-------------------|---------------------|
//! | feature `membarrier`, kernel has it | compiler fence | `membarrier(2)`     |
//! | everything else, loom included   | `fence(SeqCst)`   | `fence(SeqCst)`     |

use super::{Ordering, fence};

/// Whether the hot half is free. Asked once per process; the answer stays.
pub(crate) fn available() -> bool {
    system::available()
}

/// The hot half: what is stored before it and what is loaded after it stay in
/// this order, as far as a [`heavy`] elsewhere can tell.
#[inline]
pub(crate) fn light(available: bool) {
    if available {
        core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
    } else {
        full();
    }
}

/// Out of line, so that the path without it is straight.
#[cold]
#[inline(never)]
fn full() {
    fence(Ordering::SeqCst);
}

/// The rare half. False: the system refused it though it had promised it; then
/// nothing may be concluded about other threads.
#[must_use]
pub(crate) fn heavy() -> bool {
    fence(Ordering::SeqCst);
    !available() || system::barrier()
}

#[cfg(all(feature = "membarrier", target_os = "linux", not(loom)))]
mod system {
    use rustix::thread::{MembarrierCommand, membarrier};
    use std::sync::OnceLock;

    pub(super) fn available() -> bool {
        static AVAILABLE: OnceLock<bool> = OnceLock::new();
        *AVAILABLE.get_or_init(|| register() && command(MembarrierCommand::PrivateExpedited))
    }

    /// Once more after registering: a registration belongs to an address
    /// space, and this may be the child of a fork.
    pub(super) fn barrier() -> bool {
        let expedited = MembarrierCommand::PrivateExpedited;
        command(expedited) || (register() && command(expedited))
    }

    fn register() -> bool {
        command(MembarrierCommand::RegisterPrivateExpedited)
    }

    fn command(command: MembarrierCommand) -> bool {
        membarrier(command).is_ok()
    }
}

#[cfg(not(all(feature = "membarrier", target_os = "linux", not(loom))))]
mod system {
    pub(super) fn available() -> bool {
        false
    }

    pub(super) fn barrier() -> bool {
        true
    }
}

//! The synchronisation primitives, in one place so that they can be swapped.
//!
//! | build              | atomics | `Arc`   | locks         |
//! |--------------------|---------|---------|---------------|
//! | feature `std`      | `core`  | `alloc` | `parking_lot` |
//! | without `std`      | `core`  | `alloc` | `spin`        |
//! | `--cfg loom`       | `loom`  | `loom`  | `loom`        |
//!
//! No other module names an atomic, an `Arc` or a lock from elsewhere;
//! otherwise the loom models would check something that does not ship.

pub(crate) mod asymmetric;

#[cfg(not(loom))]
pub(crate) use alloc::sync::Arc;
#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence};
#[cfg(loom)]
pub(crate) use loom::sync::Arc;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence};

#[cfg(all(not(loom), feature = "std"))]
pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock};
#[cfg(all(not(loom), not(feature = "std")))]
pub(crate) use spin::{Mutex, MutexGuard, RwLock};

#[cfg(loom)]
pub(crate) use self::model::{Mutex, RwLock};
#[cfg(loom)]
pub(crate) use loom::sync::MutexGuard;

/// Gives way inside a retry loop that waits for another thread's few stores.
///
/// With `std` the thread yields: the other one may have been preempted on
/// this very core, and spinning would burn the slice it needs.
#[inline]
pub(crate) fn relax() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(all(not(loom), feature = "std"))]
    std::thread::yield_now();
    #[cfg(all(not(loom), not(feature = "std")))]
    core::hint::spin_loop();
}

/// Gives a value 128-byte lines of its own: two 64-byte lines, because the
/// adjacent-line prefetcher of x86 fetches pairs, and the line size of some
/// arm64 cores.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct OwnLine<T>(pub(crate) T);

impl<T> core::ops::Deref for OwnLine<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[cfg(loom)]
mod model {
    //! loom's locks with the interface of `parking_lot`: no poisoning.

    use loom::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("a model that panicked is over")
        }
    }

    #[derive(Debug)]
    pub(crate) struct RwLock<T>(loom::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn new(value: T) -> Self {
            RwLock(loom::sync::RwLock::new(value))
        }

        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().expect("a model that panicked is over")
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().expect("a model that panicked is over")
        }
    }
}

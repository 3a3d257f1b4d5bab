//! What others do for the same job, to measure against; and what everybody does,
//! to measure what counting adds to it.
//!
//! A crate of its own, so that nothing but the benchmarks ever compiles it.

mod locked;
mod lxcfs;
mod page_counter;
mod syscalls;

pub use locked::Locked;
pub use lxcfs::Lxcfs;
pub use page_counter::PageCounter;
pub use syscalls::Syscalls;

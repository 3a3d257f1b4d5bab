//! What others do for the same job, to measure against.
//!
//! A crate of its own, so that nothing but the benchmarks ever compiles it.
#![forbid(unsafe_code)]

mod locked;
mod lxcfs;
mod page_counter;

pub use locked::Locked;
pub use lxcfs::Lxcfs;
pub use page_counter::PageCounter;

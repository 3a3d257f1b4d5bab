//! Memory.

use std::ptr::null_mut;

use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, memfd_create};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use ubc_core::Resource;

use super::{Probe, fork, keep, repeat};

/// Pages of one attempt: more than the attempt's own stack may grow by.
const PAGES: u64 = 16;
const BYTES: usize = 16 * 4096;

pub(super) const PRIVVMPAGES: Probe = Probe {
    resource: Resource::PrivvmPages,
    room: 3 * PAGES,
    amount: PAGES,
    attempt: || repeat(map),
};

pub(super) const SHMPAGES: Probe = Probe {
    resource: Resource::ShmPages,
    room: 3 * PAGES,
    amount: PAGES,
    attempt: || repeat(fill),
};

/// A process has a stack of 16 KiB, a task_struct and tables of pages, which is
/// more than 1/64 of this.
pub(super) const KMEMSIZE: Probe =
    Probe { resource: Resource::KmemSize, room: 1 << 20, amount: 0, attempt: || repeat(fork) };

#[allow(unsafe_code)]
fn map() -> Result<(), Errno> {
    let prot = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping, at an address that the kernel chooses: no memory
    // that anybody uses changes.
    unsafe { mmap_anonymous(null_mut(), BYTES, prot, MapFlags::PRIVATE) }.map(|_| ())
}

fn fill() -> Result<(), Errno> {
    let file = memfd_create(c"ubc-probe", MemfdFlags::CLOEXEC)?;
    fallocate(&file, FallocateFlags::empty(), 0, BYTES as u64)?;
    keep(file);
    Ok(())
}

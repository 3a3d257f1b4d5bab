//! Refusals as they happen.

use std::ffi::{c_char, c_int};
use std::os::fd::{AsFd as _, AsRawFd as _};

use ::ubc_node::{Node, Refusal, Subscription};
use ubc_core::ContainerId;

use crate::node::ubc_node;
use crate::pointer;
use crate::result::{Fault, guarded, ubc_result};

use ubc_result::{UBC_NOTHING, UBC_OK};

/// Room for a process's name: 15 bytes, of which any may be no UTF-8 and take three.
const COMM: usize = 48;

/// Refusals from the moment of subscribing.
pub struct ubc_refusals(Subscription);

/// An operation that a program in the kernel refused.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ubc_refusal {
    /// Seconds since 1970 in UTC.
    pub time: f64,
    /// The container.
    pub id: u32,
    /// One of enum ubc_resource.
    pub resource: u32,
    /// In the row's unit, as the next three.
    pub asked: u64,
    pub held: u64,
    pub barrier: u64,
    pub limit: u64,
    /// Refusals of this container so far that nobody was told of.
    pub dropped: u64,
    /// The process that asked, on the host.
    pub pid: u32,
    /// As the process calls itself, which may be anything: escape it before a terminal
    /// sees it.
    pub comm: [c_char; 48],
}

impl From<&Refusal> for ubc_refusal {
    fn from(refusal: &Refusal) -> ubc_refusal {
        let mut comm: [c_char; COMM] = [0; COMM];
        for (to, byte) in comm.iter_mut().zip(refusal.comm.bytes().take(COMM - 1)) {
            *to = byte.cast_signed();
        }
        ubc_refusal {
            time: refusal.time,
            id: refusal.id.get(),
            resource: refusal.resource as u32,
            asked: refusal.asked,
            held: refusal.held,
            barrier: refusal.barrier,
            limit: refusal.limit,
            dropped: refusal.dropped,
            pid: refusal.pid,
            comm,
        }
    }
}

/// Subscribes to refusals by the kernel's programs, of one container or, with id 0, of
/// all. UBC_UNAVAILABLE where no program refuses. What cgroup controllers refuse is in
/// failcnt of the next reading.
///
/// To be given back with ubc_refusals_close(); it does not keep the node open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_refusals_open(
    node: *const ubc_node,
    id: u32,
    refusals: *mut *mut ubc_refusals,
) -> ubc_result {
    // SAFETY: as C promises in ubc.h.
    unsafe { open(node, id, refusals, Node::subscribe) }
}

/// As ubc_refusals_open(), and before these come those since the node was opened, the newest
/// 1024 of them. What was refused while no node listened is among them: so who listened to the
/// one before, which ended, goes on and misses nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_refusals_open_since_start(
    node: *const ubc_node,
    id: u32,
    refusals: *mut *mut ubc_refusals,
) -> ubc_result {
    // SAFETY: as C promises in ubc.h.
    unsafe { open(node, id, refusals, Node::subscribe_since_start) }
}

/// # Safety
///
/// The pointers are null or what C promises in ubc.h.
unsafe fn open(
    node: *const ubc_node,
    id: u32,
    refusals: *mut *mut ubc_refusals,
    subscribe: fn(&Node, Option<ContainerId>) -> ::ubc_node::Result<Subscription>,
) -> ubc_result {
    guarded(|| {
        // SAFETY: as this function's callers promise.
        unsafe {
            pointer::write(refusals, std::ptr::null_mut(), "refusals")?;
            let one = ContainerId::new(id).map_err(Fault::invalid)?;
            let one = Some(one).filter(|one| !one.is_host());
            let subscription = subscribe(&pointer::read(node, "node")?.0, one)?;
            pointer::give(refusals, ubc_refusals(subscription), "refusals")?;
        }
        Ok(UBC_OK)
    })
}

/// A descriptor that is readable while there is a refusal to take: for poll(), and not to
/// be read or closed. -1 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_refusals_fd(refusals: *const ubc_refusals) -> c_int {
    let mut fd = -1;
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        fd = unsafe { pointer::read(refusals, "refusals") }?.0.as_fd().as_raw_fd();
        Ok(UBC_OK)
    });
    fd
}

/// The next refusal, or UBC_NOTHING when there is none now. Never waits. One who does not
/// come for them misses what 1024 waiting ones leave no room for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_refusals_next(
    refusals: *const ubc_refusals,
    refusal: *mut ubc_refusal,
) -> ubc_result {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        let refusals = unsafe { pointer::read(refusals, "refusals") }?;
        // Asked before one is taken, which would be lost.
        pointer::check(refusal, "refusal")?;
        let Some(next) = refusals.0.next() else { return Ok(UBC_NOTHING) };
        // SAFETY: as C promises in ubc.h.
        unsafe { pointer::write(refusal, ubc_refusal::from(&next), "refusal") }?;
        Ok(UBC_OK)
    })
}

/// Gives a subscription back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_refusals_close(refusals: *mut ubc_refusals) {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        drop(unsafe { pointer::take(refusals, "refusals") }?);
        Ok(UBC_OK)
    });
}

//! Containers.

use std::ffi::{c_char, c_int};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ::ubc_node::{Adopt, Create, Owned};
use ubc_core::ContainerId;
use ubc_procfs::Place;

use crate::node::ubc_node;
use crate::pointer;
use crate::reading::ubc_reading;
use crate::resource::{limits, schedule, ubc_knob, ubc_limit};
use crate::result::{Fault, guarded, kept, ubc_result};

use ubc_result::UBC_OK;

/// A container and the responsibility for it.
pub struct ubc_container(Owned);

/// Fail with UBC_LIMIT if something of what is asked for cannot be imposed.
pub const UBC_STRICT: u32 = 1;

fn id(number: u32) -> Result<ContainerId, Fault> {
    ContainerId::new(number).map_err(Fault::invalid)
}

/// Makes a container: a cgroup of its own and a beancounter. id: 1 to 99999999. parent:
/// the existing cgroup to make its own in; NULL: the node's. No process is in it:
/// ubc_container_path(), ubc_container_fd() and ubc_container_add() are the ways in.
///
/// To be given back with ubc_container_detach() or ubc_container_leave().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_container_create(
    node: *const ubc_node,
    id: u32,
    parent: *const c_char,
    container: *mut *mut ubc_container,
) -> ubc_result {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        unsafe {
            pointer::write(container, std::ptr::null_mut(), "container")?;
            let mut wanted = Create::new(self::id(id)?);
            if let Some(parent) = pointer::text(parent, "parent")? {
                wanted = wanted.parent(parent);
            }
            let (owned, _) = pointer::read(node, "node")?.0.create(&wanted)?;
            pointer::give(container, ubc_container(owned), "container")?;
        }
        Ok(UBC_OK)
    })
}

/// Takes over a container that somebody else made: counts what is in its cgroup from now
/// on, what it holds already included.
///
/// id: 1 to 99999999, or 0: a free one is chosen, from 10000000 up, the same for the same
/// name. name: what its maker calls it, or NULL. cgroup: its path below the cgroup2 mount
/// or its full path; NULL: the one pid is in. pid: its init, with which the container
/// ends, or 0.
///
/// To be given back with ubc_container_detach() or ubc_container_leave().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_container_adopt(
    node: *const ubc_node,
    id: u32,
    name: *const c_char,
    cgroup: *const c_char,
    pid: u32,
    container: *mut *mut ubc_container,
) -> ubc_result {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        unsafe {
            pointer::write(container, std::ptr::null_mut(), "container")?;
            let mut wanted = match (pointer::text(cgroup, "cgroup")?, pid) {
                (Some(cgroup), 0) => Adopt::cgroup(cgroup),
                (Some(cgroup), pid) => Adopt::cgroup(cgroup).pid(pid),
                (None, 0) => return Err(Fault::invalid("neither a cgroup nor a process is given")),
                (None, pid) => Adopt::process(pid),
            };
            if id != 0 {
                wanted = wanted.id(self::id(id)?);
            }
            if let Some(name) = pointer::text(name, "name")? {
                wanted = wanted.name(name);
            }
            let (owned, _) = pointer::read(node, "node")?.0.adopt(&wanted)?;
            pointer::give(container, ubc_container(owned), "container")?;
        }
        Ok(UBC_OK)
    })
}

/// Changes limits and schedule, all or none; a row or a knob that is not given stays as
/// it is. flags: 0 or UBC_STRICT. Waits while the kernel reclaims memory for a lower
/// limit of memory.
///
/// UBC_NOT_IMPOSED: set, but nothing here imposes what ubc_message() names; such a limit
/// is kept, and the rows do not show it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_container_set(
    container: *const ubc_container,
    limits: *const ubc_limit,
    limit_count: usize,
    knobs: *const ubc_knob,
    knob_count: usize,
    flags: u32,
) -> ubc_result {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        let (container, wanted, schedule) = unsafe {
            (
                pointer::read(container, "container")?,
                self::limits(limits, limit_count)?,
                schedule(knobs, knob_count)?,
            )
        };
        if flags & !UBC_STRICT != 0 {
            return Err(Fault::invalid(format!("flags {flags:#x} are not known")));
        }
        let unenforced = container.0.set(&wanted, &schedule, flags == UBC_STRICT)?;
        Ok(kept(&unenforced))
    })
}

/// Reads all rows of one moment. To be given back with ubc_reading_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_container_read(
    container: *const ubc_container,
    reading: *mut *mut ubc_reading,
) -> ubc_result {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        unsafe {
            pointer::write(reading, std::ptr::null_mut(), "reading")?;
            let told = pointer::read(container, "container")?.0.describe()?;
            pointer::give(reading, ubc_reading::of_container(&told), "reading")?;
        }
        Ok(UBC_OK)
    })
}

/// The container's id; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_container_id(container: *const ubc_container) -> u32 {
    let mut id = 0;
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        id = unsafe { pointer::read(container, "container") }?.0.id().get();
        Ok(UBC_OK)
    });
    id
}

/// Writes the full path of the container's cgroup into a buffer of this size. A process
/// that writes itself into cgroup.procs there is in the container.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_container_path(
    container: *const ubc_container,
    buffer: *mut c_char,
    size: usize,
) -> ubc_result {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        unsafe {
            let container = pointer::read(container, "container")?;
            pointer::copy(container.0.path().as_os_str().as_bytes(), buffer, size)?;
        }
        Ok(UBC_OK)
    })
}

/// The directory of the container's cgroup, for clone3() with CLONE_INTO_CGROUP. It is
/// the container's and valid until that is given back; -1 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_container_fd(container: *const ubc_container) -> c_int {
    let mut fd = -1;
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        fd = unsafe { pointer::read(container, "container") }?.0.dir().as_raw_fd();
        Ok(UBC_OK)
    });
    fd
}

/// Moves a process with all its threads into the container. What it has open already is
/// not the container's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_container_add(
    container: *const ubc_container,
    pid: u32,
) -> ubc_result {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        unsafe { pointer::read(container, "container") }?.0.add(pid)?;
        Ok(UBC_OK)
    })
}

/// Tells which process is the container's init: when that ends the container does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_container_attach(
    container: *const ubc_container,
    pid: u32,
) -> ubc_result {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        unsafe { pointer::read(container, "container") }?.0.attach(pid, None)?;
        Ok(UBC_OK)
    })
}

/// As ubc_container_attach(), and puts /proc/user_beancounters into the container's
/// /proc. root: what is or will be the container's root, in its mount namespace; NULL:
/// "/". proc: its procfs below that; NULL: "/proc". To be called by the runtime where an
/// OCI createRuntime hook would run, or later. A thread enters the container's mount
/// namespace meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_container_attach_view(
    container: *const ubc_container,
    pid: u32,
    root: *const c_char,
    proc: *const c_char,
) -> ubc_result {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        let (container, root, proc) = unsafe {
            (
                pointer::read(container, "container")?,
                pointer::text(root, "root")?,
                pointer::text(proc, "proc")?,
            )
        };
        let mut place = Place::default();
        if let Some(root) = root {
            place.root = Path::new(root);
        }
        if let Some(proc) = proc {
            place.path = Path::new(proc);
        }
        container.0.attach(pid, Some(&place))?;
        Ok(UBC_OK)
    })
}

/// Gives a container back. One that was taken over gets back the limits and the schedule
/// it came with, its view is taken away, and its processes live on. One that was made
/// here is killed and its cgroup removed, which waits up to 10 s for its processes. The
/// handle is gone whatever is returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_container_detach(container: *mut ubc_container) -> ubc_result {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        unsafe { pointer::take(container, "container") }?.0.detach()?;
        Ok(UBC_OK)
    })
}

/// Gives a container back as it is, limits in force and view served, until its init ends
/// or the node is closed, and with the limits beyond that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_container_leave(container: *mut ubc_container) -> ubc_result {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        drop(unsafe { pointer::take(container, "container") }?.0.leave());
        Ok(UBC_OK)
    })
}

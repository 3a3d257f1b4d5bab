//! One pass over a container's processes: everything the meters need from
//! `/proc`, with each process opened once.
//!
//! A pid is a name that is given away again. So each `/proc/PID` is opened
//! as a directory, the handle is asked whether *it* is in the container's
//! cgroup, and all that is read of the process is read through the same
//! handle: if the process dies its files fail with ESRCH, they never turn
//! into another process's.

use std::collections::HashSet;
use std::os::fd::OwnedFd;

use procfs::ProcError;
use procfs::process::Process;
use rustix::fs::OFlags;
use rustix::io::Errno;
use ubc_bpf::Surroundings;

use crate::parse::{self, Rollup, Status};
use crate::{Cgroup, Error, Result, files};

mod descriptors;
mod identity;
mod namespaces;

pub(crate) use descriptors::{Descriptors, Protocol};
pub(crate) use identity::Distinct;
pub(crate) use namespaces::{IpcNamespace, Namespaces, NetNamespace, NsId, OwnNamespaces};

/// How much one reading may cost. A container that goes over is hostile or
/// needs other bounds; the rows concerned then read `None` and say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Processes looked at, default 32768.
    pub processes: usize,
    /// Nested cgroups, default 4096.
    pub cgroups: usize,
    /// Descriptors looked at, default 262144.
    pub descriptors: usize,
    /// `kcmp` calls, default 4194304.
    pub comparisons: usize,
    /// Sockets per network namespace, default 1048576.
    pub sockets: usize,
    /// Network, IPC and mount namespaces of each kind, default 32.
    pub namespaces: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            processes: 32_768,
            cgroups: 4096,
            descriptors: 262_144,
            comparisons: 4_194_304,
            sockets: 1_048_576,
            namespaces: 32,
        }
    }
}

/// What a pass must find out; the rest is left alone because it costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one independent want each")]
pub(crate) struct Wants {
    /// `status`: the rows of each process.
    pub(crate) status: bool,
    /// Children of every thread: one file a thread.
    pub(crate) zombies: bool,
    /// `smaps_rollup`: walks the process's page tables.
    pub(crate) resident: bool,
    /// Every descriptor: several us each.
    pub(crate) descriptors: bool,
    /// The fdinfo of every file. Only for locks that no living
    /// process answers for.
    pub(crate) fdinfo_locks: bool,
    /// Namespaces and who is in them: a handful of links each.
    pub(crate) surroundings: bool,
    /// The mounts of each namespace of them.
    pub(crate) mounts: bool,
}

impl Wants {
    /// Whether every process has to be looked at, whatever a pass tells.
    fn needs_processes(self) -> bool {
        self.status || self.zombies || self.resident || self.descriptors || self.fdinfo_locks
    }
}

/// One process of the container.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    pub(crate) pid: u32,
    pub(crate) status: Status,
    pub(crate) rollup: Option<Rollup>,
    pub(crate) user_ns: Option<NsId>,
}

/// A bound that a container went over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Processes,
    Descriptors,
    Namespaces,
}

/// What a pass found.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Whether it went to the processes: a pass can save that.
    went: bool,
    pub(crate) tasks: Vec<Task>,
    pub(crate) zombies: u64,
    pub(crate) descriptors: Descriptors,
    pub(crate) namespaces: Namespaces,
    /// Who the tasks are, if a pass told that.
    pub(crate) surroundings: Option<Surroundings>,
    /// The bounds that were hit: some counts are too small.
    pub(crate) cuts: Vec<Cut>,
}

impl Walk {
    /// Finds out what is wanted, by looking at every process of the container
    /// unless `seen`, what a pass saw just now, does.
    pub(crate) fn new(
        cgroup: &Cgroup,
        own: &OwnNamespaces,
        wants: Wants,
        seen: Option<Surroundings>,
        bounds: &Bounds,
    ) -> Result<Walk> {
        if !wants.surroundings {
            return if wants.needs_processes() {
                Walk::over_processes(cgroup, own, wants, bounds)
            } else {
                Ok(Walk::default())
            };
        }
        let mut scratch = Vec::new();
        if let Some(seen) = seen
            && let Some((namespaces, fits)) =
                Namespaces::of(&seen, cgroup, own, wants, bounds, &mut scratch)?
        {
            let wants = Wants { surroundings: false, ..wants };
            let mut walk = Walk::new(cgroup, own, wants, None, bounds)?;
            (walk.namespaces, walk.surroundings) = (namespaces, Some(seen));
            if !fits {
                walk.cut(Cut::Namespaces);
            }
            return Ok(walk);
        }
        Walk::over_processes(cgroup, own, wants, bounds)
    }

    /// The processes; `None` when there are too many.
    pub(crate) fn pids(&self, cgroup: &Cgroup, bounds: &Bounds) -> Result<Option<Vec<u32>>> {
        if self.went {
            return Ok(Some(self.tasks.iter().map(|task| task.pid).collect()));
        }
        let (pids, too_many) = cgroup.pids(bounds)?;
        Ok((!too_many).then_some(pids))
    }

    fn over_processes(
        cgroup: &Cgroup,
        own: &OwnNamespaces,
        wants: Wants,
        bounds: &Bounds,
    ) -> Result<Walk> {
        let (pids, too_many) = cgroup.pids(bounds)?;
        let mut walk = Walk {
            went: true,
            tasks: Vec::with_capacity(pids.len()),
            cuts: if too_many { vec![Cut::Processes] } else { Vec::new() },
            ..Walk::default()
        };
        let mut children = HashSet::new();
        let mut scratch = Vec::new();
        for pid in pids {
            let Some(process) = member(cgroup, pid, &mut scratch)? else { continue };
            match walk.look_at(&process, own, wants, bounds, &mut children, &mut scratch) {
                Ok(()) => {}
                Err(error) if gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        for task in &walk.tasks {
            children.remove(&task.pid);
        }
        for pid in children {
            walk.zombies += u64::from(is_zombie(cgroup, pid, &mut scratch)?);
        }
        Ok(walk)
    }

    fn cut(&mut self, cut: Cut) {
        if !self.cuts.contains(&cut) {
            self.cuts.push(cut);
        }
    }

    fn look_at(
        &mut self,
        process: &Process,
        own: &OwnNamespaces,
        wants: Wants,
        bounds: &Bounds,
        children: &mut HashSet<u32>,
        scratch: &mut Vec<u8>,
    ) -> Result<()> {
        let pid = process.pid.unsigned_abs();
        read(process, "status", scratch)?;
        let status =
            parse::status(scratch).map_err(|error| Error::parse(at(pid, "status"), error))?;
        let rollup = if wants.resident { rollup(process, scratch)? } else { None };
        let user_ns = if wants.surroundings { NsId::of(process, "ns/user")? } else { None };
        self.tasks.push(Task { pid, status, rollup, user_ns });
        if wants.zombies {
            collect_children(process, status.threads, children, scratch)?;
        }
        if wants.surroundings && !self.namespaces.note(process, own, wants, bounds)? {
            self.cut(Cut::Namespaces);
        }
        if wants.descriptors {
            let complete =
                self.descriptors.collect(process, wants.fdinfo_locks, bounds, scratch)?;
            if !complete {
                self.cut(Cut::Descriptors);
            }
        }
        Ok(())
    }
}

/// The process with this pid, if it is one of the container's right now.
pub(crate) fn member(cgroup: &Cgroup, pid: u32, scratch: &mut Vec<u8>) -> Result<Option<Process>> {
    let opened = i32::try_from(pid)
        .map_err(|_| Error::io("open", at(pid, ""), Errno::INVAL))
        .and_then(|pid| {
            Process::new(pid).map_err(|error| from_procfs("open", pid.unsigned_abs(), "", error))
        });
    let confirmed = opened.and_then(|process| {
        read(&process, "cgroup", scratch)?;
        Ok(cgroup.contains(scratch).then_some(process))
    });
    match confirmed {
        Err(error) if gone(&error) => Ok(None),
        other => other,
    }
}

fn is_zombie(cgroup: &Cgroup, pid: u32, scratch: &mut Vec<u8>) -> Result<bool> {
    let Some(process) = member(cgroup, pid, scratch)? else { return Ok(false) };
    match read(&process, "status", scratch) {
        Ok(()) => Ok(parse::status(scratch).is_ok_and(|status| status.state == b'Z')),
        Err(error) if gone(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The children of every thread: a zombie is in no `cgroup.procs`, but its
/// parent still lists it.
fn collect_children(
    process: &Process,
    threads: u64,
    children: &mut HashSet<u32>,
    scratch: &mut Vec<u8>,
) -> Result<()> {
    let mut add = |name: &str, scratch: &mut Vec<u8>| match read(process, name, scratch) {
        Ok(()) => {
            let words = scratch.split(|&b| b == b' ');
            children.extend(words.filter_map(|w| std::str::from_utf8(w).ok()?.parse::<u32>().ok()));
            Ok(())
        }
        Err(error) if gone(&error) => Ok(()),
        Err(error) => Err(error),
    };
    if threads <= 1 {
        return add(&format!("task/{}/children", process.pid), scratch);
    }
    for tid in numbers(process, "task")? {
        add(&format!("task/{tid}/children"), scratch)?;
    }
    Ok(())
}

/// The numbered entries of a directory of the process.
pub(crate) fn numbers(process: &Process, name: &str) -> Result<Vec<u32>> {
    let directory = open_directory(process, name)?;
    numbers_in(&directory, process, name)
}

pub(crate) fn open_directory(process: &Process, name: &str) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    process
        .open_relative_flags(name, flags)
        .map(OwnedFd::from)
        .map_err(|error| from_procfs("open", process.pid.unsigned_abs(), name, error))
}

pub(crate) fn numbers_in(directory: &OwnedFd, process: &Process, name: &str) -> Result<Vec<u32>> {
    let fail = |error: Errno| Error::io("list", at(process.pid.unsigned_abs(), name), error);
    let mut numbers = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if let Some(number) = entry.file_name().to_str().ok().and_then(|text| text.parse().ok()) {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

/// A kernel thread, a zombie and a process we may not look into have none.
fn rollup(process: &Process, scratch: &mut Vec<u8>) -> Result<Option<Rollup>> {
    match read(process, "smaps_rollup", scratch) {
        Ok(()) => Ok(parse::rollup(scratch).ok()),
        Err(error) if gone(&error) => Ok(None),
        Err(Error::Io { source, .. })
            if matches!(source.kind(), std::io::ErrorKind::PermissionDenied) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Reads a file of the process through its directory handle.
pub(crate) fn read(process: &Process, name: &str, buffer: &mut Vec<u8>) -> Result<()> {
    let pid = process.pid.unsigned_abs();
    let file =
        process.open_relative(name).map_err(|error| from_procfs("open", pid, name, error))?;
    files::read_into(file, buffer).map_err(|error| Error::io("read", at(pid, name), error))
}

pub(crate) fn at(pid: u32, name: &str) -> String {
    format!("/proc/{pid}/{name}")
}

/// A failure to open a file of a process. Two of them have a way of their own
/// to say that the process went away while they were being opened, which is made
/// the usual one here: mountinfo of a process past its namespaces is EINVAL
/// (`mounts_open_common`), and what stands in net/ of a namespace that has died
/// with its last process is ENXIO (`seq_open_net`).
pub(crate) fn from_procfs(
    operation: &'static str,
    pid: u32,
    name: &str,
    error: ProcError,
) -> Error {
    let source = match error {
        ProcError::Io(source, _) => source,
        ProcError::NotFound(_) => Errno::NOENT.into(),
        ProcError::PermissionDenied(_) => Errno::PERM.into(),
        other => std::io::Error::other(other),
    };
    let source = match source.raw_os_error() {
        Some(libc::EINVAL) if name == "mountinfo" => Errno::SRCH.into(),
        Some(libc::ENXIO) if name.starts_with("net/") => Errno::SRCH.into(),
        _ => source,
    };
    Error::io(operation, at(pid, name), source)
}

/// Whether an error only says that a process or descriptor went away.
pub(crate) fn gone(error: &Error) -> bool {
    match error {
        Error::Io { source, .. } => {
            source.kind() == std::io::ErrorKind::NotFound
                || source.raw_os_error() == Some(libc::ESRCH)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;

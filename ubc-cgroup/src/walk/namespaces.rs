//! The namespaces the container's processes live in.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use procfs::process::Process;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use ubc_bpf::{Namespace, NamespaceKind, Surroundings};

use super::{Bounds, Wants, at, from_procfs, gone, member, read};
use crate::{Cgroup, Error, Result, files};

/// The longest list of mounts that is looked at, in bytes: some thousand
/// mounts of each namespace.
const MOST_MOUNTS: usize = 1 << 20;

/// A namespace: device and inode of its nsfs file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NsId(u64, u64);

impl NsId {
    /// The namespace behind a link such as `ns/net`; `None` where the kernel
    /// has no such namespace or the process is past having one.
    pub(crate) fn of(process: &Process, link: &str) -> Result<Option<NsId>> {
        match process.open_relative_flags(link, OFlags::PATH | OFlags::CLOEXEC) {
            Ok(file) => NsId::of_fd(&OwnedFd::from(file))
                .map(Some)
                .map_err(|error| Error::io("stat", at(process.pid.unsigned_abs(), link), error)),
            Err(error) => match from_procfs("open", process.pid.unsigned_abs(), link, error) {
                error if gone(&error) => Ok(None),
                // A process in exit may not be looked into any more.
                Error::Io { source, .. }
                    if source.kind() == std::io::ErrorKind::PermissionDenied =>
                {
                    Ok(None)
                }
                error => Err(error),
            },
        }
    }

    fn of_fd(fd: &OwnedFd) -> Result<NsId, Errno> {
        rustix::fs::fstat(fd).map(|stat| NsId(stat.st_dev, stat.st_ino))
    }

    fn of_path(path: &str) -> Option<NsId> {
        let fd = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
        NsId::of_fd(&fd).ok()
    }
}

/// The namespaces that are not the container's: ours and those of the
/// machine's first process.
#[derive(Clone, Debug)]
pub(crate) struct OwnNamespaces {
    net: [Option<NsId>; 2],
    ipc: [Option<NsId>; 2],
    mnt: [Option<NsId>; 2],
    user: [Option<NsId>; 2],
}

impl OwnNamespaces {
    pub(crate) fn probe() -> OwnNamespaces {
        let both = |link: &str| {
            [
                NsId::of_path(&format!("/proc/self/ns/{link}")),
                NsId::of_path(&format!("/proc/1/ns/{link}")),
            ]
        };
        OwnNamespaces { net: both("net"), ipc: both("ipc"), mnt: both("mnt"), user: both("user") }
    }

    /// Whether a namespace with this inode is the container's own.
    fn is_foreign(&self, kind: NamespaceKind, inode: u32) -> bool {
        let ours = match kind {
            NamespaceKind::Net => &self.net,
            NamespaceKind::Ipc => &self.ipc,
            NamespaceKind::Mnt => &self.mnt,
        };
        !has_inode(ours.iter().flatten(), inode)
    }

    /// Whether a user namespace with this inode is the container's own.
    pub(crate) fn is_foreign_user_inode(&self, inode: u32) -> bool {
        !has_inode(self.user.iter().flatten(), inode)
    }

    /// Whether a user namespace is the container's own.
    pub(crate) fn is_foreign_user(&self, id: NsId) -> bool {
        !self.user.contains(&Some(id))
    }
}

/// A network namespace with a process of the container in it.
#[derive(Debug)]
pub(crate) struct NetNamespace {
    /// Handle to enter it by.
    pub(crate) handle: OwnedFd,
    /// Whether it is the container's own.
    pub(crate) own: bool,
    /// Legacy iptables and ip6tables tables in use.
    pub(crate) tables: [Vec<Vec<u8>>; 2],
}

/// An IPC namespace of the container's own.
#[derive(Debug)]
pub(crate) struct IpcNamespace {
    /// Handle to enter it by.
    pub(crate) handle: OwnedFd,
}

/// A mount namespace of the container's own.
#[derive(Debug)]
pub(crate) struct MountNamespace {
    /// The root directory of one of its processes, as `O_PATH`.
    pub(crate) root: OwnedFd,
    /// The mounts that process sees.
    pub(crate) mountinfo: Vec<u8>,
}

/// Every namespace met, one handle each.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    pub(crate) net: BTreeMap<NsId, NetNamespace>,
    pub(crate) ipc: BTreeMap<NsId, IpcNamespace>,
    pub(crate) mnt: BTreeMap<NsId, MountNamespace>,
    /// Some process is in a network namespace that is not the container's own,
    /// which is not among these.
    pub(crate) in_ours: bool,
}

impl Namespaces {
    /// Those of the container's own that a pass saw, each by a process that is in
    /// it, and whether that is all. `None` when one is not to be found any more.
    pub(super) fn of(
        seen: &Surroundings,
        cgroup: &Cgroup,
        own: &OwnNamespaces,
        wants: Wants,
        bounds: &Bounds,
        scratch: &mut Vec<u8>,
    ) -> Result<Option<(Namespaces, bool)>> {
        let is_net = |n: &Namespace| n.kind == NamespaceKind::Net;
        let (theirs, ours): (Vec<_>, Vec<_>) =
            seen.namespaces.iter().partition(|n| own.is_foreign(n.kind, n.inode));
        let mut found =
            Namespaces { in_ours: ours.into_iter().any(is_net), ..Namespaces::default() };
        let mut fits = true;
        let mut pids: Vec<u32> = theirs
            .iter()
            .filter(|n| wants.mounts || n.kind != NamespaceKind::Mnt)
            .map(|n| n.pid)
            .collect();
        pids.sort_unstable();
        pids.dedup();
        for pid in pids {
            let Some(process) = member(cgroup, pid, scratch)? else { return Ok(None) };
            match found.note(&process, own, wants, bounds) {
                Ok(all) => fits &= all,
                Err(error) if gone(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        let is_found = |n: &Namespace| match n.kind {
            NamespaceKind::Net => has_inode(found.net.keys(), n.inode),
            NamespaceKind::Ipc => has_inode(found.ipc.keys(), n.inode),
            NamespaceKind::Mnt => !wants.mounts || has_inode(found.mnt.keys(), n.inode),
        };
        let all = !fits || theirs.into_iter().all(is_found);
        Ok(all.then_some((found, fits)))
    }

    /// Takes down the namespaces of a process. False when there are more
    /// than the bound allows.
    pub(super) fn note(
        &mut self,
        process: &Process,
        own: &OwnNamespaces,
        wants: Wants,
        bounds: &Bounds,
    ) -> Result<bool> {
        let handle = |link: &str| {
            process
                .open_relative(link)
                .map(OwnedFd::from)
                .map_err(|error| from_procfs("open", process.pid.unsigned_abs(), link, error))
        };
        let mut fits = true;
        if let Some(id) = NsId::of(process, "ns/net")?
            && !self.net.contains_key(&id)
        {
            if self.net.len() < bounds.namespaces {
                let (v4, v6) = (
                    tables(process, "net/ip_tables_names")?,
                    tables(process, "net/ip6_tables_names")?,
                );
                let own = !own.net.contains(&Some(id));
                let handle = handle("ns/net")?;
                self.net.insert(id, NetNamespace { handle, own, tables: [v4, v6] });
            } else {
                fits = false;
            }
        }
        if let Some(id) = NsId::of(process, "ns/ipc")?
            && !own.ipc.contains(&Some(id))
            && !self.ipc.contains_key(&id)
        {
            if self.ipc.len() < bounds.namespaces {
                self.ipc.insert(id, IpcNamespace { handle: handle("ns/ipc")? });
            } else {
                fits = false;
            }
        }
        if wants.mounts
            && let Some(id) = NsId::of(process, "ns/mnt")?
            && !own.mnt.contains(&Some(id))
            && !self.mnt.contains_key(&id)
        {
            if self.mnt.len() < bounds.namespaces {
                let Some(mountinfo) = mountinfo(process)? else { return Ok(false) };
                let root = process
                    .open_relative_flags("root", OFlags::PATH | OFlags::CLOEXEC)
                    .map(OwnedFd::from)
                    .map_err(|e| from_procfs("open", process.pid.unsigned_abs(), "root", e))?;
                self.mnt.insert(id, MountNamespace { root, mountinfo });
            } else {
                fits = false;
            }
        }
        Ok(fits)
    }
}

/// The mounts a process sees; `None` when they are more than are looked at.
/// Whoever has a user namespace can mount as often and as deep as it likes.
fn mountinfo(process: &Process) -> Result<Option<Vec<u8>>> {
    const NAME: &str = "mountinfo";
    let pid = process.pid.unsigned_abs();
    let file =
        process.open_relative(NAME).map_err(|error| from_procfs("open", pid, NAME, error))?;
    let mut text = Vec::new();
    match files::read_bounded(file, &mut text, MOST_MOUNTS) {
        Ok(()) => Ok(Some(text)),
        Err(Errno::FBIG) => Ok(None),
        Err(error) => Err(Error::io("read", at(pid, NAME), error)),
    }
}

/// All namespaces' files are on one device.
fn has_inode<'a>(mut ids: impl Iterator<Item = &'a NsId>, inode: u32) -> bool {
    ids.any(|id| id.1 == u64::from(inode))
}

/// The tables a `..._tables_names` file lists; none without the file.
fn tables(process: &Process, name: &str) -> Result<Vec<Vec<u8>>> {
    let mut text = Vec::new();
    match read(process, name, &mut text) {
        Ok(()) => {
            Ok(text.split(|&b| b == b'\n').filter(|n| !n.is_empty()).map(<[u8]>::to_vec).collect())
        }
        Err(error) if gone(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

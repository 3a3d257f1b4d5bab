//! What this machine offers: the cgroup v2 mount, its controllers, and the
//! kernel interfaces the meters use.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::cgroup::CgroupName;
use crate::parse::{Mount, mounts};
use crate::{Error, Result, files, parse};

mod capabilities;
mod rows;
mod schedulers;
mod selftest;

pub use capabilities::Capabilities;
pub use rows::expected;
pub(crate) use selftest::Scratch;

/// A machine that can hold containers.
#[derive(Debug)]
pub struct Host {
    root: OwnedFd,
    mount: PathBuf,
    /// The directory of the hierarchy that is mounted: `/` outside cgroup
    /// namespaces.
    mount_root: Vec<u8>,
    v1_mounts: Vec<PathBuf>,
    controllers: Vec<String>,
    capabilities: Capabilities,
}

impl Host {
    /// Finds the cgroup v2 mount in `/proc/self/mountinfo` (unified or
    /// hybrid: the first one listed) and probes the kernel.
    ///
    /// # Errors
    ///
    /// Not root, no cgroup2 mount, or `/proc` is unreadable.
    pub fn probe() -> Result<Host> {
        Self::find(None)
    }

    /// As [`Host::probe`], with the cgroup2 mount the caller names.
    ///
    /// # Errors
    ///
    /// As [`Host::probe`]; a directory that is no cgroup2 mount point is
    /// [`Error::CgroupV1`] on a v1 hierarchy, else [`Error::NotBelowMount`].
    pub fn probe_mount(mount: &Path) -> Result<Host> {
        Self::find(Some(mount))
    }

    fn find(wanted: Option<&Path>) -> Result<Host> {
        let uid = rustix::process::geteuid();
        if !uid.is_root() {
            return Err(Error::NotRoot { uid: uid.as_raw() });
        }
        let table = mounts(&files::read_path("/proc/self/mountinfo")?);
        let v1_mounts = v1_mounts(&table);
        let found = select(&table, wanted);
        let Some(found) = found else {
            let first = select(&table, None).map(|mount| path(&mount.point));
            return Err(match (wanted, first) {
                (Some(wanted), Some(mount)) => refuse(wanted, &v1_mounts, &mount),
                _ => Error::NoCgroup2,
            });
        };
        let mount = path(&found.point);
        let root = rustix::fs::open(
            &mount,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|error| Error::io("open", &mount, error))?;
        let controllers = files::read(&root, "cgroup.controllers")
            .map(|text| parse::word_list(&text))
            .map_err(|error| Error::io("read", mount.join("cgroup.controllers"), error))?;
        Ok(Host {
            root,
            mount,
            mount_root: found.root.clone(),
            v1_mounts,
            controllers,
            capabilities: Capabilities::probe(),
        })
    }

    /// Where cgroup v2 is mounted.
    pub fn mount(&self) -> &Path {
        &self.mount
    }

    /// The directory handle of the mount.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The controllers of the hierarchy; on a hybrid system the ones cgroup
    /// v1 holds are missing.
    pub fn controllers(&self) -> &[String] {
        &self.controllers
    }

    /// Whether the hierarchy has a controller.
    pub fn has_controller(&self, name: &str) -> bool {
        self.controllers.iter().any(|controller| controller == name)
    }

    /// Which kernel interfaces work here.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The cgroup a text means: a path below the mount, or a full path that
    /// starts with it.
    ///
    /// # Errors
    ///
    /// A name no cgroup has; a full path on cgroup v1 or elsewhere.
    pub fn resolve(&self, text: &str) -> Result<CgroupName> {
        let given = Path::new(text);
        let below = match given.strip_prefix(&self.mount) {
            Ok(below) => below.to_str().unwrap_or(text),
            Err(_) if self.v1_mounts.iter().any(|v1| given.starts_with(v1)) => {
                return Err(refuse(given, &self.v1_mounts, &self.mount));
            }
            // "/ubc/101" is how /proc/PID/cgroup writes it, so it is
            // accepted as a path below the mount; /sys/... is not one.
            Err(_) if given.starts_with("/sys") => {
                return Err(refuse(given, &self.v1_mounts, &self.mount));
            }
            Err(_) => text,
        };
        CgroupName::new(below).map_err(|reason| Error::Name { name: text.to_owned(), reason })
    }

    /// The path below the mount of a path in the hierarchy; `None` for one
    /// that this mount does not show.
    pub(crate) fn below_mount<'a>(&self, path: &'a str) -> Option<&'a str> {
        let root = std::str::from_utf8(&self.mount_root).ok()?.trim_end_matches('/');
        path.strip_prefix(root)
    }

    /// What `/proc/PID/cgroup` says of the members of a cgroup.
    pub(crate) fn membership(&self, name: &CgroupName) -> Vec<u8> {
        let mut path = self.mount_root.strip_suffix(b"/").unwrap_or(&self.mount_root).to_vec();
        path.push(b'/');
        path.extend_from_slice(name.as_str().as_bytes());
        path
    }
}

fn path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

fn v1_mounts(table: &[Mount]) -> Vec<PathBuf> {
    table.iter().filter(|mount| mount.kind == b"cgroup").map(|mount| path(&mount.point)).collect()
}

/// The cgroup2 mount at `wanted`, else the first one that can be reached. A
/// later mount on the same directory or one above it hides an earlier one.
fn select<'t>(table: &'t [Mount], wanted: Option<&Path>) -> Option<&'t Mount> {
    let v2 = |mount: &&Mount| mount.kind == b"cgroup2";
    let at = |point: &Path| table.iter().rev().filter(v2).find(|mount| path(&mount.point) == point);
    if let Some(wanted) = wanted {
        return at(wanted);
    }
    let (_, first) = table.iter().enumerate().find(|(at, mount)| {
        let point = path(&mount.point);
        let above = |later: &Mount| point.starts_with(path(&later.point));
        let hides = |later: &Mount| above(later) && later.point != mount.point;
        v2(mount) && !table[at + 1..].iter().any(hides)
    })?;
    at(&path(&first.point))
}

fn refuse(given: &Path, v1_mounts: &[PathBuf], mount: &Path) -> Error {
    let (path, mount) = (given.to_owned(), mount.to_owned());
    if v1_mounts.iter().any(|v1| given.starts_with(v1)) {
        Error::CgroupV1 { path, mount }
    } else {
        Error::NotBelowMount { path, mount }
    }
}

#[cfg(test)]
mod tests;

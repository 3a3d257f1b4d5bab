//! The container's native procfs, looked at from outside.
//!
//! The server holds a private clone of the mount. The container can mount
//! whatever it likes on its own copy, and the server never walks into it:
//! paths are one to three components below the clone's root, nothing is ever
//! mounted there, and links are not followed.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags, RawDir, SeekFrom, Stat};

use super::hiding::Hiding;
use super::status::{Status, start_time};

/// Longest status read; see `super::asker`.
const MAX_TEXT: u64 = 64 * 1024;

/// A private clone of a procfs mount.
#[derive(Debug)]
pub(crate) struct Native {
    root: OwnedFd,
    /// What its mount options hide from whoever looks at it.
    pub(super) hiding: Hiding,
}

/// One directory entry.
pub(super) struct NativeEntry<'a> {
    pub(super) name: &'a CStr,
    /// Where the next entry is found.
    pub(super) next: u64,
}

impl Native {
    /// Looks at the procfs whose root this descriptor is.
    pub(crate) fn new(root: OwnedFd, hiding: Hiding) -> Native {
        Native { root, hiding }
    }

    /// What it hides.
    pub(crate) fn hiding(&self) -> Hiding {
        self.hiding
    }

    /// The clone's root.
    pub(crate) fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// Attributes of a name in the root.
    pub(super) fn stat(&self, name: &CStr) -> io::Result<Stat> {
        Ok(rustix::fs::statat(&self.root, name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Attributes of a process directory.
    pub(super) fn stat_pid(&self, pid: u32) -> io::Result<Stat> {
        self.stat(&path(pid, None))
    }

    /// Attributes of a name in a process directory.
    pub(super) fn stat_in_pid(&self, pid: u32, name: &CStr) -> io::Result<Stat> {
        self.stat(&path(pid, Some(name)))
    }

    /// The text of a link in a process directory.
    pub(super) fn readlink_in_pid(&self, pid: u32, name: &CStr) -> io::Result<Vec<u8>> {
        let text = rustix::fs::readlinkat(&self.root, path(pid, Some(name)), Vec::new())?;
        Ok(text.into_bytes())
    }

    /// The text of a link in the root.
    pub(super) fn readlink(&self, name: &CStr) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.root, name, Vec::new())?.into_bytes())
    }

    /// Who a process is; `None` when it has ended.
    pub(super) fn status(&self, pid: u32) -> Option<Status> {
        Status::parse(&self.text_in_pid(pid, c"status").ok()?)
    }

    /// When a process started.
    pub(super) fn start_time(&self, pid: u32) -> Option<u64> {
        start_time(&self.text_in_pid(pid, c"stat").ok()?)
    }

    /// The name of a process's user namespace.
    pub(super) fn user_namespace(&self, pid: u32) -> Option<Vec<u8>> {
        self.readlink_in_pid(pid, c"ns/user").ok()
    }

    fn text_in_pid(&self, pid: u32, name: &CStr) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
        let file = rustix::fs::openat(&self.root, path(pid, Some(name)), flags, Mode::empty())?;
        let mut text = Vec::new();
        File::from(file).take(MAX_TEXT).read_to_end(&mut text)?;
        Ok(text)
    }

    /// Walks the root (`None`) or a process directory from an offset that an
    /// earlier entry named (0: the beginning) until `each` says stop.
    pub(super) fn list(
        &self,
        pid: Option<u32>,
        from: u64,
        mut each: impl FnMut(NativeEntry<'_>) -> io::Result<bool>,
    ) -> io::Result<()> {
        let name = pid.map_or_else(|| c".".to_owned(), |pid| path(pid, None));
        let dir = rustix::fs::openat(
            &self.root,
            name,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
            Mode::empty(),
        )?;
        if from != 0 {
            rustix::fs::seek(&dir, SeekFrom::Start(from))?;
        }
        let mut buf = [MaybeUninit::uninit(); 8192];
        let mut entries = RawDir::new(&dir, &mut buf);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let next = entry.next_entry_cookie();
            if !each(NativeEntry { name: entry.file_name(), next })? {
                break;
            }
        }
        Ok(())
    }
}

/// `PID` or `PID/NAME`; a name that somebody asked for never holds a slash, the
/// kernel splits paths before it asks.
fn path(pid: u32, name: Option<&CStr>) -> CString {
    let mut path = pid.to_string().into_bytes();
    if let Some(name) = name {
        path.push(b'/');
        path.extend_from_slice(name.to_bytes());
    }
    CString::new(path).unwrap_or_default()
}

//! The requests of the FUSE protocol, answered.

use std::ffi::CStr;
use std::io;
use std::time::Duration;

use fuse_backend_rs::abi::fuse_abi::{CreateIn, OpenOptions, SetattrValid, stat64, statvfs64};
use fuse_backend_rs::api::filesystem::{Context, Entry, FileSystem, FsOptions, ZeroCopyWriter};
use rustix::io::Errno;

use super::list::DirSink;
use super::node::Node;
use super::{View, node, not_found};

/// What every server of files asks of the kernel.
pub(super) const FILES: FsOptions =
    FsOptions::ASYNC_READ.union(FsOptions::INIT_EXT).union(FsOptions::HAS_RESEND);

/// Refuses an open for anything but reading.
pub(super) fn read_only(flags: u32) -> io::Result<()> {
    if flags & libc::O_ACCMODE.cast_unsigned() == libc::O_RDONLY.cast_unsigned() {
        return Ok(());
    }
    Err(Errno::ACCESS.into())
}

/// A file system of nothing, for the answers that say so.
struct Empty;

impl FileSystem for Empty {
    type Inode = u64;
    type Handle = u64;
}

impl FileSystem for View {
    type Inode = u64;
    type Handle = u64;

    fn init(&self, _capable: FsOptions) -> io::Result<FsOptions> {
        Ok(FILES | FsOptions::PARALLEL_DIROPS | FsOptions::CACHE_SYMLINKS)
    }

    fn lookup(&self, caller: &Context, parent: u64, name: &CStr) -> io::Result<Entry> {
        let (child, entry_timeout) = self.find(caller, node(parent)?, name)?;
        let (attr, attr_timeout) = self.attr(child)?;
        Ok(Entry { inode: child.id(), attr, attr_timeout, entry_timeout, ..Entry::default() })
    }

    fn getattr(
        &self,
        caller: &Context,
        inode: u64,
        _handle: Option<u64>,
    ) -> io::Result<(stat64, Duration)> {
        let node = node(inode)?;
        if let Node::Pid(pid) = node {
            self.check_shown(caller, pid)?;
        }
        self.attr(node)
    }

    fn readlink(&self, caller: &Context, inode: u64) -> io::Result<Vec<u8>> {
        self.link_text(caller, node(inode)?)
    }

    fn open(
        &self,
        _caller: &Context,
        inode: u64,
        flags: u32,
        _fuse_flags: u32,
    ) -> io::Result<(Option<u64>, OpenOptions, Option<u32>)> {
        read_only(flags)?;
        let node = node(inode)?;
        let handle = self.handles(node).open(self.text(node)?)?;
        // Not through the page cache: two opens must not mix their readings.
        Ok((Some(handle), OpenOptions::DIRECT_IO, None))
    }

    fn read(
        &self,
        _caller: &Context,
        inode: u64,
        handle: u64,
        out: &mut dyn ZeroCopyWriter,
        size: u32,
        offset: u64,
        _lock_owner: Option<u64>,
        _flags: u32,
    ) -> io::Result<usize> {
        let node = node(inode)?;
        self.handles(node).read(handle, offset, size, out, || self.text(node))
    }

    fn release(
        &self,
        _caller: &Context,
        inode: u64,
        _flags: u32,
        handle: u64,
        _flush: bool,
        _flock_release: bool,
        _lock_owner: Option<u64>,
    ) -> io::Result<()> {
        self.handles(node(inode)?).close(handle);
        Ok(())
    }

    fn readdir(
        &self,
        caller: &Context,
        inode: u64,
        _handle: u64,
        _size: u32,
        offset: u64,
        add_entry: DirSink<'_>,
    ) -> io::Result<()> {
        self.list(caller, node(inode)?, offset, add_entry)
    }

    fn releasedir(
        &self,
        _caller: &Context,
        _inode: u64,
        _flags: u32,
        _handle: u64,
    ) -> io::Result<()> {
        Ok(())
    }

    /// Every program learns that this is FUSE, except systemd's. They look for
    /// the magic number of procfs on /proc, and take any other to mean that
    /// /proc is missing and that they cannot work. FUSE cannot have that number;
    /// an answer that says neither leaves them at what they see. It is not the
    /// answer for all, because `df` of busybox takes it for a failure.
    fn statfs(&self, caller: &Context, inode: u64) -> io::Result<statvfs64> {
        let name = self.askers.as_ref().and_then(|askers| askers.name(caller.pid));
        if name.is_some_and(|name| name.starts_with(b"systemd") || name == b"systemctl\n") {
            return Err(Errno::ACCESS.into());
        }
        Empty.statfs(caller, inode)
    }

    // What procfs itself answers to attempts to change it.

    fn setattr(
        &self,
        _caller: &Context,
        _inode: u64,
        _attr: stat64,
        _handle: Option<u64>,
        _valid: SetattrValid,
    ) -> io::Result<(stat64, Duration)> {
        Err(Errno::PERM.into())
    }

    fn create(
        &self,
        _caller: &Context,
        _parent: u64,
        _name: &CStr,
        _args: CreateIn,
    ) -> io::Result<(Entry, Option<u64>, OpenOptions, Option<u32>)> {
        Err(not_found())
    }

    fn mknod(
        &self,
        _caller: &Context,
        _inode: u64,
        _name: &CStr,
        _mode: u32,
        _rdev: u32,
        _umask: u32,
    ) -> io::Result<Entry> {
        Err(not_found())
    }

    fn mkdir(
        &self,
        _caller: &Context,
        _parent: u64,
        _name: &CStr,
        _mode: u32,
        _umask: u32,
    ) -> io::Result<Entry> {
        Err(not_found())
    }

    fn unlink(&self, _caller: &Context, _parent: u64, _name: &CStr) -> io::Result<()> {
        Err(Errno::PERM.into())
    }

    fn rmdir(&self, _caller: &Context, _parent: u64, _name: &CStr) -> io::Result<()> {
        Err(Errno::PERM.into())
    }
}

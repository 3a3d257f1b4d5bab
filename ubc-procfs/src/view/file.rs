//! A file system of one file: its root.
//!
//! That is what can be mounted onto a file of a procfs, where a directory
//! cannot be.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fuse_backend_rs::abi::fuse_abi::{OpenOptions, SetattrValid, stat64};
use fuse_backend_rs::api::filesystem::{Context, FileSystem, FsOptions, ZeroCopyWriter};
use rustix::io::Errno;

use super::content::Content;
use super::handles::{Handles, since_boot};
use super::ledger::{Ledger, Opens};
use super::node::Node;
use super::requests::{FILES, read_only};
use super::{A_SECOND, Owner, attr};
use crate::source::Source;

/// One file of a container's /proc, to be served over FUSE. Its source knows
/// that container only.
pub(crate) struct FileView {
    content: Content,
    source: Arc<dyn Source>,
    owner: Owner,
    handles: Handles,
}

impl FileView {
    pub(crate) fn new(content: Content, source: Arc<dyn Source>, owner: Owner) -> FileView {
        FileView { content, source, owner, handles: Handles::default() }
    }

    /// As [`super::View::with_ledger`].
    pub(crate) fn with_ledger(self, ledger: &Ledger) -> io::Result<FileView> {
        let handles = Handles::kept(ledger, Opens::Beancounters, since_boot())?;
        Ok(FileView { handles, ..self })
    }
}

impl FileSystem for FileView {
    type Inode = u64;
    type Handle = u64;

    fn init(&self, _capable: FsOptions) -> io::Result<FsOptions> {
        Ok(FILES)
    }

    fn getattr(
        &self,
        _caller: &Context,
        _inode: u64,
        _handle: Option<u64>,
    ) -> io::Result<(stat64, Duration)> {
        let size = self.content.len(self.source.ids().len());
        Ok((attr::file(Node::Root, self.owner, self.content.permissions(), size), A_SECOND))
    }

    fn open(
        &self,
        _caller: &Context,
        _inode: u64,
        flags: u32,
        _fuse_flags: u32,
    ) -> io::Result<(Option<u64>, OpenOptions, Option<u32>)> {
        read_only(flags)?;
        let handle = self.handles.open(self.content.text(&*self.source)?)?;
        // Not through the page cache: two opens must not mix their readings.
        Ok((Some(handle), OpenOptions::DIRECT_IO, None))
    }

    fn read(
        &self,
        _caller: &Context,
        _inode: u64,
        handle: u64,
        out: &mut dyn ZeroCopyWriter,
        size: u32,
        offset: u64,
        _lock_owner: Option<u64>,
        _flags: u32,
    ) -> io::Result<usize> {
        self.handles.read(handle, offset, size, out, || self.content.text(&*self.source))
    }

    fn release(
        &self,
        _caller: &Context,
        _inode: u64,
        _flags: u32,
        handle: u64,
        _flush: bool,
        _flock_release: bool,
        _lock_owner: Option<u64>,
    ) -> io::Result<()> {
        self.handles.close(handle);
        Ok(())
    }

    fn setattr(
        &self,
        _caller: &Context,
        _inode: u64,
        _attr: stat64,
        _handle: Option<u64>,
        _valid: SetattrValid,
    ) -> io::Result<(stat64, Duration)> {
        // As procfs answers.
        Err(Errno::PERM.into())
    }
}

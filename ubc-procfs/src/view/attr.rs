//! Attributes of the view's own files.

use fuse_backend_rs::abi::fuse_abi::stat64;
use fuse_backend_rs::api::filesystem::Entry;
use serde::{Deserialize, Serialize};

use super::node::Node;

/// Who owns the files of a view, as the kernel outside the container sees it.
///
/// A container's root is some other user on the host when the container has a
/// user namespace; the files must belong to that user to be readable inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// User id on the host.
    pub uid: u32,
    /// Group id on the host.
    pub gid: u32,
}

/// An attribute block with everything zero.
fn zeroed() -> stat64 {
    Entry::default().attr
}

fn attr(node: Node, owner: Owner, mode: u32, nlink: u64, size: i64) -> stat64 {
    let mut st = zeroed();
    st.st_ino = node.id();
    st.st_mode = mode;
    st.st_nlink = nlink;
    st.st_uid = owner.uid;
    st.st_gid = owner.gid;
    st.st_size = size;
    st.st_blksize = 4096;
    st
}

/// A directory.
pub(super) fn dir(node: Node, owner: Owner, perm: u32) -> stat64 {
    attr(node, owner, libc::S_IFDIR | perm, 2, 0)
}

/// A readable file; its size must not be 0, or readers that trust it
/// (`sendfile(2)` in busybox's cat) read nothing.
pub(super) fn file(node: Node, owner: Owner, perm: u32, size: usize) -> stat64 {
    attr(node, owner, libc::S_IFREG | perm, 1, i64::try_from(size.max(1)).unwrap_or(i64::MAX))
}

/// A symbolic link. procfs says size 0 for its own; so do we, since a link's
/// text may change between stat and readlink.
pub(super) fn link(node: Node, owner: Owner) -> stat64 {
    attr(node, owner, libc::S_IFLNK | 0o777, 1, 0)
}

//! Listings of the view's directories.

use std::ffi::CStr;
use std::io;

use fuse_backend_rs::api::filesystem::{Context, DirEntry};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::hiding::Hiding;
use super::node::Node;
use super::{BC, RESOURCES, USER_BEANCOUNTERS, View, offset_index, parse_pid};

/// Takes entries until it returns 0: the reader's buffer is full.
pub(super) type DirSink<'a> = &'a mut dyn FnMut(DirEntry<'_>) -> io::Result<usize>;

impl View {
    /// Lists the view's own names, then the native ones. An offset below the
    /// number of own names is an index into them; the rest, less that number,
    /// is the native procfs' own offset.
    ///
    /// The native ones are read from that offset on, so a long listing in many
    /// requests reads nothing twice.
    pub(super) fn list(
        &self,
        caller: &Context,
        node: Node,
        offset: u64,
        add: DirSink<'_>,
    ) -> io::Result<()> {
        let own = self.own_names(node)?;
        let count = own.len() as u64;
        for (index, (name, kind, child)) in own.iter().enumerate().skip(offset_index(offset)) {
            let entry = DirEntry {
                ino: child.id(),
                offset: index as u64 + 1,
                type_: kind_bits(*kind),
                name: name.as_bytes(),
            };
            if add(entry)? == 0 {
                return Ok(());
            }
        }
        let pid = match node {
            Node::Root => None,
            Node::Pid(pid) => {
                self.check_entered(caller, pid)?;
                Some(pid)
            }
            _ => return Ok(()),
        };
        let Some(native) = &self.native else { return Ok(()) };
        let asker = match native.hiding {
            Hiding::Nothing => None,
            _ => Some(self.asker(caller)?),
        };
        native.list(pid, offset.saturating_sub(count), |entry| {
            let (child, kind) = match (node, parse_pid(entry.name)) {
                _ if matches!(entry.name.to_bytes(), b"." | b"..") => (node, FileType::Directory),
                (Node::Root, _) if entry.name == USER_BEANCOUNTERS || entry.name == BC => {
                    return Ok(true);
                }
                (Node::Root, _) if self.is_meminfo(entry.name) => {
                    (Node::Meminfo, FileType::RegularFile)
                }
                (Node::Root, Some(pid)) if asker.as_ref().is_some_and(|a| !a.is_shown(pid)) => {
                    return Ok(true);
                }
                (Node::Root, Some(pid)) => (Node::Pid(pid), FileType::Directory),
                _ => (Node::Static(0), FileType::Symlink),
            };
            // An inode number only has to be non-zero here; lookup tells the
            // real one of a link.
            let entry = DirEntry {
                ino: child.id(),
                offset: entry.next.saturating_add(count),
                type_: kind_bits(kind),
                name: entry.name.to_bytes(),
            };
            Ok(add(entry)? != 0)
        })
    }

    fn own_names(&self, node: Node) -> io::Result<Vec<(String, FileType, Node)>> {
        let dots =
            || [".", ".."].map(|name| (name.to_owned(), FileType::Directory, node)).into_iter();
        let file =
            |name: &CStr, node| (name.to_string_lossy().into_owned(), FileType::RegularFile, node);
        Ok(match node {
            Node::Root => {
                let own = [
                    file(USER_BEANCOUNTERS, Node::UserBeancounters),
                    (BC.to_string_lossy().into_owned(), FileType::Directory, Node::BcDir),
                ];
                // A native procfs lists its own dots.
                let dots = dots().filter(|_| self.native.is_none());
                dots.chain(own).collect()
            }
            Node::BcDir => {
                let ids = self.source.ids().into_iter();
                let dirs =
                    ids.map(|id| (id.to_string(), FileType::Directory, Node::ContainerDir(id)));
                dots().chain([file(RESOURCES, Node::BcResources)]).chain(dirs).collect()
            }
            Node::ContainerDir(id) => {
                self.knows(id)?;
                dots().chain([file(RESOURCES, Node::ContainerResources(id))]).collect()
            }
            Node::Pid(_) => Vec::new(),
            Node::Native => dots().collect(),
            _ => return Err(Errno::NOTDIR.into()),
        })
    }
}

fn kind_bits(kind: FileType) -> u32 {
    match kind {
        FileType::Directory => u32::from(libc::DT_DIR),
        FileType::Symlink => u32::from(libc::DT_LNK),
        _ => u32::from(libc::DT_REG),
    }
}

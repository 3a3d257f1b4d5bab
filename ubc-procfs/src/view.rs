//! The file system a container sees: `user_beancounters` and `bc/`, and, as
//! the root directory of a container's /proc, links to everything else.
//!
//! Without a native procfs behind it the view is the plain directory that the
//! host gets under /run. With one it is the *procroot* way into a container's
//! /proc: the runtime's own procfs sits below [`NATIVE_DIR`], every static
//! name is a link into it, and processes are directories of links, so that
//! programs which refuse to follow a link at `/proc/PID` still work.

mod asker;
mod attr;
mod content;
mod file;
mod handles;
mod hiding;
mod ledger;
mod links;
mod list;
mod names;
mod native;
mod node;
mod requests;
mod status;

use std::ffi::CStr;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use fuse_backend_rs::abi::fuse_abi::stat64;
use fuse_backend_rs::api::filesystem::Context;
use rustix::io::Errno;
use ubc_core::ContainerId;

pub(crate) use asker::Askers;
pub use attr::Owner;
pub(crate) use content::Content;
pub(crate) use file::FileView;
pub(crate) use hiding::Hiding;
pub(crate) use ledger::Ledger;
pub(crate) use native::Native;
pub(crate) use status::start_time;

use crate::source::Source;
use crate::text::layout::File;
use crate::text::meminfo::{MEMINFO_LEN, MemorySize};
use crate::text::table;
use handles::Handles;
use ledger::{Opens, Table};
use names::Names;
use node::Node;

/// Where, below the view, the native procfs of a container is mounted. Never
/// listed.
pub(crate) const NATIVE_DIR: &str = ".proc";

const USER_BEANCOUNTERS: &CStr = c"user_beancounters";
const MEMINFO: &CStr = c"meminfo";
const BC: &CStr = c"bc";
const RESOURCES: &CStr = c"resources";

/// For names that mean the same as long as the view lives.
const FOREVER: Duration = Duration::from_hours(365 * 24);
/// For names the kernel adds and removes with its modules.
const A_MINUTE: Duration = Duration::from_mins(1);
/// For the attributes of processes, and for containers, whose names are given
/// out again.
const A_SECOND: Duration = Duration::from_secs(1);

/// A view of a source's beancounters, to be served over FUSE.
pub struct View {
    source: Arc<dyn Source>,
    owner: Owner,
    native: Option<Native>,
    askers: Option<Askers>,
    statics: Names,
    pid_entries: Names,
    handles: Handles,
    /// What the container's own meminfo goes by; the native one, if none.
    meminfo: Option<MemorySize>,
    /// Its opens: any user has some, and must not use up those of root.
    meminfo_handles: Handles,
    serial: AtomicU32,
}

impl View {
    /// A plain directory of the source's numbers, with nothing of /proc.
    pub fn plain(source: Arc<dyn Source>, owner: Owner) -> View {
        View::new(source, owner, None, None)
    }

    /// The root directory of the /proc whose native procfs this is, for those
    /// whom the server's own procfs tells of.
    pub(crate) fn procroot(
        source: Arc<dyn Source>,
        owner: Owner,
        native: Native,
        askers: Askers,
    ) -> View {
        View::new(source, owner, Some(native), Some(askers))
    }

    /// With a meminfo of the container's own in place of the native one.
    pub(crate) fn with_meminfo(self, meminfo: Option<MemorySize>) -> View {
        View { meminfo, ..self }
    }

    /// With a ledger of what readers get to know, for a successor; one that a
    /// predecessor wrote is gone on with.
    ///
    /// # Errors
    ///
    /// The ledger cannot be read.
    pub(crate) fn with_ledger(self, ledger: &Ledger) -> io::Result<View> {
        let before = handles::since_boot();
        Ok(View {
            statics: Names::kept(ledger, Table::Statics)?,
            pid_entries: Names::kept(ledger, Table::PidEntries)?,
            handles: Handles::kept(ledger, Opens::Beancounters, before)?,
            meminfo_handles: Handles::kept(ledger, Opens::Meminfo, before)?,
            // Far from those that were in use before.
            #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
            serial: AtomicU32::new((before >> 10) as u32),
            ..self
        })
    }

    fn new(
        source: Arc<dyn Source>,
        owner: Owner,
        native: Option<Native>,
        askers: Option<Askers>,
    ) -> View {
        View {
            source,
            owner,
            native,
            askers,
            statics: Names::default(),
            pid_entries: Names::default(),
            handles: Handles::default(),
            meminfo: None,
            meminfo_handles: Handles::default(),
            serial: AtomicU32::new(0),
        }
    }

    fn native(&self) -> io::Result<&Native> {
        self.native.as_ref().ok_or_else(not_found)
    }

    /// Whether this name in the root is the container's own meminfo.
    fn is_meminfo(&self, name: &CStr) -> bool {
        name == MEMINFO && self.meminfo.is_some()
    }

    fn handles(&self, node: Node) -> &Handles {
        if node == Node::Meminfo { &self.meminfo_handles } else { &self.handles }
    }

    fn knows(&self, id: ContainerId) -> io::Result<()> {
        if self.source.ids().contains(&id) { Ok(()) } else { Err(not_found()) }
    }

    /// What a name in a directory is for whoever asks, and how long the kernel
    /// may rely on it.
    fn find(&self, caller: &Context, parent: Node, name: &CStr) -> io::Result<(Node, Duration)> {
        match parent {
            Node::Root if name == USER_BEANCOUNTERS => Ok((Node::UserBeancounters, FOREVER)),
            Node::Root if name == BC => Ok((Node::BcDir, FOREVER)),
            Node::Root if name.to_bytes() == NATIVE_DIR.as_bytes() => {
                self.native().map(|_| (Node::Native, FOREVER))
            }
            Node::Root => match parse_pid(name) {
                // Never from memory: who waits for a process to end looks for
                // its directory, and it may be hidden from the next who looks.
                Some(pid) => {
                    self.check_shown(caller, pid).map(|()| (Node::Pid(pid), Duration::ZERO))
                }
                None if self.is_meminfo(name) => {
                    self.native()?.stat(name).map(|_| (Node::Meminfo, FOREVER))
                }
                None => self.find_static(caller, name),
            },
            Node::BcDir if name == RESOURCES => Ok((Node::BcResources, FOREVER)),
            Node::BcDir => {
                let id = parse_id(name).ok_or_else(not_found)?;
                self.knows(id)?;
                Ok((Node::ContainerDir(id), A_SECOND))
            }
            Node::ContainerDir(id) if name == RESOURCES => {
                self.knows(id)?;
                Ok((Node::ContainerResources(id), A_SECOND))
            }
            Node::Pid(pid) => self.find_in_pid(caller, pid, name),
            _ => Err(not_found()),
        }
    }

    fn attr(&self, node: Node) -> io::Result<(stat64, Duration)> {
        let (owner, count) = (self.owner, || self.source.ids().len());
        Ok(match node {
            Node::Root | Node::Native => (attr::dir(node, owner, 0o555), FOREVER),
            Node::BcDir => (attr::dir(node, owner, 0o500), FOREVER),
            Node::ContainerDir(id) => {
                self.knows(id)?;
                (attr::dir(node, owner, 0o500), A_SECOND)
            }
            Node::UserBeancounters => {
                (attr::file(node, owner, 0o400, File::UserBeancounters.len(count())), A_SECOND)
            }
            Node::BcResources => {
                (attr::file(node, owner, 0o400, File::BcResources.len(count())), A_SECOND)
            }
            Node::ContainerResources(id) => {
                self.knows(id)?;
                (attr::file(node, owner, 0o400, File::ContainerResources.len(1)), A_SECOND)
            }
            Node::Meminfo => (attr::file(node, owner, 0o444, MEMINFO_LEN), FOREVER),
            Node::Static(_) | Node::PidEntry(..) => (attr::link(node, owner), A_MINUTE),
            Node::PidLink(..) | Node::RootLink(..) => (attr::link(node, owner), Duration::ZERO),
            Node::Pid(pid) => {
                let st = self.native()?.stat_pid(pid)?;
                let owner = Owner { uid: st.st_uid, gid: st.st_gid };
                (attr::dir(node, owner, st.st_mode & 0o777), A_SECOND)
            }
        })
    }

    /// The whole text of a file, from one reading of each container in it.
    fn text(&self, node: Node) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        match node {
            Node::UserBeancounters => return Content::UserBeancounters.text(&*self.source),
            Node::Meminfo => {
                let size = self.meminfo.ok_or_else(not_found)?;
                return Content::Meminfo(size).text(&*self.source);
            }
            Node::BcResources => {
                table::write_bc_resources(&self.source.readings()?, &mut text);
            }
            Node::ContainerResources(id) => {
                self.knows(id)?;
                table::write_container_resources(&self.source.reading(id)?, &mut text);
            }
            _ => return Err(Errno::ISDIR.into()),
        }
        Ok(text)
    }
}

fn not_found() -> io::Error {
    Errno::NOENT.into()
}

fn node(id: u64) -> io::Result<Node> {
    Node::from_id(id).ok_or_else(not_found)
}

fn offset_index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// A container id as the listing spells it: no leading zeros.
fn parse_id(name: &CStr) -> Option<ContainerId> {
    let text = name.to_str().ok()?;
    let id: ContainerId = text.parse().ok()?;
    (id.to_string() == text).then_some(id)
}

/// A process id as procfs spells it: digits, no leading zero, 22 bits.
fn parse_pid(name: &CStr) -> Option<u32> {
    let text = name.to_str().ok()?;
    if text.starts_with('0') || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|pid| *pid < 1 << 22)
}

#[cfg(test)]
mod tests;

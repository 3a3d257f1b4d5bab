//! Node ids: each encodes what it names.
//!
//! Nothing is remembered per lookup, so a reader cannot make the server grow,
//! and a server that takes over a live mount understands the ids its
//! predecessor gave out.

use ubc_core::ContainerId;

/// What a node id of the view names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// The root directory.
    Root,
    /// `user_beancounters`.
    UserBeancounters,
    /// `bc`.
    BcDir,
    /// `bc/resources`.
    BcResources,
    /// `bc/ID`.
    ContainerDir(ContainerId),
    /// `bc/ID/resources`.
    ContainerResources(ContainerId),
    /// The directory the native procfs is mounted on.
    Native,
    /// The container's own `meminfo`.
    Meminfo,
    /// A name in the root of the native procfs, by index into [`super::names::Names`].
    Static(u16),
    /// The directory of a process.
    Pid(u32),
    /// An entry of a process directory that links into the native procfs.
    PidEntry(u32, u16),
    /// `exe`, `cwd` or `root` of a process, for who reads the link: its text
    /// changes. The serial number makes each lookup a new inode, because the
    /// kernel keeps the text of a link for as long as its inode lives.
    PidLink(u32, u16, u32),
    /// The same of a name in the root: `self`, `thread-self`, `mounts`, `net`.
    RootLink(u16, u32),
}

const KIND_SHIFT: u32 = 60;
const ENTRY_SHIFT: u32 = 48;
const SERIAL_SHIFT: u32 = 22;
/// Linux never gives out a pid of more than 22 bits (`PID_MAX_LIMIT`).
const PID_MASK: u64 = (1 << SERIAL_SHIFT) - 1;
const SERIAL_MASK: u64 = (1 << (ENTRY_SHIFT - SERIAL_SHIFT)) - 1;
/// Entries of a process directory and static names each get 12 bits.
pub(super) const MAX_NAMES: usize = 1 << (KIND_SHIFT - ENTRY_SHIFT);

const FIXED: u64 = 0;
const CONTAINER_DIR: u64 = 1;
const CONTAINER_RESOURCES: u64 = 2;
const STATIC: u64 = 3;
const PID: u64 = 4;
const PID_ENTRY: u64 = 5;
const PID_LINK: u64 = 6;
const ROOT_LINK: u64 = 7;

impl Node {
    /// The node id the kernel sees; also the inode number.
    pub(super) fn id(self) -> u64 {
        match self {
            Node::Root => 1,
            Node::UserBeancounters => 2,
            Node::BcDir => 3,
            Node::BcResources => 4,
            Node::Native => 5,
            Node::Meminfo => 6,
            Node::ContainerDir(id) => CONTAINER_DIR << KIND_SHIFT | u64::from(id.get()),
            Node::ContainerResources(id) => CONTAINER_RESOURCES << KIND_SHIFT | u64::from(id.get()),
            Node::Static(name) => STATIC << KIND_SHIFT | u64::from(name),
            Node::Pid(pid) => PID << KIND_SHIFT | u64::from(pid),
            Node::PidEntry(pid, name) => {
                PID_ENTRY << KIND_SHIFT | u64::from(name) << ENTRY_SHIFT | u64::from(pid)
            }
            Node::PidLink(pid, name, serial) => {
                PID_LINK << KIND_SHIFT
                    | u64::from(name) << ENTRY_SHIFT
                    | (u64::from(serial) & SERIAL_MASK) << SERIAL_SHIFT
                    | u64::from(pid)
            }
            Node::RootLink(name, serial) => {
                ROOT_LINK << KIND_SHIFT
                    | u64::from(name) << ENTRY_SHIFT
                    | (u64::from(serial) & SERIAL_MASK) << SERIAL_SHIFT
            }
        }
    }

    /// What the id names; `None` for an id the view never gave out.
    #[expect(clippy::cast_possible_truncation, reason = "each field is masked to its width")]
    pub(super) fn from_id(id: u64) -> Option<Node> {
        let low = id & ((1 << ENTRY_SHIFT) - 1);
        let name = (id >> ENTRY_SHIFT & (MAX_NAMES as u64 - 1)) as u16;
        let pid = (id & PID_MASK) as u32;
        let serial = (id >> SERIAL_SHIFT & SERIAL_MASK) as u32;
        match id >> KIND_SHIFT {
            FIXED => match id {
                1 => Some(Node::Root),
                2 => Some(Node::UserBeancounters),
                3 => Some(Node::BcDir),
                4 => Some(Node::BcResources),
                5 => Some(Node::Native),
                6 => Some(Node::Meminfo),
                _ => None,
            },
            CONTAINER_DIR | CONTAINER_RESOURCES => {
                let container = ContainerId::new(u32::try_from(low).ok()?).ok()?;
                Some(if id >> KIND_SHIFT == CONTAINER_DIR {
                    Node::ContainerDir(container)
                } else {
                    Node::ContainerResources(container)
                })
            }
            STATIC if low < MAX_NAMES as u64 => Some(Node::Static(low as u16)),
            PID => Some(Node::Pid(pid)),
            PID_ENTRY => Some(Node::PidEntry(pid, name)),
            PID_LINK => Some(Node::PidLink(pid, name, serial)),
            ROOT_LINK if pid == 0 => Some(Node::RootLink(name, serial)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;

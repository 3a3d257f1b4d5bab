//! The namespaces that a container's tasks are in, and who they are there.

use std::collections::BTreeMap;

use super::Sight;

const MET_SIZE: usize = 24;

/// Where a container's tasks live, as far as somebody is alive there: a task
/// that ended has left its namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Each network, IPC and mount namespace once.
    pub namespaces: Vec<Namespace>,
    /// Each user of each user namespace once.
    pub users: Vec<User>,
    /// Tasks in the user namespace of the machine, or of this process.
    pub at_home: u64,
    /// Signals that are pending for these: one for each number and task, however
    /// many are queued.
    pub pending: u64,
}

/// Kinds of namespace that are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamespaceKind {
    /// `/proc/PID/ns/net`.
    Net,
    /// `/proc/PID/ns/ipc`.
    Ipc,
    /// `/proc/PID/ns/mnt`.
    Mnt,
}

/// A namespace with a task of the container in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// What kind.
    pub kind: NamespaceKind,
    /// Inode number of its file.
    pub inode: u32,
    /// A process that was in it, by its number in the machine's pid namespace.
    pub pid: u32,
}

/// A user as one user namespace knows him.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// Inode number of the user namespace's file.
    pub namespace: u32,
    /// Signals queued for all his processes there (`SigQ` in `/proc`).
    pub signals: u64,
}

/// The user namespaces of the machine's first process and of this one.
pub(super) fn home() -> [u32; 2] {
    ["/proc/1/ns/user", "/proc/self/ns/user"].map(|path| {
        let inode = rustix::fs::stat(path).map_or(0, |stat| stat.st_ino);
        u32::try_from(inode).unwrap_or(0)
    })
}

/// Adds one that a pass listed (`struct ubc_met`) to its container's.
pub(super) fn add(value: &[u8], seen: &mut BTreeMap<u32, Sight>) {
    let Some([slot, kind, number, pid, low, high]) = words(value) else { return };
    let sight = seen.get_mut(&slot);
    let Some(to) = sight.and_then(|sight| sight.surroundings.as_mut()) else { return };
    let kind = match kind {
        0 => NamespaceKind::Net,
        1 => NamespaceKind::Ipc,
        2 => NamespaceKind::Mnt,
        _ => {
            let [one, other] = [low.to_ne_bytes(), high.to_ne_bytes()];
            let signals = [one, other].as_flattened().try_into().map_or(0, u64::from_ne_bytes);
            to.users.push(User { namespace: number, signals });
            return;
        }
    };
    to.namespaces.push(Namespace { kind, inode: number, pid });
}

fn words(value: &[u8]) -> Option<[u32; MET_SIZE / 4]> {
    let (words, rest) = value.as_chunks::<4>();
    let words: [[u8; 4]; MET_SIZE / 4] = words.try_into().ok()?;
    rest.is_empty().then(|| words.map(u32::from_ne_bytes))
}

//! What a pass counts of a container, as the program sees it (bpf/observe.h).

use super::surroundings::Surroundings;

const SIZE: usize = 21 * 8;
const ORDER_SIZE: usize = 16;
const WANT_MEMORY: u64 = 1;
const WANT_FILES: u64 = 2;
const TOO_MANY: u64 = 4;
const WANT_SURROUNDINGS: u64 = 8;
const SURROUNDINGS_UNSEEN: u64 = 16;

/// What to look at besides the tasks, which cost nothing more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Address spaces: a few fields of each.
    pub memory: bool,
    /// Every descriptor.
    pub files: bool,
    /// The namespaces of each task, and what waits for it.
    pub surroundings: bool,
}

impl Look {
    /// Everything.
    pub const ALL: Look = Look { memory: true, files: true, surroundings: true };

    pub(super) fn and(self, other: Look) -> Look {
        Look {
            memory: self.memory || other.memory,
            files: self.files || other.files,
            surroundings: self.surroundings || other.surroundings,
        }
    }

    pub(super) fn covers(self, other: Look) -> bool {
        self.and(other) == self
    }
}

/// What a container and the containers in it held during a pass. Parts that
/// were not looked at, or not all of them, are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// What was asked for.
    pub(super) looked: Look,
    /// Tasks until they are reaped: threads and zombies included. Exact.
    pub tasks: Option<u64>,
    /// Its address spaces.
    pub memory: Option<Memory>,
    /// Its files.
    pub files: Option<Files>,
    /// Its namespaces and users.
    pub surroundings: Option<Surroundings>,
}

/// Address spaces, each counted once however many tasks share it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Pages of private writable mappings and stacks, mapped or not
    /// (`data_vm` and `stack_vm`, `VmData` and `VmStk` in `/proc`).
    pub private_pages: u64,
    /// Pages of locked mappings (`locked_vm`, `VmLck`): without segments locked
    /// by SHM_LOCK, and huge pages.
    pub locked_pages: u64,
}

/// Open files that a descriptor of one of its processes leads to, each counted
/// once however many do. Not seen are files on their way through a unix socket
/// (SCM_RIGHTS), and files that only a mapping, an io_uring or the kernel holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// All of them, sockets and O_PATH ones included.
    pub files: u64,
    /// Masters of pseudo-terminals.
    pub ptys: u64,
    /// TCP and MPTCP sockets. Not seen are those without a file: closed and
    /// still sending, or not accepted yet.
    pub tcp_sockets: u64,
    /// Sockets of every other kind; of those without a file the same is true.
    pub other_sockets: u64,
    /// Bytes these TCP sockets have queued to send (`sk_wmem_queued`).
    pub tcp_send: u64,
    /// Bytes they have not been asked for yet (`sk_rmem_alloc`).
    pub tcp_receive: u64,
    /// Bytes the others have sent and nobody took (`sk_wmem_alloc`). What a
    /// unix socket waits to receive is in its sender's.
    pub other_send: u64,
    /// Bytes the others have not been asked for yet (`sk_rmem_alloc`).
    pub other_receive: u64,
    /// Files whose inode has locks, of whomever (`flock`, POSIX or OFD). Without
    /// any, no file of the container has one.
    pub locked_files: u64,
}

/// A slot that asks to be looked at.
pub(super) fn encode(pass: u64, look: Look) -> [u8; SIZE] {
    let mut value = [0; SIZE];
    let mut flags = 0;
    if look.memory {
        flags |= WANT_MEMORY;
    }
    if look.files {
        flags |= WANT_FILES;
    }
    if look.surroundings {
        flags |= WANT_SURROUNDINGS;
    }
    value[..8].copy_from_slice(&pass.to_ne_bytes());
    value[8..16].copy_from_slice(&flags.to_ne_bytes());
    value
}

/// `struct ubc_order`.
pub(super) fn encode_order(pass: u64, [one, other]: [u32; 2]) -> [u8; ORDER_SIZE] {
    let mut value = [0; ORDER_SIZE];
    value[..8].copy_from_slice(&pass.to_ne_bytes());
    value[8..12].copy_from_slice(&one.to_ne_bytes());
    value[12..].copy_from_slice(&other.to_ne_bytes());
    value
}

/// What was counted in this pass, and how many namespaces and users are listed
/// elsewhere; `blind`: some tasks' container is unknown.
pub(super) fn decode(value: &[u8], pass: u64, look: Look, blind: bool) -> Option<(Sight, u32)> {
    let (words, rest) = value.as_chunks::<8>();
    let words: [[u8; 8]; SIZE / 8] = words.try_into().ok()?;
    let [of, flags, tasks, private_pages, locked_pages, files, ptys, rest_of @ ..] =
        words.map(u64::from_ne_bytes);
    let [tcp_sockets, other_sockets, tcp_send, tcp_receive, rest_of @ ..] = rest_of;
    let [other_send, other_receive, locked_files, _, _, met, at_home, pending, _, _] = rest_of;
    if !rest.is_empty() || of != pass {
        return None;
    }
    let met = u32::try_from(met).ok()?;
    if blind {
        return Some((Sight { looked: look, ..Sight::default() }, met));
    }
    let whole = flags & TOO_MANY == 0;
    let listed = whole && flags & SURROUNDINGS_UNSEEN == 0;
    let sight = Sight {
        looked: look,
        tasks: Some(tasks),
        memory: (look.memory && whole).then_some(Memory { private_pages, locked_pages }),
        files: (look.files && whole).then_some(Files {
            files,
            ptys,
            tcp_sockets,
            other_sockets,
            tcp_send,
            tcp_receive,
            other_send,
            other_receive,
            locked_files,
        }),
        surroundings: (look.surroundings && listed).then(|| Surroundings {
            at_home,
            pending,
            ..Surroundings::default()
        }),
    };
    Some((sight, met))
}

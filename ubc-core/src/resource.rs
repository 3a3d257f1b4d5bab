//! The resources: OpenVZ's slots, names, units and classes.

use core::fmt;
use core::ops::{Index, IndexMut};

/// One of the 21 resources a beancounter counts.
///
/// The discriminant is OpenVZ's slot number: the row order of
/// `/proc/user_beancounters` and the resource id of its system calls
/// (042stab `include/bc/beancounter.h`). Slots 4 and 20 to 22 are dummies of
/// the format and are not resources; see [`SLOTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[repr(u8)]
pub enum Resource {
    /// Kernel memory held for the container, in bytes.
    KmemSize = 0,
    /// Memory locked by `mlock(2)` and its kin, in pages.
    LockedPages = 1,
    /// Private and potentially private address space, in pages.
    PrivvmPages = 2,
    /// Shared memory: System V segments, tmpfs and memfd, in pages.
    ShmPages = 3,
    /// Tasks: processes, threads and zombies.
    NumProc = 5,
    /// Resident memory, in pages.
    PhysPages = 6,
    /// Address space guaranteed to be granted, in pages. A guarantee: its
    /// barrier is the promise, it holds nothing.
    VmGuarPages = 7,
    /// Memory guaranteed to survive an out-of-memory kill, in pages. Its
    /// failcnt counts kills.
    OomGuarPages = 8,
    /// TCP sockets.
    NumTcpSock = 9,
    /// File locks.
    NumFlock = 10,
    /// Pseudo-terminals.
    NumPty = 11,
    /// Queued signals with information attached.
    NumSigInfo = 12,
    /// TCP send buffers, in bytes.
    TcpSndBuf = 13,
    /// TCP receive buffers, in bytes.
    TcpRcvBuf = 14,
    /// Send buffers of all other sockets, in bytes.
    OtherSockBuf = 15,
    /// Receive buffers of datagram sockets, in bytes.
    DgramRcvBuf = 16,
    /// Sockets that are not TCP.
    NumOtherSock = 17,
    /// Directory and inode cache pinned by the container, in bytes.
    DcacheSize = 18,
    /// Open files (open file descriptions, not descriptors).
    NumFile = 19,
    /// Packet filter rules.
    NumIptEnt = 23,
    /// Swap space, in pages.
    SwapPages = 24,
}

/// How a resource is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Pages of the machine (4096 bytes on x86-64).
    Pages,
    /// Pieces.
    Count,
}

/// OpenVZ's classification of a resource, for those who choose limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Directly bought: numproc, the socket counts, vmguarpages.
    Primary,
    /// Follows from the primary ones: memory and buffers.
    Secondary,
    /// Fault isolation only.
    Auxiliary,
}

/// OpenVZ's 25 slots in order; `None` is a dummy of the format.
pub const SLOTS: [Option<Resource>; 25] = slots();

/// How many slots `/proc/user_beancounters` shows: the first 24, dummies
/// included, swappages (slot 24) excluded.
pub const VISIBLE_SLOTS: usize = 24;

/// Slot number to position in [`Resource::ALL`]; dummies map to 255.
const DENSE: [u8; 25] = dense();

const fn slots() -> [Option<Resource>; 25] {
    let mut slots = [None; 25];
    let mut i = 0;
    while i < Resource::ALL.len() {
        slots[Resource::ALL[i] as usize] = Some(Resource::ALL[i]);
        i += 1;
    }
    slots
}

const fn dense() -> [u8; 25] {
    let mut dense = [u8::MAX; 25];
    let mut i = 0;
    while i < Resource::ALL.len() {
        #[expect(clippy::cast_possible_truncation, reason = "21 resources")]
        let position = i as u8;
        dense[Resource::ALL[i] as usize] = position;
        i += 1;
    }
    dense
}

impl Resource {
    /// Every resource, in slot order.
    pub const ALL: [Resource; 21] = [
        Resource::KmemSize,
        Resource::LockedPages,
        Resource::PrivvmPages,
        Resource::ShmPages,
        Resource::NumProc,
        Resource::PhysPages,
        Resource::VmGuarPages,
        Resource::OomGuarPages,
        Resource::NumTcpSock,
        Resource::NumFlock,
        Resource::NumPty,
        Resource::NumSigInfo,
        Resource::TcpSndBuf,
        Resource::TcpRcvBuf,
        Resource::OtherSockBuf,
        Resource::DgramRcvBuf,
        Resource::NumOtherSock,
        Resource::DcacheSize,
        Resource::NumFile,
        Resource::NumIptEnt,
        Resource::SwapPages,
    ];

    /// How many resources there are.
    pub const COUNT: usize = Self::ALL.len();

    /// OpenVZ's slot number, 0 to 24.
    pub const fn slot(self) -> usize {
        self as usize
    }

    /// Position in [`Resource::ALL`], 0 to 20: slots without the dummies.
    pub const fn index(self) -> usize {
        DENSE[self as usize] as usize
    }

    /// The name as the file prints it, at most 12 characters.
    pub const fn name(self) -> &'static str {
        match self {
            Resource::KmemSize => "kmemsize",
            Resource::LockedPages => "lockedpages",
            Resource::PrivvmPages => "privvmpages",
            Resource::ShmPages => "shmpages",
            Resource::NumProc => "numproc",
            Resource::PhysPages => "physpages",
            Resource::VmGuarPages => "vmguarpages",
            Resource::OomGuarPages => "oomguarpages",
            Resource::NumTcpSock => "numtcpsock",
            Resource::NumFlock => "numflock",
            Resource::NumPty => "numpty",
            Resource::NumSigInfo => "numsiginfo",
            Resource::TcpSndBuf => "tcpsndbuf",
            Resource::TcpRcvBuf => "tcprcvbuf",
            Resource::OtherSockBuf => "othersockbuf",
            Resource::DgramRcvBuf => "dgramrcvbuf",
            Resource::NumOtherSock => "numothersock",
            Resource::DcacheSize => "dcachesize",
            Resource::NumFile => "numfile",
            Resource::NumIptEnt => "numiptent",
            Resource::SwapPages => "swappages",
        }
    }

    /// The resource with this name, as the file prints it (lower case).
    pub fn from_name(name: &str) -> Option<Resource> {
        Self::ALL.into_iter().find(|r| r.name() == name)
    }

    /// What its numbers count.
    pub const fn unit(self) -> Unit {
        match self {
            Resource::KmemSize
            | Resource::TcpSndBuf
            | Resource::TcpRcvBuf
            | Resource::OtherSockBuf
            | Resource::DgramRcvBuf
            | Resource::DcacheSize => Unit::Bytes,
            Resource::LockedPages
            | Resource::PrivvmPages
            | Resource::ShmPages
            | Resource::PhysPages
            | Resource::VmGuarPages
            | Resource::OomGuarPages
            | Resource::SwapPages => Unit::Pages,
            Resource::NumProc
            | Resource::NumTcpSock
            | Resource::NumFlock
            | Resource::NumPty
            | Resource::NumSigInfo
            | Resource::NumOtherSock
            | Resource::NumFile
            | Resource::NumIptEnt => Unit::Count,
        }
    }

    /// OpenVZ's class (its page "UBC parameters").
    pub const fn class(self) -> Class {
        match self {
            Resource::NumProc
            | Resource::NumTcpSock
            | Resource::NumOtherSock
            | Resource::VmGuarPages => Class::Primary,
            Resource::KmemSize
            | Resource::TcpSndBuf
            | Resource::TcpRcvBuf
            | Resource::OtherSockBuf
            | Resource::DgramRcvBuf
            | Resource::OomGuarPages
            | Resource::PrivvmPages => Class::Secondary,
            Resource::LockedPages
            | Resource::ShmPages
            | Resource::PhysPages
            | Resource::NumFile
            | Resource::NumFlock
            | Resource::NumPty
            | Resource::NumSigInfo
            | Resource::DcacheSize
            | Resource::NumIptEnt
            | Resource::SwapPages => Class::Auxiliary,
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Unit::Bytes => "bytes",
            Unit::Pages => "pages",
            Unit::Count => "count",
        })
    }
}

/// One value for each resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PerResource<T>([T; Resource::COUNT]);

impl<T> PerResource<T> {
    /// Makes the value of each resource, in slot order.
    pub fn from_fn(mut make: impl FnMut(Resource) -> T) -> Self {
        PerResource(core::array::from_fn(|i| make(Resource::ALL[i])))
    }

    /// Each resource with its value, in slot order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Resource, &T)> {
        Resource::ALL.into_iter().zip(self.0.iter())
    }

    /// Each resource with its value to change, in slot order.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (Resource, &mut T)> {
        Resource::ALL.into_iter().zip(self.0.iter_mut())
    }
}

impl<T> Index<Resource> for PerResource<T> {
    type Output = T;

    fn index(&self, resource: Resource) -> &T {
        &self.0[resource.index()]
    }
}

impl<T> IndexMut<Resource> for PerResource<T> {
    fn index_mut(&mut self, resource: Resource) -> &mut T {
        &mut self.0[resource.index()]
    }
}

#[cfg(feature = "serde")]
mod serde_impl;

#[cfg(test)]
mod tests;

//! The mechanisms: one object of kernel programs each.
//!
//! A mechanism does all that one or more rows need, and works whole or not at
//! all. Where kernels differ there are several for a row, best first; the
//! first one that loads and passes its self-test is taken.
//!
//! Programs in a section whose name starts with `?` are taken where the kernel
//! has what they attach to and left out where it does not; all others are
//! needed. `sockops` programs see the sockets of every cgroup. `iter/` programs
//! are seeds ([`crate::seeds`]): run for a container that is taken over, they record
//! what it holds already.

use ubc_core::Resource;

/// An object of kernel programs.
#[derive(Debug)]
pub struct Mechanism {
    /// Its name, that of its source file: `numproc`.
    pub name: &'static str,
    /// The rows it counts.
    pub resources: &'static [Resource],
    /// Those of them that it refuses. The others it counts just as exactly, but a
    /// limit of theirs is nobody's.
    pub refused: &'static [Resource],
    /// Kernel modules whose functions it attaches to, with spaces between
    /// them: they are loaded first.
    pub(crate) module: Option<&'static str>,
    pub(crate) object: &'static [u8],
    /// What refuses in its name, where that stands in the way of every process:
    /// attached only while a container has a limit of these rows.
    pub(crate) gates: Option<&'static Mechanism>,
}

impl Mechanism {
    /// Whether it refuses a row.
    pub fn refuses(&self, resource: Resource) -> bool {
        self.refused.contains(&resource)
    }

    /// The rows it counts, by slot number.
    pub(crate) fn rows(&self) -> u64 {
        self.resources.iter().fold(0, |rows, resource| rows | 1 << *resource as u8)
    }
}

macro_rules! object {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".bpf.o"))
    };
}

macro_rules! mechanism {
    ($name:literal, [$($resource:ident),*]) => {
        mechanism!($name, [$($resource),*], None)
    };
    ($name:literal, [$($resource:ident),*], $module:expr) => {
        Mechanism {
            name: $name,
            resources: &[$(Resource::$resource),*],
            refused: &[$(Resource::$resource),*],
            module: $module,
            object: object!($name),
            gates: None,
        }
    };
}

/// One whose refusals are another object's.
macro_rules! gated {
    ($name:literal, [$($resource:ident),*], $gates:literal) => {
        Mechanism {
            gates: Some(&mechanism!($gates, [])),
            ..mechanism!($name, [$($resource),*])
        }
    };
}

/// One of whose rows the kernel lets nobody refuse some, or any.
macro_rules! observer {
    ($name:literal, [$($resource:ident),*]) => {
        observer!($name, [$($resource),*], [])
    };
    ($name:literal, [$($resource:ident),*], [$($refused:ident),*]) => {
        Mechanism {
            refused: &[$(Resource::$refused),*],
            ..mechanism!($name, [$($resource),*])
        }
    };
}

/// Knows which container a cgroup is in; all others need it.
pub(crate) static MEMBERSHIP: Mechanism = mechanism!("membership", []);

/// Every mechanism, those of one row best first.
pub static MECHANISMS: &[Mechanism] = &[
    mechanism!("numproc", [NumProc]),
    mechanism!("numfile", [NumFile]),
    observer!("memory", [PrivvmPages, ShmPages, LockedPages], [PrivvmPages, ShmPages]),
    mechanism!("numflock", [NumFlock]),
    mechanism!("numflock_lists", [NumFlock]),
    gated!("numpty", [NumPty], "numpty_gate"),
    mechanism!("numsiginfo", [NumSigInfo]),
    mechanism!("sockets", [NumTcpSock, NumOtherSock]),
    mechanism!("rcvbufs", [TcpRcvBuf, DgramRcvBuf]),
    mechanism!("tcpsndbuf", [TcpSndBuf]),
    observer!("tcpsndbuf_counted", [TcpSndBuf]),
    observer!("othersockbuf", [OtherSockBuf]),
    mechanism!("numiptent", [NumIptEnt], Some("nf_tables x_tables")),
    // Of several programs at one place the last one attached comes first. What
    // these gates refuse the others have not counted yet, and need not give back.
    gated!("kmemsize", [KmemSize], "kmemsize_gates"),
];

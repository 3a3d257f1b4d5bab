//! Kernel interfaces, each found by trying it.

use std::path::Path;

use crate::meter::netlink::{self, Family};
use crate::sys;

/// Which kernel interfaces work here, for a root process in the host's
/// namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one independent yes or no each")]
pub struct Capabilities {
    /// `/dev/fuse` exists: views can be served.
    pub fuse: bool,
    /// `kcmp(2)` orders open files: numfile is exact.
    pub kcmp: bool,
    /// `/proc/PID/task/TID/children`: zombies can be found.
    pub children: bool,
    /// sock_diag answers for TCP and UDP.
    pub inet_diag: bool,
    /// sock_diag answers for unix sockets.
    pub unix_diag: bool,
    /// nf_tables answers a rule dump.
    pub nf_tables: bool,
    /// `/proc/pressure/memory` exists.
    pub pressure: bool,
    /// User namespaces exist.
    pub user_namespaces: bool,
    /// `vm.overcommit_memory` is 0 or 1: address space is granted without
    /// being accounted.
    pub overcommit: bool,
}

impl Capabilities {
    /// A kernel that has them all.
    pub(super) const ALL: Capabilities = Capabilities {
        fuse: true,
        kcmp: true,
        children: true,
        inet_diag: true,
        unix_diag: true,
        nf_tables: true,
        pressure: true,
        user_namespaces: true,
        overcommit: true,
    };

    /// Tries each interface once.
    pub fn probe() -> Capabilities {
        let own = std::process::id();
        Capabilities {
            fuse: Path::new("/dev/fuse").exists(),
            kcmp: sys::compare_address_spaces(own, own).is_ok_and(std::cmp::Ordering::is_eq),
            children: Path::new("/proc/thread-self/children").exists(),
            inet_diag: netlink::works(Family::Inet),
            unix_diag: netlink::works(Family::Unix),
            nf_tables: netlink::works(Family::NfTables),
            pressure: Path::new("/proc/pressure/memory").exists(),
            user_namespaces: Path::new("/proc/self/ns/user").exists(),
            overcommit: std::fs::read("/proc/sys/vm/overcommit_memory")
                .is_ok_and(|text| matches!(text.trim_ascii(), b"0" | b"1")),
        }
    }
}

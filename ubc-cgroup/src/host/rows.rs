//! What can be said of each row before any container is looked at.

use ubc_core::{PerResource, Resource};

use super::Host;
use crate::limiter::not_applied;
use crate::meter::default_reason;
use crate::{Bound, Capabilities, Enforced, Metered, RowStatus};

/// What a machine offers to the rows.
#[derive(Clone, Copy)]
struct Offer {
    memory: bool,
    pids: bool,
    can: Capabilities,
}

/// How each row is measured and enforced on a machine whose cgroup v2
/// hierarchy has these controllers, if the kernel has every other interface.
/// For documentation: nothing is looked at, nothing is proven.
pub fn expected(controllers: &[&str]) -> PerResource<RowStatus> {
    let offer = Offer {
        memory: controllers.contains(&"memory"),
        pids: controllers.contains(&"pids"),
        can: Capabilities::ALL,
    };
    offer.rows()
}

impl Host {
    /// How each row would be measured and enforced for a container here, as
    /// far as the controllers and interfaces tell; nothing is proven. After a
    /// reading, [`crate::Meters::metered`] knows better: namespaces differ.
    pub fn rows(&self) -> PerResource<RowStatus> {
        let offer = Offer {
            memory: self.has_controller("memory"),
            pids: self.has_controller("pids"),
            can: *self.capabilities(),
        };
        offer.rows()
    }
}

impl Offer {
    fn rows(self) -> PerResource<RowStatus> {
        PerResource::from_fn(|resource| RowStatus {
            metered: self.metered(resource),
            enforced: self.enforced(resource),
        })
    }

    fn metered(self, resource: Resource) -> Metered {
        let Offer { memory, pids, can } = self;
        let by = |source: &'static str, bound| Metered::By { source: source.into(), bound };
        match resource {
            Resource::KmemSize if memory => by("memory.stat kernel", Bound::Near),
            Resource::DcacheSize if memory => by("memory.stat slab_reclaimable", Bound::Upper),
            Resource::PhysPages if memory => by("memory.current", Bound::Exact),
            Resource::SwapPages if memory => by("memory.swap.current", Bound::Exact),
            Resource::ShmPages if memory => by("memory.stat shmem", Bound::Near),
            Resource::OomGuarPages if memory => by("memory.stat anon+...", Bound::Near),
            Resource::KmemSize | Resource::DcacheSize | Resource::VmGuarPages => {
                Metered::Absent(default_reason(resource).into())
            }
            Resource::PhysPages => by("Pss", Bound::Lower),
            Resource::SwapPages => by("VmSwap", Bound::Lower),
            Resource::ShmPages => by("SysV shm + tmpfs", Bound::Lower),
            Resource::OomGuarPages => by("Pss_Anon + VmSwap", Bound::Near),
            Resource::NumProc if pids => by("pids.current", Bound::Exact),
            Resource::NumProc if can.children => by("threads + zombies", Bound::Exact),
            Resource::NumProc => by("threads", Bound::Lower),
            Resource::LockedPages => by("VmLck", Bound::Near),
            Resource::PrivvmPages => by("VmData + VmStk + shmpages", Bound::Near),
            Resource::NumFile if can.kcmp => by("fds", Bound::Near),
            Resource::NumFile => by("fds, shared ones counted twice", Bound::Upper),
            Resource::NumPty if can.kcmp => by("fds of /dev/ptmx", Bound::Exact),
            Resource::NumPty => by("fds of /dev/ptmx", Bound::Upper),
            Resource::NumFlock => by("/proc/locks", Bound::Exact),
            Resource::NumSigInfo => by("SigQ", Bound::Near),
            Resource::NumTcpSock | Resource::NumOtherSock if can.inet_diag && can.unix_diag => {
                by("sock_diag + fds", Bound::Exact)
            }
            Resource::TcpSndBuf | Resource::TcpRcvBuf | Resource::DgramRcvBuf if can.inet_diag => {
                by("sock_diag", Bound::Near)
            }
            Resource::OtherSockBuf if can.inet_diag && can.unix_diag => {
                by("sock_diag", Bound::Near)
            }
            Resource::NumTcpSock
            | Resource::NumOtherSock
            | Resource::TcpSndBuf
            | Resource::TcpRcvBuf
            | Resource::OtherSockBuf
            | Resource::DgramRcvBuf => Metered::Absent("no sock_diag here".into()),
            Resource::NumIptEnt if can.nf_tables => by("nf_tables + iptables", Bound::Near),
            Resource::NumIptEnt => by("iptables", Bound::Near),
        }
    }

    fn enforced(self, resource: Resource) -> Enforced {
        let Offer { memory, pids, can } = self;
        match resource {
            Resource::PhysPages if memory => Enforced::By { file: "memory.max", proven: false },
            Resource::SwapPages if memory => {
                Enforced::By { file: "memory.swap.max", proven: false }
            }
            Resource::OomGuarPages if memory => Enforced::Guarantee("memory.low, oom_score_adj"),
            Resource::VmGuarPages if can.overcommit => Enforced::Guarantee("vm.overcommit_memory"),
            Resource::NumProc if pids => Enforced::By { file: "pids.max", proven: false },
            other => not_applied(other),
        }
    }
}

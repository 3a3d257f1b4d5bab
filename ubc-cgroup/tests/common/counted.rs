//! The programs of a test of its own, and two meters on one container.

use std::path::PathBuf;
use std::sync::Arc;

use ubc_cgroup::ubc_bpf::{Enforcer, Options, Sizes};
use ubc_cgroup::{Account, Cgroup, Host, Meters, Programs};
use ubc_core::{ContainerId, Observation, PerResource, Resource};

use super::skip;

/// Programs that nobody else uses; they go with it. Only one at a time: others would
/// count, too.
pub struct Installed {
    programs: Option<Arc<Programs>>,
    root: PathBuf,
}

impl Installed {
    /// `None`, with the reason printed, where the kernel takes no programs. One
    /// that takes some must take passes over tasks, and they must be right.
    pub fn new(host: &Host) -> Option<Installed> {
        let root = PathBuf::from(format!("/sys/fs/bpf/ubc-cgroup-test-{}", std::process::id()));
        let sizes = Sizes { containers: 128, cgroups: 1024, objects: 1 << 18, events: 1 << 16 };
        let options = Options { root: root.clone(), sizes };
        let programs = match Programs::open(host, &options) {
            Ok(programs) => programs,
            Err(error) => {
                skip(error);
                return None;
            }
        };
        let installed = Installed { programs: Some(Arc::clone(&programs)), root };
        assert_eq!(programs.passes(), Ok(()));
        Some(installed)
    }

    pub fn programs(&self) -> &Programs {
        self.programs.as_ref().unwrap()
    }

    pub fn account(&self, id: u32, cgroup: &Cgroup) -> Arc<Account> {
        let programs = self.programs.as_ref().unwrap();
        let id = ContainerId::new(id).unwrap();
        Arc::new(Account::take_over(programs, id, cgroup).unwrap())
    }

    /// Meters of a container as the daemon has them.
    pub fn all_meters(&self, host: &Host, id: u32, cgroup: Cgroup) -> Meters {
        let account = self.account(id, &cgroup);
        let mut meters = Meters::open(host, cgroup).unwrap();
        account.meters().into_iter().for_each(|meter| meters.add(meter));
        meters
    }

    /// Meters of a container that ask the programs first.
    pub fn meters(&self, host: &Host, id: u32, cgroup: Cgroup) -> Meters {
        let account = self.account(id, &cgroup);
        let mut meters = Meters::open(host, cgroup).unwrap();
        // Not those that count as it happens: passes are looked at here.
        let [passes, _] = account.meters();
        meters.add(passes);
        meters
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        drop(self.programs.take());
        // Whoever serves the numbers of a container learns of its end a little later.
        for _ in 0..500 {
            match Enforcer::uninstall(&self.root) {
                Err(ubc_bpf::Error::InUse { .. }) => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                _ => break,
            }
        }
    }
}

/// Rows that a pass finds.
pub const ROWS: [Resource; 11] = [
    Resource::NumProc,
    Resource::LockedPages,
    Resource::PrivvmPages,
    Resource::NumFile,
    Resource::NumPty,
    Resource::NumTcpSock,
    Resource::NumOtherSock,
    Resource::TcpSndBuf,
    Resource::TcpRcvBuf,
    Resource::OtherSockBuf,
    Resource::DgramRcvBuf,
];

/// Rows that are the same with a pass as without, where they come from included:
/// it only tells where to look.
pub const LIKEWISE: [Resource; 4] =
    [Resource::NumFlock, Resource::NumSigInfo, Resource::NumIptEnt, Resource::ShmPages];

/// Both meters on a container whose processes stand still; all rows of a pass
/// must be the same. The rows, as the pass found them.
pub fn both(plain: &mut Meters, passing: &mut Meters, what: &str) -> PerResource<Observation> {
    let (slow, fast) = (plain.read().unwrap(), passing.read().unwrap());
    same(plain, passing, (&slow, &fast), what);
    fast
}

/// As [`both`], of numbers that were read already: the slow ones and the fast.
pub fn same(
    plain: &Meters,
    passing: &Meters,
    (slow, fast): (&PerResource<Observation>, &PerResource<Observation>),
    what: &str,
) {
    for resource in ROWS {
        let source = passing.metered()[resource].to_string();
        let better = source.starts_with("pids.current");
        assert!(better || source.starts_with("bpf iter/task"), "{resource}: {source}");
        assert_eq!(fast[resource].held, slow[resource].held, "{what}: {resource}, by {source}");
    }
    for resource in LIKEWISE {
        assert_eq!(fast[resource].held, slow[resource].held, "{what}: {resource}");
        assert_eq!(passing.metered()[resource], plain.metered()[resource], "{what}: {resource}");
    }
}

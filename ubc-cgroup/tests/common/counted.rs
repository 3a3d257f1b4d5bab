//! The programs of all tests of a binary, and two meters on one container.
#![allow(unsafe_code)]

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ubc_cgroup::ubc_bpf::{Enforcer, Options, Sizes};
use ubc_cgroup::{Account, Cgroup, Host, Meters, Programs};
use ubc_core::{ContainerId, Observation, PerResource, Resource};

use super::skip;

type Made = Option<(Arc<Programs>, PathBuf)>;

/// What the first test made, if it could, for all of them: installing takes long where
/// the machine is emulated.
static INSTALLED: Mutex<Option<Made>> = Mutex::new(None);

/// The tests' common programs, one test at a time.
pub struct Installed {
    programs: Arc<Programs>,
    _one: MutexGuard<'static, ()>,
}

impl Installed {
    /// `None`, with the reason printed, where the kernel takes no programs. One
    /// that takes some must take passes over tasks, and they must be right.
    pub fn new(host: &Host) -> Option<Installed> {
        static ONE: Mutex<()> = Mutex::new(());
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        let installed = installed.get_or_insert_with(|| {
            let root = PathBuf::from(format!("/sys/fs/bpf/ubc-cgroup-test-{}", std::process::id()));
            let sizes = Sizes { containers: 64, cgroups: 1024, objects: 1 << 18, events: 1 << 16 };
            let options = Options { root: root.clone(), sizes };
            let programs = Programs::open(host, &options).map_err(skip).ok()?;
            assert_eq!(programs.passes(), Ok(()));
            // SAFETY: registers a function that takes nothing and unwinds nowhere.
            unsafe { libc::atexit(uninstall) };
            Some((programs, root))
        });
        let programs = installed.as_ref().map(|(programs, _)| Arc::clone(programs));
        let Some(programs) = programs else {
            skip("no programs, see above");
            return None;
        };
        Some(Installed { programs, _one: one })
    }

    pub fn account(&self, id: u32, cgroup: &Cgroup) -> Arc<Account> {
        let id = ContainerId::new(id).unwrap();
        Arc::new(Account::take_over(&self.programs, id, cgroup).unwrap())
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

extern "C" fn uninstall() {
    let installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some((programs, root)) = installed.flatten() else { return };
    // Nothing can be uninstalled that is in use.
    drop(programs);
    if let Err(error) = Enforcer::uninstall(&root) {
        eprintln!("{error}");
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

/// Both meters on a container whose processes stand still; all rows of a pass
/// must be the same. The rows, as the pass found them.
pub fn both(plain: &mut Meters, passing: &mut Meters, what: &str) -> PerResource<Observation> {
    let (slow, fast) = (plain.read().unwrap(), passing.read().unwrap());
    for resource in ROWS {
        let source = passing.metered()[resource].to_string();
        let better = source.starts_with("pids.current");
        assert!(better || source.starts_with("bpf iter/task"), "{resource}: {source}");
        assert_eq!(fast[resource].held, slow[resource].held, "{what}: {resource}, by {source}");
    }
    assert_eq!(fast[Resource::NumFlock].held, slow[Resource::NumFlock].held, "{what}: numflock");
    fast
}

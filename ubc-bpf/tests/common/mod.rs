//! An enforcer of the test's own, and cgroups to try things in.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs::{self, File};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ubc_bpf::{Enforcer, Options, Sizes};

/// Two enforcers at once would both count, each for itself; correct, but the
/// faults of one test are no business of another.
static ONE: Mutex<()> = Mutex::new(());

/// An installed enforcer; everything of it goes with it.
pub(crate) struct Installed {
    enforcer: Option<Enforcer>,
    pub(crate) options: Options,
    _one: MutexGuard<'static, ()>,
}

impl Deref for Installed {
    type Target = Enforcer;
    fn deref(&self) -> &Enforcer {
        self.enforcer.as_ref().expect("taken at the end only")
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        drop(self.enforcer.take());
        Enforcer::uninstall(&self.options.root).expect("everything is removed");
    }
}

/// Installs one that refuses, or says why the test is skipped.
pub(crate) fn enforcer(test: &str) -> Option<Installed> {
    let installed = any();
    match installed.powerless() {
        // A kernel that forbids such programs forbids all of them. One that
        // takes some must take the others.
        Some(reason) if reason.ends_with("-EPERM") => {
            println!("SKIP: {test}: {reason}");
            None
        }
        Some(reason) => panic!("{reason}"),
        None => Some(installed),
    }
}

/// Installs one, whether or not this kernel lets it refuse anything.
pub(crate) fn any() -> Installed {
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let root = PathBuf::from(format!("/sys/fs/bpf/ubc-test-{}", std::process::id()));
    let sizes = Sizes { containers: 64, cgroups: 1024, objects: 1 << 16, events: 1 << 16 };
    let options = Options { root, sizes };
    let enforcer = Enforcer::open(&options).expect("every kernel takes the membership");
    Installed { enforcer: Some(enforcer), options, _one: one }
}

/// The cgroup v2 hierarchy.
pub(crate) fn unified() -> PathBuf {
    ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
        .map(PathBuf::from)
        .into_iter()
        .find(|dir| dir.join("cgroup.controllers").exists())
        .expect("a cgroup v2 hierarchy")
}

/// A cgroup that is removed, with everything in it.
pub(crate) struct Scratch {
    pub(crate) path: PathBuf,
    pub(crate) dir: File,
}

impl Scratch {
    pub(crate) fn new() -> Scratch {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = unified().join(format!("ubc-bpf-test-{}-{number}", std::process::id()));
        fs::create_dir(&path).expect("a cgroup can be made");
        let dir = File::open(&path).expect("it can be opened");
        Scratch { path, dir }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
        for _ in 0..200 {
            if fs::remove_dir(&self.path).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        eprintln!("{} stays behind", self.path.display());
    }
}

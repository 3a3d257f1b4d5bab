//! An enforcer of the test's own, and cgroups to try things in.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod shared;
pub(crate) mod storm;
pub(crate) mod task;

use std::fs::{self, File};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ubc_bpf::{Enforcer, Options, Sizes};

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
        if self.enforcer.take().is_some() {
            Enforcer::uninstall(&self.options.root).expect("everything is removed");
        }
    }
}

/// One test at a time: two enforcers at once would both count, each for itself; correct,
/// but the faults and programs of one test are no business of another.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Installs one that refuses, or says why the test is skipped.
pub(crate) fn enforcer(test: &str) -> Option<Installed> {
    let installed = any();
    refuses(test, &installed).then_some(installed)
}

/// Installs one, whether or not this kernel lets it refuse anything.
pub(crate) fn any() -> Installed {
    let one = turn();
    let (enforcer, options) = install();
    Installed { enforcer: Some(enforcer), options, _one: one }
}

/// Whether it refuses; otherwise says why the test is skipped.
pub(crate) fn refuses(test: &str, enforcer: &Enforcer) -> bool {
    match enforcer.powerless() {
        // A kernel that forbids such programs forbids all of them. One that
        // takes some must take the others.
        Some(reason) if reason.ends_with("-EPERM") => {
            println!("SKIP: {test}: {reason}");
            false
        }
        Some(reason) => panic!("{reason}"),
        None => true,
    }
}

pub(crate) fn install() -> (Enforcer, Options) {
    let root = PathBuf::from(format!("/sys/fs/bpf/ubc-test-{}-{}", std::process::id(), number()));
    let sizes = Sizes { containers: 64, cgroups: 1024, objects: 1 << 16, events: 1 << 16 };
    let options = Options { root, sizes };
    let enforcer = Enforcer::open(&options).expect("every kernel takes the membership");
    (enforcer, options)
}

/// Another one at each call.
fn number() -> u32 {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// Waits until nobody pays for any object. The kernel frees what a process held some time
/// after its end (a grace period, a work queue), on a busy machine seconds after it.
#[track_caller]
pub(crate) fn all_given_back(enforcer: &Enforcer) {
    for _ in 0..1000 {
        if enforcer.objects() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(enforcer.objects(), 0, "objects left after every process ended");
}

/// Makes the programs on duty those of another build.
pub(crate) fn disown(root: &Path) {
    let generation = fs::read_dir(root)
        .expect("it is there")
        .map(|entry| entry.expect("readable").path())
        // Not the directories of maps and queues, which are every build's.
        .find(|path| {
            path.file_name().is_some_and(|name| name.as_encoded_bytes()[0].is_ascii_digit())
        })
        .expect("one generation");
    let name = generation.file_name().expect("it has one").to_string_lossy().into_owned();
    let number = name.split('-').next().expect("a number");
    fs::rename(&generation, root.join(format!("{number}-0123456789abcdef"))).expect("renamed");
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
        let path = unified().join(format!("ubc-bpf-test-{}-{}", std::process::id(), number()));
        fs::create_dir(&path).expect("a cgroup can be made");
        let dir = File::open(&path).expect("it can be opened");
        Scratch { path, dir }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
        for _ in 0..1000 {
            if fs::remove_dir(&self.path).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        eprintln!("{} stays behind", self.path.display());
    }
}

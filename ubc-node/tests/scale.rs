//! Very many containers come and go, one after the other and many at a time.
//! `UBC_SCALE` says how many (`cargo xtask soak scale`: 10 000).
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::cgroup_mount;
use rustix::process::{Resource as Rlimited, Rlimit, getrlimit, setrlimit};
use ubc_cgroup::{Schedule, ubc_bpf};
use ubc_core::{ContainerId, Limits, Resource};
use ubc_node::{Create, ErrorKind, Node, Options, Wanted};
use ubc_procfs::Place;

/// Containers, half of them one after the other.
const MANY: u32 = 160;

/// Alive at a time in the other half. Each takes some descriptors.
const ALIVE: u32 = 40;
const MOST_ALIVE: u32 = 500;

/// One in so many has a process and a view.
const VIEWED: u32 = 10;

/// The first id.
const FIRST: u32 = 90_100_000;

/// How much more memory may be resident when all are gone, in KiB. What an
/// allocator keeps is there before the count begins.
const MORE: u64 = 4096;

/// How long the kernel may take to clear up.
const CLEARED: Duration = Duration::from_mins(1);

/// What a node takes, of which nothing may stay with containers that are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Taken {
    descriptors: usize,
    threads: usize,
    mounts: usize,
    cgroups: usize,
    /// In the kernel's tables.
    accounts: usize,
    containers: usize,
}

struct Scale {
    node: Arc<Node>,
    cgroup: String,
    /// On the same tables as the node.
    enforcer: Option<ubc_bpf::Enforcer>,
    /// The last to go: nobody relies on what is there any more.
    _root: Root,
}

/// Where the kernel's programs stay, taken away at the end.
struct Root(PathBuf);

impl Drop for Root {
    fn drop(&mut self) {
        drop(ubc_bpf::Enforcer::uninstall(&self.0));
    }
}

fn id(number: u32) -> ContainerId {
    ContainerId::new(FIRST + number).unwrap()
}

fn numproc(most: u64) -> Wanted {
    let mut wanted = Wanted::default();
    wanted[Resource::NumProc] = Some(Limits::both(most).unwrap());
    wanted
}

/// A process in namespaces of its own, in a cgroup; killed with it.
struct Inside {
    outer: Child,
    /// The pid, once it is known.
    init: u32,
}

impl Inside {
    fn start(cgroup: &Path) -> Inside {
        let enter = "echo $$ >\"$0/cgroup.procs\" && exec unshare --pid --mount --fork \
                     --mount-proc --kill-child sleep 600";
        let mut command = Command::new("sh");
        let outer = command.args(["-c", enter]).arg(cgroup).stdin(Stdio::null()).spawn().unwrap();
        let mut inside = Inside { outer, init: 0 };
        let children = format!("/proc/{0}/task/{0}/children", inside.outer.id());
        let started = Instant::now();
        loop {
            let children = std::fs::read_to_string(&children).unwrap();
            let child = children.split_whitespace().next();
            let is_sleep = |pid: &&str| {
                std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c == "sleep\n")
            };
            if let Some(pid) = child.filter(is_sleep) {
                inside.init = pid.parse().unwrap();
                return inside;
            }
            assert!(started.elapsed() < Duration::from_mins(1), "it did not start");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        drop(self.outer.kill());
        drop(self.outer.wait());
    }
}

impl Scale {
    /// A node that shares nothing with others; `None`, with the reason printed,
    /// where the test cannot run.
    fn open() -> Option<Scale> {
        let name = format!("ubc-scale-{}", std::process::id());
        let root = Root(Path::new("/sys/fs/bpf").join(&name));
        let options = Options::default().cgroup(&name).programs_root(&root.0);
        let node = match Node::open(options) {
            Ok(node) => node,
            Err(e) if matches!(e.kind(), ErrorKind::NoPermission | ErrorKind::Unavailable) => {
                common::skip(e);
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let options = ubc_bpf::Options { root: root.0.clone(), ..ubc_bpf::Options::default() };
        // Where the kernel takes programs, the node has them there.
        let enforcer = node.programs().map(|_| ubc_bpf::Enforcer::open(&options).unwrap());
        Some(Scale { node, cgroup: name, enforcer, _root: root })
    }

    fn taken(&self) -> Taken {
        let entries = |path: &str| std::fs::read_dir(path).unwrap().count();
        let parent = cgroup_mount().join(&self.cgroup);
        let cgroups = std::fs::read_dir(parent).map_or(0, |entries| {
            entries.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count()
        });
        let accounts = self.enforcer.as_ref().map_or(0, |all| all.all_counts().unwrap().len());
        Taken {
            descriptors: entries("/proc/self/fd"),
            threads: entries("/proc/self/task"),
            mounts: std::fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count(),
            cgroups,
            accounts,
            containers: self.node.containers().len(),
        }
    }

    /// A container's life, alone on the machine.
    fn one(&self, number: u32) {
        let (owned, _) = self.node.create(&Create::new(id(number)).limits(numproc(64))).unwrap();
        let viewed = number.is_multiple_of(VIEWED);
        let _inside = viewed.then(|| {
            let inside = Inside::start(owned.path());
            owned.attach(inside.init, Some(&Place::default())).unwrap();
            let file = format!("/proc/{}/root/proc/user_beancounters", inside.init);
            let file = std::fs::read_to_string(file).unwrap();
            assert!(file.contains(&format!("{}: ", owned.id())), "{file}");
            inside
        });
        owned.set(&numproc(32), &Schedule::default(), false).unwrap();
        let told = owned.describe().unwrap();
        assert_eq!(told.configured[Resource::NumProc], Some(Limits::both(32).unwrap()));
        assert_eq!(told.reading.rows[Resource::NumProc].held > 0, viewed);
        owned.end().unwrap();
    }

    /// As many at a time.
    fn batch(&self, numbers: std::ops::Range<u32>) {
        let made = |number| self.node.create(&Create::new(id(number))).unwrap().0;
        let all: Vec<_> = numbers.map(made).collect();
        let told = self.node.describe().unwrap();
        assert_eq!(told.len(), all.len());
        for owned in &all {
            owned.set(&numproc(32), &Schedule::default(), false).unwrap();
        }
        // The oldest first: nothing relies on the order.
        drop(all);
        assert!(self.node.is_empty());
    }

    fn all(&self, numbers: std::ops::Range<u32>, alive: u32) {
        let half = numbers.start + (numbers.end - numbers.start) / 2;
        (numbers.start..half).for_each(|number| self.one(number));
        let mut first = half;
        while first < numbers.end {
            let end = numbers.end.min(first + alive);
            self.batch(first..end);
            first = end;
        }
    }

    /// What is taken when the kernel has cleared up, or has had time for it.
    fn left(&self, before: Taken) -> Taken {
        let started = Instant::now();
        loop {
            let now = self.taken();
            if now == before || started.elapsed() > CLEARED {
                return now;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn very_many_containers_leave_no_descriptor_thread_mount_cgroup_account_id_or_memory() {
    let many = std::env::var("UBC_SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(MANY);
    let alive = (many / 20).clamp(ALIVE, MOST_ALIVE);
    let limits = getrlimit(Rlimited::Nofile);
    setrlimit(Rlimited::Nofile, Rlimit { current: limits.maximum, ..limits }).unwrap();
    let Some(scale) = Scale::open() else { return };
    // As many at a time as later, so that what is kept for reuse is there.
    scale.all(0..2 * alive, alive);
    let before = scale.left(Taken { containers: 0, cgroups: 0, accounts: 0, ..scale.taken() });
    assert_eq!((before.cgroups, before.accounts, before.containers), (0, 0, 0), "{before:?}");
    let (memory, started) = (resident(), Instant::now());
    scale.all(2 * alive..2 * alive + many, alive);
    let took = started.elapsed();
    assert_eq!(scale.left(before), before);
    let now = resident();
    println!("{many} containers, {alive} at a time, in {took:.0?}: {before:?}");
    println!("resident: {memory} KiB before, {now} KiB after");
    assert!(now <= memory + MORE, "{memory} KiB resident before, {now} KiB after");
}

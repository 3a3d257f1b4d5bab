//! Reading the file in a container, next to native files and to lxcfs.

use std::error::Error;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustix::fs::{CWD, Mode, OFlags, RawDir, openat};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use ubc_cgroup::Meters;
use ubc_core::{Beancounter, ContainerId, Reading, Resource, Severity};
use ubc_peers::Lxcfs;
use ubc_procfs::{ContainerProcess, Place, ProcView, Source};

use super::rig::{Container, Installed, Namespaces};
use crate::pairs::{Effort, Pair, time, together};
use crate::report::{Figure, Goal, Group};

const FILE: &str = "user_beancounters";

/// All figures of the group: reader and server on one processor, where nobody has to
/// be woken who sleeps on another, and then where the kernel puts them.
///
/// # Errors
///
/// What should work here does not: a container, its view, lxcfs.
pub fn measure(effort: Effort, group: &mut Group) -> Result<(), Box<dyn Error>> {
    if !can_mount() {
        group.skip("the view: needs root and /dev/fuse");
        return Ok(());
    }
    let anywhere = sched_getaffinity(None)?;
    let mut one = CpuSet::new();
    if let Some(first) = (0..CpuSet::MAX_CPU).find(|core| anywhere.is_set(*core)) {
        one.set(first);
    }
    sched_setaffinity(None, &one)?;
    let native = directory("/proc")?;
    {
        let container = Namespaces::start(&[]);
        let proc = attach(&container, Arc::new(Counted::new()?))?;
        counted(effort, group, &proc, &native, "")?;
        match live(effort)? {
            Ok(figure) => group.add(figure),
            Err(why) => group.skip(format!("the view of live numbers: {why}")),
        }
        others(effort, group, &proc, &native);
    }
    sched_setaffinity(None, &anywhere)?;
    if anywhere.count() < 2 {
        group.skip("the view on several processors: there is one");
        return Ok(());
    }
    let container = Namespaces::start(&[]);
    let proc = attach(&container, Arc::new(Counted::new()?))?;
    counted(effort, group, &proc, &native, ", several processors")
}

fn can_mount() -> bool {
    rustix::process::geteuid().is_root() && std::path::Path::new("/dev/fuse").exists()
}

/// Numbers that the engine counts, next to native files and to lxcfs.
fn counted(
    effort: Effort,
    group: &mut Group,
    proc: &OwnedFd,
    native: &OwnedFd,
    processors: &str,
) -> Result<(), Box<dyn Error>> {
    let mut meminfo = |n| time(n, || read(native, "meminfo"));
    let mut ours = |n| time(n, || read(proc, FILE));
    let what = format!("open+read+close of the view, counted numbers{processors}");
    let pair = Pair::new(&what, "native /proc/meminfo", Some(Goal::AtMost(4.0)));
    group.add(pair.measure(effort, &mut ours, &mut meminfo));
    match Lxcfs::start() {
        Ok(Some(lxcfs)) => beside_lxcfs(effort, group, proc, &lxcfs, processors)?,
        Ok(None) => group.skip("the view against lxcfs: lxcfs is not installed"),
        Err(error) => group.skip(format!("the view against lxcfs: {error}")),
    }
    Ok(())
}

/// The view of numbers that are taken from the kernel at each open; or why there is
/// none here.
pub(super) fn live(effort: Effort) -> Result<Result<Figure, &'static str>, Box<dyn Error>> {
    if !can_mount() {
        return Ok(Err("needs root and /dev/fuse"));
    }
    let Some(cgroup) = Container::new() else {
        return Ok(Err("no cgroup v2 of its own here"));
    };
    let Some(installed) = Installed::new(&cgroup.host) else {
        return Ok(Err("no kernel programs here"));
    };
    let container = Namespaces::start(&[]);
    cgroup.cgroup().add(container.init)?;
    let meters = installed.all_meters(&cgroup.host, 101, cgroup.cgroup());
    let proc = attach(&container, Arc::new(Live::new(meters)?))?;
    let native = directory("/proc")?;
    let mut meminfo = |n| time(n, || read(&native, "meminfo"));
    let mut live = |n| time(n, || read(&proc, FILE));
    let what = "open+read+close of the view, live numbers";
    let pair = Pair::new(what, "native /proc/meminfo", Some(Goal::AtMost(4.0)));
    Ok(Ok(pair.measure(effort, &mut live, &mut meminfo)))
}

fn beside_lxcfs(
    effort: Effort,
    group: &mut Group,
    proc: &OwnedFd,
    lxcfs: &Lxcfs,
    processors: &str,
) -> Result<(), Box<dyn Error>> {
    let path = lxcfs.meminfo();
    let theirs = directory(path.parent().and_then(|dir| dir.to_str()).unwrap_or_default())?;
    let mut ours = |n| time(n, || read(proc, FILE));
    let mut peer = |n| time(n, || read(&theirs, "meminfo"));
    let what = format!("open+read+close of the view, counted numbers{processors}");
    let pair = Pair::new(&what, "lxcfs /proc/meminfo", Some(Goal::AtMost(0.12)));
    group.add(pair.measure(effort, &mut ours, &mut peer));

    let crowd = |dir: &OwnedFd, name: &str, n: u64| {
        together(16, |_, ready| {
            ready.wait();
            let started = Instant::now();
            (0..n).for_each(|_| read(dir, name));
            started.elapsed()
        }) / 16
    };
    let mut ours = |n| crowd(proc, FILE, n);
    let mut peer = |n| crowd(&theirs, "meminfo", n);
    let what = format!("16 readers at once{processors}");
    let pair = Pair::new(&what, "lxcfs, 16 readers", Some(Goal::AtLeast(10.0)));
    group.add(pair.measure(effort, &mut ours, &mut peer).inverted("reads/s"));
    Ok(())
}

/// What the layer costs those who read something else.
fn others(effort: Effort, group: &mut Group, proc: &OwnedFd, native: &OwnedFd) {
    for name in ["loadavg", "meminfo", "1/status"] {
        let mut layered = |n| time(n, || read(proc, name));
        let mut plain = |n| time(n, || read(native, name));
        let what = format!("open+read+close of {name} under the layer");
        let yardstick = format!("native /proc/{name}");
        let pair = Pair::new(&what, &yardstick, Some(Goal::AtMost(1.1)));
        group.add(pair.measure(effort, &mut layered, &mut plain));
    }
    let mut layered = |n| time(n, || list(proc));
    let mut plain = |n| time(n, || list(native));
    let pair =
        Pair::new("readdir of /proc under the layer", "native /proc", Some(Goal::AtMost(2.0)));
    group.add(pair.measure(effort, &mut layered, &mut plain));
}

fn attach(container: &Namespaces, source: Arc<dyn Source>) -> Result<OwnedFd, Box<dyn Error>> {
    let process = ContainerProcess::open(container.init)?;
    // It ends with its container.
    ProcView::attach(id()?, &process, &Place::default(), source)?;
    Ok(directory(&format!("/proc/{}/root/proc", container.init))?)
}

fn id() -> Result<ContainerId, Box<dyn Error>> {
    Ok(ContainerId::new(101)?)
}

fn directory(path: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(CWD, path, flags, Mode::empty())?)
}

fn read(dir: &OwnedFd, name: &str) {
    let mut text = [0; 8192];
    let file = openat(dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let read = file.and_then(|file| rustix::io::read(file, &mut text));
    assert!(read.is_ok_and(|read| read > 0), "{name} cannot be read");
}

fn list(dir: &OwnedFd) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = openat(dir, ".", flags, Mode::empty()).expect("a directory opens");
    let mut buffer = Vec::with_capacity(32768);
    let mut entries = RawDir::new(dir, buffer.spare_capacity_mut());
    while entries.next().is_some() {}
}

/// Numbers that the engine counts.
struct Counted(Beancounter);

impl Counted {
    fn new() -> Result<Counted, Box<dyn Error>> {
        let beancounter = Beancounter::new(id()?);
        beancounter.charge_raw(Resource::NumFile, 512, Severity::Hard)?;
        Ok(Counted(beancounter))
    }
}

impl Source for Counted {
    fn ids(&self) -> Vec<ContainerId> {
        vec![self.0.id().own()]
    }

    fn reading(&self, _id: ContainerId) -> io::Result<Reading> {
        Ok(self.0.reading())
    }
}

/// Numbers that are taken from the kernel each time, as by the daemon.
struct Live {
    beancounter: Beancounter,
    meters: Mutex<Meters>,
}

impl Live {
    fn new(meters: Meters) -> Result<Live, Box<dyn Error>> {
        Ok(Live { beancounter: Beancounter::new(id()?), meters: Mutex::new(meters) })
    }
}

impl Source for Live {
    fn ids(&self) -> Vec<ContainerId> {
        vec![self.beancounter.id().own()]
    }

    fn reading(&self, _id: ContainerId) -> io::Result<Reading> {
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = meters.read().map_err(io::Error::other)?;
        for (resource, observation) in seen.iter() {
            self.beancounter.observe(resource, *observation).map_err(io::Error::other)?;
        }
        Ok(self.beancounter.reading())
    }
}

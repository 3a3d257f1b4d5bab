//! Containers come to a node and leave it, and nothing of it stays.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::{Sleeper, cgroup_mount, node};
use ubc_cgroup::{Knob, Schedule};
use ubc_core::{ContainerId, Limits, Resource};
use ubc_node::{Adopt, CGROUP, Create, ErrorKind, Lifecycle, Node, Options, SetBy, Wanted};

/// A cgroup that somebody else made, removed at the end.
struct Theirs {
    name: String,
    path: PathBuf,
}

impl Theirs {
    fn new() -> Theirs {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("ubc-node-{}-{number}", std::process::id());
        let path = cgroup_mount().join(&name);
        std::fs::create_dir(&path).unwrap();
        Theirs { name, path }
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        // What was killed may take a moment to leave.
        let started = Instant::now();
        while std::fs::remove_dir(&self.path)
            .is_err_and(|e| e.kind() != std::io::ErrorKind::NotFound)
            && started.elapsed() < Duration::from_mins(1)
        {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn id(number: u32) -> ContainerId {
    ContainerId::new(number).unwrap()
}

fn numproc(most: u64) -> Wanted {
    let mut wanted = Wanted::default();
    wanted[Resource::NumProc] = Some(Limits::both(most).unwrap());
    wanted
}

#[test]
fn a_container_that_was_adopted_has_back_what_it_had_after_detaching() {
    let Some(node) = node() else { return };
    let theirs = Theirs::new();
    let mut sleeper = Sleeper::inside(&theirs.path);
    let max = theirs.path.join("pids.max");
    let had = max.exists().then(|| {
        std::fs::write(&max, "77").unwrap();
        "77\n"
    });
    let adopt = Adopt::cgroup(&theirs.name).pid(sleeper.pid()).id(id(90_001_310));
    let (container, kept) = node.adopt(&adopt.limits(numproc(30))).unwrap();

    let told = container.describe().unwrap();
    assert_eq!((told.pid, &told.cgroup), (Some(sleeper.pid()), &theirs.name));
    assert_eq!(told.reading.rows[Resource::NumProc].held, 1);
    assert_eq!(told.configured[Resource::NumProc], Some(Limits::both(30).unwrap()));
    if kept.is_empty() {
        assert_eq!(told.reading.rows[Resource::NumProc].limit, 30);
        assert_eq!(told.set_by[Resource::NumProc], SetBy::Ubc);
    } else {
        assert_eq!((&*kept[0].what, &*kept[0].asked), ("numproc", "30"));
        assert_eq!(told.reading.rows[Resource::NumProc].limit, ubc_core::UNLIMITED);
    }
    container.detach().unwrap();
    assert!(sleeper.lives() && theirs.path.exists());
    if let Some(had) = had {
        assert_eq!(std::fs::read_to_string(&max).unwrap(), had);
    }
    assert!(node.find(id(90_001_310)).is_none());
    // The id and the cgroup are free again, and dropping lets go as well.
    let (again, _) = node.adopt(&Adopt::process(sleeper.pid()).id(id(90_001_310))).unwrap();
    assert_eq!(again.cgroup(), theirs.name);
    drop(again);
    assert!(sleeper.lives() && node.is_empty());
}

#[test]
fn a_container_without_an_owner_ends_with_its_init_and_the_maker_hears_of_it() {
    struct Ends(std::sync::mpsc::SyncSender<ContainerId>);
    impl Lifecycle for Ends {
        fn ended(&self, id: ContainerId) {
            self.0.send(id).unwrap();
        }
    }
    if node().is_none() {
        return;
    }
    let (tell, told) = std::sync::mpsc::sync_channel(8);
    let node = Node::open(Options::default().lifecycle(Arc::new(Ends(tell)))).unwrap();
    let theirs = Theirs::new();
    let mut sleeper = Sleeper::inside(&theirs.path);
    let (container, _) = node.adopt(&Adopt::process(sleeper.pid()).name("web")).unwrap();
    let chosen = container.id();
    let container = container.leave();
    assert!(chosen >= id(10_000_000) && told.try_recv().is_err());
    sleeper.kill();
    assert_eq!(told.recv_timeout(Duration::from_mins(1)), Ok(chosen));
    assert!(container.has_ended() && node.find(chosen).is_none());
    assert_eq!(container.describe().unwrap_err().kind(), ErrorKind::NotFound);
    let set = container.set(&numproc(5), &Schedule::default(), false);
    assert_eq!(set.unwrap_err().kind(), ErrorKind::NotFound);

    // The same name has the same id again.
    let sleeper = Sleeper::inside(&theirs.path);
    let (again, _) = node.adopt(&Adopt::process(sleeper.pid()).name("web")).unwrap();
    assert_eq!(again.id(), chosen);
}

#[test]
fn a_container_made_here_goes_with_its_owner_and_its_processes() {
    let Some(node) = node() else { return };
    let (container, _) = node.create(&Create::new(id(90_001_311))).unwrap();
    let path = container.path().to_owned();
    let mut sleeper = Sleeper::inside(&path);
    let mut moved = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    container.add(moved.id()).unwrap();
    assert_eq!(container.reading().unwrap().rows[Resource::NumProc].held, 2);
    let taken = node.create(&Create::new(id(90_001_311)));
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::InUse);
    let released = node.release(id(90_001_311));
    assert_eq!(released.unwrap_err().kind(), ErrorKind::Invalid);
    drop(container);
    assert!(!path.exists() && !sleeper.lives());
    assert!(!moved.wait().unwrap().success());
    assert!(node.is_empty());
}

#[test]
fn what_cannot_be_a_container_is_refused_and_changes_nothing() {
    let Some(node) = node() else { return };
    let theirs = Theirs::new();
    let sleeper = Sleeper::inside(&theirs.path);
    let refused = |adopt: &Adopt<'_>| node.adopt(adopt).unwrap_err();

    let error = refused(&Adopt::cgroup("no/such/cgroup"));
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().starts_with("cgroup no/such/cgroup: "), "{error}");
    let error = refused(&Adopt::cgroup(&theirs.name).pid(std::process::id()));
    assert!(error.to_string().ends_with(&format!("is not in cgroup {}", theirs.name)), "{error}");
    assert_eq!(refused(&Adopt::process(std::process::id())).kind(), ErrorKind::Invalid);
    assert_eq!(refused(&Adopt::process(u32::MAX)).kind(), ErrorKind::NotFound);
    let host = Adopt::process(sleeper.pid()).id(ContainerId::HOST);
    assert_eq!(refused(&host).kind(), ErrorKind::Invalid);
    let place = ubc_procfs::Place::default();
    let error = refused(&Adopt::process(sleeper.pid()).view(place));
    assert!(error.to_string().contains("its mount namespace is the host's"), "{error}");

    // A limit that nothing here imposes is an error if it must be imposed.
    let mut wanted = Wanted::default();
    wanted[Resource::KmemSize] = Some(Limits::both(1 << 20).unwrap());
    let strict = Adopt::cgroup(&theirs.name).limits(wanted).strict(true);
    assert_eq!(refused(&strict).kind(), ErrorKind::Limit);
    assert!(node.is_empty());

    // And one cgroup is one container.
    let (first, _) = node.adopt(&Adopt::cgroup(&theirs.name).id(id(90_001_312))).unwrap();
    let second = refused(&Adopt::cgroup(&theirs.name).id(id(90_001_313)));
    assert_eq!(second.kind(), ErrorKind::InUse);
    assert_eq!(first.attach(std::process::id(), None).unwrap_err().kind(), ErrorKind::System);
    first.attach(sleeper.pid(), None).unwrap();
    assert_eq!(first.attach(sleeper.pid(), None).unwrap_err().kind(), ErrorKind::InUse);
}

#[test]
fn a_schedule_is_set_with_the_limits_or_said_not_to_be() {
    let Some(node) = node() else { return };
    let mut schedule = Schedule::default();
    schedule.set(Knob::CpuUnits, "2000").unwrap();
    let create = Create::new(id(90_001_314)).schedule(schedule.clone());
    let (container, kept) = node.create(&create).unwrap();
    let told = container.describe().unwrap();
    let knob = &told.schedule["cpuunits"];
    assert_eq!(knob.configured.as_deref(), Some("2000"));
    assert_eq!(knob.applied, !kept.iter().any(|kept| kept.what == "cpuunits"), "{knob:?} {kept:?}");
}

#[test]
fn an_init_that_dies_before_it_is_attached_is_no_init_and_its_container_can_end() {
    let Some(node) = node() else { return };
    for view in [None, Some(ubc_procfs::Place::default())] {
        let (container, _) = node.create(&Create::new(id(90_001_318))).unwrap();
        let mut sleeper = Sleeper::inside(container.path());
        let pid = sleeper.pid();
        sleeper.kill();
        let error = container.attach(pid, view.as_ref()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::System), "{error}");
        assert!(error.to_string().contains(&pid.to_string()), "{error}");
        assert_eq!(container.describe().unwrap().pid, None);
        // The next one may come.
        let sleeper = Sleeper::inside(container.path());
        container.attach(sleeper.pid(), None).unwrap();
        assert_eq!(container.describe().unwrap().pid, Some(sleeper.pid()));
        container.end().unwrap();
        assert!(node.is_empty());
    }
}

#[test]
fn a_cgroup_that_is_removed_while_it_is_read_is_an_end_and_hides_no_other() {
    let Some(node) = node() else { return };
    let (theirs, other) = (Theirs::new(), Theirs::new());
    let adopt = |theirs: &Theirs, number| {
        node.adopt(&Adopt::cgroup(&theirs.name).id(id(number))).unwrap().0
    };
    let (gone, stays) = (adopt(&theirs, 90_001_319), adopt(&other, 90_001_320));
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let until = Instant::now() + Duration::from_secs(30);
            while Instant::now() < until {
                if let Err(error) = gone.reading() {
                    return Some(error);
                }
            }
            None
        });
        std::thread::sleep(Duration::from_millis(50));
        std::fs::remove_dir(&theirs.path).unwrap();
        let error = reading.join().unwrap().expect("a reading of what is gone");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    });
    let told = node.describe().unwrap();
    assert_eq!(told.iter().map(|one| one.id).collect::<Vec<_>>(), [stays.id()]);
    let set = gone.set(&numproc(5), &Schedule::default(), false);
    assert!(set.is_ok() || set.is_err_and(|error| error.to_string().contains("90001319")));
    // Nothing of it is to be given back any more, and that is no failure.
    gone.detach().unwrap();
    stays.detach().unwrap();
    assert!(node.is_empty());
}

/// Runs the test again in a process of its own, because others open nodes
/// meanwhile; true in that one.
fn is_alone(name: &str) -> bool {
    if std::env::var_os("UBC_NODE_ALONE").is_some() {
        return true;
    }
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env("UBC_NODE_ALONE", "1")
        .output()
        .unwrap();
    print!("{}", common::text(&child.stdout));
    assert!(child.status.success(), "{}", common::text(&child.stderr));
    false
}

#[test]
fn a_container_that_finds_no_descriptors_left_leaves_nothing_behind() {
    if !is_alone("a_container_that_finds_no_descriptors_left_leaves_nothing_behind") {
        return;
    }
    let Some(node) = node() else { return };
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let with = |current| rustix::process::Rlimit { current: Some(current), ..limit };
    let set = |limit| rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    // From here on their numbers rise, and the limit is about numbers.
    let files: Vec<_> = (0..64).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
    let next = u64::try_from(files.last().unwrap().as_raw_fd()).unwrap() + 1;
    let (parent, wanted) = (cgroup_mount().join(CGROUP), id(90_001_317));
    let mut refused = 0;
    // Wherever it runs out of them.
    for room in 0..16 {
        set(with(next + room));
        let made = node.create(&Create::new(wanted));
        set(limit);
        let Err(error) = made else { break };
        assert_eq!(error.kind(), ErrorKind::System, "{error}");
        assert!(error.to_string().contains("Too many open files"), "{error}");
        assert!(!parent.join(wanted.to_string()).exists(), "with room for {room}");
        assert!(node.is_empty());
        refused += 1;
    }
    assert!(refused > 3, "{refused}");
    drop(node.create(&Create::new(wanted)).unwrap());
}

#[test]
fn a_closed_node_leaves_no_thread_and_no_descriptor() {
    let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    // What is made once and stays, such as the logger, and other tests' threads,
    // are there before and after: only this test's are counted.
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names =
            tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with("ubc-")).count()
    };
    if !is_alone("a_closed_node_leaves_no_thread_and_no_descriptor") {
        return;
    }
    let Some(first) = node() else { return };
    drop(first);
    // A thread that was joined is listed until the kernel has cleared it away.
    let none_left = || {
        let patience = Instant::now() + Duration::from_mins(1);
        while threads() > 0 && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(threads(), 0);
    };
    let before = count("fd");
    none_left();
    for round in 0..2 {
        let node = node().unwrap();
        let made = node.create(&Create::new(id(90_001_315 + round))).unwrap();
        let refusals = node.subscribe(None);
        assert!(threads() >= 2);
        drop((made, refusals, node));
    }
    // Not a moment later: whoever opens the next one may have no more of them.
    assert_eq!(count("fd"), before);
    none_left();
}

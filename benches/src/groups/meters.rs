//! What containers hold, taken from the kernel; and how that grows.

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use ubc_cgroup::{Bound, Cgroup, Finding, Findings, Meter, Meters, Pass, Programs, Rank, Round};
use ubc_core::{Beancounter, ContainerId, Limits, Observation, Registry, Resource, Severity};

use super::rig::{Actor, Container, Installed};
use super::scale::resident;
use crate::pairs::{Effort, Pair, Run, time};
use crate::report::{Goal, Group};

/// Containers with processes that have files open.
#[derive(Clone, Copy)]
struct Size {
    containers: u32,
    processes: u32,
    files: u32,
}

/// All figures of the group.
///
/// # Errors
///
/// None of its own.
pub fn measure(effort: Effort, group: &mut Group) -> Result<(), Box<dyn Error>> {
    refresh(effort, group);
    growth(effort, group)
}

fn refresh(effort: Effort, group: &mut Group) {
    let size = if effort.is_quick() {
        Size { containers: 5, processes: 4, files: 30 }
    } else {
        Size { containers: 100, processes: 5, files: 30 }
    };
    let Some(host) = Container::new() else {
        group.skip("refresh: no cgroup v2 of its own here");
        return;
    };
    let Some(installed) = Installed::new(&host.host) else {
        group.skip("refresh: no kernel programs here");
        return;
    };
    let all: Vec<Container> = (0..size.containers).filter_map(|_| Container::new()).collect();
    let _actor = fill(&host, &all, size);
    let mut plain: Vec<_> = all.iter().map(Container::meters).collect();
    let mut passing: Vec<_> =
        (1000..).zip(&all).map(|(id, one)| installed.meters(&one.host, id, one.cgroup())).collect();
    let name = format!(
        "refresh of {} containers, {} processes, {} files",
        size.containers,
        size.containers * size.processes,
        size.containers * size.processes * size.files
    );
    // Each turn takes as long as a walk; there is no use in a hundred of them.
    let effort = Effort { rounds: effort.rounds.min(11), ..effort };
    let programs = installed.programs();
    let mut compare = |name: &str, goal, passing: &mut [Meters], plain: &mut [Meters]| {
        let mut ours = |n| refresh_all(passing, Some(programs), n);
        let mut yard = |n| refresh_all(plain, None, n);
        group.add(Pair::new(name, "walking /proc", goal).measure(effort, &mut ours, &mut yard));
    };
    if !all.iter().all(|one| one.cgroup().path().join("memory.current").exists()) {
        let name = format!("{name}, no memory controller");
        compare(&name, None, &mut passing, &mut plain);
        for meters in plain.iter_mut().chain(&mut passing) {
            let memory = Memory::open(meters.cgroup());
            meters.add(Box::new(memory));
        }
    }
    compare(&name, Some(Goal::AtMost(0.05)), &mut passing, &mut plain);
}

/// Reads them all as the daemon reads a list.
fn refresh_all(all: &mut [Meters], programs: Option<&Programs>, n: u64) -> Duration {
    time(n, || {
        let round = Round::begin(programs);
        for one in &mut *all {
            black_box(one.read_in(&round).expect("the containers stand still"));
        }
    })
}

/// Stands in for the memory controller where the machine has given it to
/// cgroup v1: as many reads of a cgroup's files, and no true numbers.
struct Memory(File);

impl Memory {
    const FILES: usize = 7;

    fn open(cgroup: &Cgroup) -> Memory {
        Memory(File::open(cgroup.path().join("cgroup.stat")).expect("every cgroup has it"))
    }
}

impl Meter for Memory {
    fn name(&self) -> &'static str {
        "stand-in for the memory controller"
    }

    fn read(&mut self, _: &Pass<'_>, findings: &mut Findings) -> ubc_cgroup::Result<()> {
        use Resource::{DcacheSize, KmemSize, OomGuarPages, PhysPages, ShmPages, SwapPages};
        let mut text = [0; 4096];
        for _ in 0..Memory::FILES {
            black_box(self.0.read_at(&mut text, 0).expect("it can be read"));
        }
        for row in [PhysPages, OomGuarPages, SwapPages, KmemSize, ShmPages, DcacheSize] {
            let (observation, rank) = (Observation::held(0), Rank::Kernel);
            let (source, bound) = (self.name().into(), Bound::Exact);
            findings.add(row, Finding { observation, rank, source, bound });
        }
        Ok(())
    }
}

/// Forks the processes of all containers; they open their files and sleep, and
/// end with their containers.
fn fill(host: &Container, all: &[Container], Size { processes, files, .. }: Size) -> Actor {
    let paths: Vec<String> =
        all.iter().map(|one| format!("'{}'", one.cgroup().path().display())).collect();
    let script = format!(
        r"
r, w = os.pipe()
for path in [{}]:
    for _ in range({processes}):
        if os.fork() == 0:
            open(path + '/cgroup.procs', 'w').write(str(os.getpid()))
            held = [os.open('/dev/null', os.O_RDONLY) for _ in range({files})]
            os.write(w, b'x')
            time.sleep(100000)
        os.read(r, 1)
stage()
",
        paths.join(", ")
    );
    let mut actor = host.python(&[], &script);
    actor.next();
    actor
}

/// The same operation among few containers and among many.
fn growth(effort: Effort, group: &mut Group) -> Result<(), Box<dyn Error>> {
    let (few, many) = (10, if effort.is_quick() { 1000 } else { 10_000 });
    let small = registry(few)?;
    let before = resident();
    let large = registry(many)?;
    let grown = resident().saturating_sub(before);

    let goal = Some(Goal::AtMost(1.2));
    let yardstick = format!("among {few}");
    let (mut next_small, mut next_large) = (cycle(&small), cycle(&large));
    let charge = |beancounter: &Beancounter| {
        let charge = beancounter.charge_scoped(Resource::NumFile, 1, Severity::Hard);
        drop(charge.expect("there is no limit near"));
    };
    let mut pair = |what: &str, one: &dyn Fn(&Beancounter)| {
        let mut on_many = |n| time(n, || one(next_large()));
        let mut on_few = |n| time(n, || one(next_small()));
        let (subject, yard): (Run<'_>, Run<'_>) = (&mut on_many, &mut on_few);
        let name = format!("{what} among {many} containers");
        group.add(Pair::new(&name, &yardstick, goal).measure(effort, subject, yard));
    };
    pair("one charge, the same container", &|_| charge(&large.1[0]));
    pair("one charge, each time another container", &charge);
    pair("one reading, each time another container", &|beancounter| {
        black_box(beancounter.reading());
    });
    let mut found = Pair::new("finding by id", &yardstick, None);
    let name = format!("finding one by its id among {many} containers");
    found.name = &name;
    let lookup = |(registry, all): &(Registry, Vec<Beancounter>), n: u64| {
        let mut ids = all.iter().map(Beancounter::id).cycle();
        time(n, || {
            black_box(ids.next().and_then(|id| registry.get(id)));
        })
    };
    group.add(found.measure(effort, &mut |n| lookup(&large, n), &mut |n| lookup(&small, n)));
    #[expect(clippy::cast_precision_loss, reason = "KiB of one process")]
    let each = grown as f64 / f64::from(many);
    let goal = Some(Goal::Value(64.0));
    group.add(crate::report::Figure::count(
        "memory of the engine per container",
        each,
        "KiB",
        goal,
    ));
    Ok(())
}

fn registry(count: u32) -> Result<(Registry, Vec<Beancounter>), Box<dyn Error>> {
    let registry = Registry::new();
    let made = (1..=count).map(|id| -> Result<Beancounter, Box<dyn Error>> {
        let beancounter = registry.create(ContainerId::new(id)?)?;
        beancounter.set_limits(Resource::NumFile, Limits::both(1 << 40)?)?;
        Ok(beancounter)
    });
    let all = made.collect::<Result<Vec<_>, _>>()?;
    Ok((registry, all))
}

/// Goes round all beancounters, one further at each call.
fn cycle<'a>((_, all): &'a (Registry, Vec<Beancounter>)) -> impl FnMut() -> &'a Beancounter {
    let mut next = 0;
    move || {
        next = if next + 1 < all.len() { next + 1 } else { 0 };
        &all[next]
    }
}

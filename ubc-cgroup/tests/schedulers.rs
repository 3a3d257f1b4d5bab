//! What the schedulers do to work, as ratios. Each measure is printed past
//! the harness, for docs/schedulers.md.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{Actor, Container, measured, ratio, read, set, settles, within};
use ubc_cgroup::{CpuLimit, CpuUnits, Error, Ids, Knob, Mask, Processors, Schedule, Scheduler};

/// Works for four seconds of wall time; tells the processor time used per
/// second. Not how far it came: in an emulated machine the same loop may run
/// more than twice as fast in one process as in another.
const WORK: &str = r"
def work(seconds):
    start, spent = time.monotonic(), time.process_time()
    while time.monotonic() - start < seconds:
        for _ in range(500): pass
    return (time.process_time() - spent) / (time.monotonic() - start)
while True: stage(work(4))
";

/// Held by who measures shares of the processors: two such tests at once
/// divide them among each other.
static PROCESSORS: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    PROCESSORS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn only(cpu: u32) -> Mask {
    Mask::Only(Ids::new([cpu]).unwrap())
}

#[test]
fn cpuunits_divide_one_cpu_and_can_be_changed() {
    let _alone = alone();
    let Some(container) = Container::new() else { return };
    if !container.has("cpu") || !container.has("cpuset") {
        return;
    }
    let (a, b) = (container.inner("a"), container.inner("b"));
    let (mut of_a, mut of_b) = (Scheduler::new(&a).unwrap(), Scheduler::new(&b).unwrap());
    let schedule = |units| Schedule {
        cpu_units: CpuUnits::new(units),
        cpu_mask: Some(only(0)),
        ..Schedule::default()
    };
    let (mut first, mut second) =
        (Container::python_in(&a, &[], WORK), Container::python_in(&b, &[], WORK));
    set(&mut of_a, &schedule(1000));
    settles(|| {
        set(&mut of_b, &schedule(3000));
        assert_eq!((&*read(&a, "cpu.weight"), &*read(&b, "cpu.weight")), ("100", "300"));
        let three = ratio(&mut first, &mut second);
        measured(format!("cpuunits 1000:3000 on one CPU: time 1:{three:.2}"));
        set(&mut of_b, &schedule(1000));
        let one = ratio(&mut first, &mut second);
        measured(format!("cpuunits 1000:1000 on one CPU: time 1:{one:.2}"));
        within((2.5..3.5).contains(&three), || format!("1:{three} at 1000:3000"))?;
        within((0.8..1.25).contains(&one), || format!("1:{one} at 1000:1000"))
    });
}

#[test]
fn cpulimit_and_cpus_hold_on_an_idle_machine() {
    let _alone = alone();
    let Some(container) = Container::new() else { return };
    if !container.has("cpu") {
        return;
    }
    let cgroup = container.inner("a");
    let mut scheduler = Scheduler::new(&cgroup).unwrap();
    let mut actor = Container::python_in(&cgroup, &[], WORK);
    let mut share = |cpu_limit, cpus, expected: &str| {
        set(&mut scheduler, &Schedule { cpu_limit, cpus, ..Schedule::default() });
        assert_eq!(read(&cgroup, "cpu.max"), expected);
        actor.next();
        let share = actor.fact();
        measured(format!("cpu.max {expected}: {:.1} % of a CPU", share * 100.0));
        share
    };
    settles(|| {
        let limited = share(Some(CpuLimit::Percent(20)), Some(1), "20000 100000");
        let free = share(Some(CpuLimit::Unlimited), Some(0), "max 100000");
        within((0.1..0.3).contains(&limited), || format!("{limited} at 20 %"))?;
        within(free > 2.0 * limited, || format!("{free} without a limit"))
    });
    let node = Processors::probe().unwrap();
    let Some(mhz) = node.megahertz else {
        common::skip("this machine does not tell its MHz");
        return;
    };
    let half = CpuLimit::Megahertz(mhz.get() / 2);
    let quota = format!("{} 100000", half.quota(node).unwrap().unwrap());
    settles(|| {
        let half = share(Some(half), None, &quota);
        within((0.35..0.65).contains(&half), || format!("{half} at half the MHz"))
    });
}

#[test]
fn cpus_bound_all_threads_of_a_container_together() {
    let _alone = alone();
    let Some(container) = Container::new() else { return };
    if !container.has("cpu") {
        return;
    }
    if Processors::probe().unwrap().online < 2 {
        common::skip("one CPU cannot tell cpus=1 from none");
        return;
    }
    let cgroup = container.inner("a");
    let mut scheduler = Scheduler::new(&cgroup).unwrap();
    let mut actors: Vec<Actor> = (0..2).map(|_| Container::python_in(&cgroup, &[], WORK)).collect();
    let mut share = |cpus| {
        set(&mut scheduler, &Schedule { cpus: Some(cpus), ..Schedule::default() });
        actors.iter_mut().for_each(Actor::go);
        assert!(actors.iter_mut().all(Actor::arrives));
        actors.iter().map(Actor::fact).sum::<f64>()
    };
    settles(|| {
        let (one, all) = (share(1), share(0));
        measured(format!("two loops, cpus 1: {one:.2} CPUs; cpus 0: {all:.2} CPUs"));
        within(one < 1.15 && all > 1.3 * one, || format!("{one} with one CPU, {all} with all"))
    });
}

#[test]
fn a_mask_moves_running_tasks_and_absent_cpus_are_refused() {
    let Some(container) = Container::new() else { return };
    if !container.has("cpuset") {
        return;
    }
    let cgroup = container.inner("a");
    let mut scheduler = Scheduler::new(&cgroup).unwrap();
    let mut actor = Container::python_in(
        &cgroup,
        &[],
        r"
while True:
    on = set()
    for _ in range(200):
        on.add(open('/proc/self/stat').read().rsplit(')')[1].split()[36])
    stage(','.join(map(str, sorted(os.sched_getaffinity(0)))), ','.join(sorted(on)))
",
    );
    let last = Processors::probe().unwrap().online - 1;
    for cpu in [0, last] {
        set(&mut scheduler, &Schedule { cpu_mask: Some(only(cpu)), ..Schedule::default() });
        actor.next();
        measured(format!("cpumask {cpu}: affinity {}, ran on {}", actor.facts[0], actor.facts[1]));
        assert_eq!(actor.facts, [cpu.to_string(), cpu.to_string()]);
    }
    let absent = Schedule { cpu_mask: Some(only(last + 1)), ..Schedule::default() };
    let error = scheduler.apply(&absent).unwrap_err();
    measured(format!("cpumask {}: {error}", last + 1));
    assert!(matches!(error, Error::Limit { .. } | Error::LimitReadsBack { .. }), "{error}");
    assert_eq!(read(&cgroup, "cpuset.cpus"), last.to_string(), "put back");
    let all =
        Schedule { cpu_mask: Some(Mask::All), node_mask: Some(only(0)), ..Schedule::default() };
    set(&mut scheduler, &all);
    actor.next();
    assert_eq!(actor.facts[0].split(',').count(), last as usize + 1);
    assert_eq!(read(&cgroup, "cpuset.mems"), "0");
    // Restoring has to get along with the tasks too.
    let nodes = Some(Mask::Only(Ids::new([4095]).unwrap()));
    let fails = Schedule { cpu_mask: Some(only(0)), node_mask: nodes, ..Schedule::default() };
    let error = scheduler.apply(&fails).unwrap_err().to_string();
    assert!(error.starts_with("nodemask") && !error.contains("put back"), "{error}");
    actor.next();
    assert_eq!(actor.facts[0].split(',').count(), last as usize + 1);
}

#[test]
fn the_host_and_a_container_agree_on_what_is_applied() {
    let Some(container) = Container::new() else { return };
    let cgroup = container.inner("a");
    let schedule = Schedule {
        cpu_units: Some(CpuUnits::DEFAULT),
        cpu_limit: Some(CpuLimit::Percent(100)),
        cpus: Some(1),
        cpu_mask: Some(Mask::All),
        node_mask: Some(Mask::All),
        ..Schedule::default()
    };
    let host = container.host.schedulers();
    assert_eq!(host.len(), Knob::ALL.len());
    for (knob, said) in Scheduler::new(&cgroup).unwrap().apply(&schedule).unwrap() {
        assert_eq!(said.is_applied(), host[&knob].is_applied(), "{knob}: {said}, {}", host[&knob]);
        let controller = container.host.has_controller(knob.controller());
        assert_eq!(said.is_applied(), controller, "{knob}");
    }
}

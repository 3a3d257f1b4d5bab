//! How a node grows with its containers: what each of them costs, and whether the
//! many make the single one dearer.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource as Bound, Rlimit, getrlimit, setrlimit};
use ubc_core::ContainerId;
use ubc_node::{Create, Description, ErrorKind, Node, Options, Owned};

use super::fleet::{self, Scrape};
use crate::pairs::{Effort, Pair, cpu_time, time};
use crate::report::{Figure, Goal, Group};

/// Among so few everything is cheap.
const FEW: u32 = 10;

/// Room for each, and twice that, in descriptors.
const DESCRIPTORS: u32 = 20;

/// How long nothing must happen when nobody asks for anything.
const REST: Duration = Duration::from_secs(5);

/// All figures of the group.
///
/// # Errors
///
/// A container cannot be made.
pub fn measure(effort: Effort, group: &mut Group) -> Result<(), Box<dyn Error>> {
    // Each container takes some descriptors, and how many there are is not always ours
    // to say.
    let most = getrlimit(Bound::Nofile).maximum;
    setrlimit(Bound::Nofile, Rlimit { current: most, maximum: most })?;
    let most = most.map_or(u32::MAX, |most| u32::try_from(most).unwrap_or(u32::MAX));
    let wanted = if effort.is_quick() { 100 } else { 10_000 };
    let many = (most / DESCRIPTORS).clamp(FEW, wanted);
    let small = match Fleet::new("few", FEW) {
        Ok(fleet) => fleet,
        Err(error) if matches!(error.kind(), ErrorKind::NoPermission | ErrorKind::Unavailable) => {
            group.skip(format!("scale: {error}"));
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let before = (resident(), descriptors()?);
    let large = Fleet::new("many", many)?;
    let each = |grown: u64| f64::from(u32::try_from(grown).unwrap_or(u32::MAX)) / f64::from(many);
    let memory = each(resident().saturating_sub(before.0));
    let held = each(descriptors()?.saturating_sub(before.1));

    let yardstick = format!("among {FEW}");
    let goal = Some(Goal::AtMost(1.2));
    let pair = |name: &str, effort, times, clock: Clock, what: fn(&Fleet)| {
        let mut on_many = |n| clock(n, &mut || what(&large));
        let mut on_few = |n| clock(n, &mut || what(&small));
        let pair = Pair::new(name, &yardstick, goal).times(times);
        pair.measure(effort, &mut on_many, &mut on_few)
    };
    // A container comes and goes by work of other threads, too.
    let by_clock: Clock = |n, once| time(n, once);
    let of_processor: Clock = |n, once| cpu_time(|| (0..n).for_each(|_| once()));
    let name = format!("making a container and ending it, among {many}");
    group.add(pair(&name, effort, 1.0, by_clock, Fleet::make_one));
    let name = format!("reading one, among {many}");
    group.add(pair(&name, effort, 1.0, of_processor, Fleet::read_one));
    let name = format!("reading all {many}, for each");
    // One of them fills more than a turn.
    let fewer = Effort { rounds: effort.rounds.min(7), ..effort };
    let reading = pair(&name, fewer, f64::from(many / FEW), of_processor, Fleet::read_all);
    let read = reading.value / 1e9 / f64::from(many);
    group.add(reading);
    let name = format!("all {many} as OpenMetrics, for each");
    let text = pair(&name, fewer, f64::from(many / FEW), of_processor, Fleet::write_all);
    let written = text.value / 1e9 / f64::from(many);
    group.add(text);

    let woken = switches()?;
    std::thread::sleep(REST);
    // This thread's own sleep is one.
    let woken = switches()?.saturating_sub(woken).saturating_sub(1);
    let woken = f64::from(u32::try_from(woken).unwrap_or(u32::MAX));
    let name = format!("wake-ups in {} s at rest, {many} containers", REST.as_secs());
    group.add(Figure::count(&name, woken, "count", Some(Goal::Value(0.0))));
    group.add(Figure::count("memory of a container", memory, "KiB", Some(Goal::Value(64.0))));
    group.add(Figure::count("descriptors of a container", held, "count", None));
    let text = ubc::measuring::metrics(&large.told);
    let each = |all: usize| each(all as u64);
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    let scrape = Scrape { series: each(series), bytes: each(text.len()), seconds: read + written };
    group.add(Figure::count("series of a container", scrape.series, "count", None));
    group.add(Figure::count("OpenMetrics of a container", scrape.bytes, "bytes", None));
    fleet::model(scrape, group);
    Ok(())
}

/// How something done so often is timed.
type Clock = fn(u64, &mut dyn FnMut()) -> Duration;

/// A node with containers nobody is in. They go with it.
struct Fleet {
    node: Arc<Node>,
    containers: Vec<Owned>,
    next: ContainerId,
    /// What a reading of all of them told.
    told: Vec<Description>,
}

impl Fleet {
    fn new(name: &str, count: u32) -> ubc_node::Result<Fleet> {
        let cgroup = format!("ubc-bench-{}-{name}", std::process::id());
        let options = Options::default().cgroup(&cgroup).without_programs().without_tests();
        let node = Node::open(options)?;
        let ids = (1..=count).map(|id| ContainerId::new(id).expect("a small number is an id"));
        let made = ids.map(|id| Ok(node.create(&Create::new(id))?.0));
        let containers = made.collect::<ubc_node::Result<_>>()?;
        let next = ContainerId::new(count + 1).expect("a small number is an id");
        let told = node.describe()?;
        Ok(Fleet { node, containers, next, told })
    }

    fn make_one(&self) {
        drop(self.node.create(&Create::new(self.next)).expect("there is room for one more"));
    }

    fn read_one(&self) {
        black_box(self.containers[0].describe().expect("it stands still"));
    }

    fn write_all(&self) {
        black_box(ubc::measuring::metrics(&self.told));
    }

    fn read_all(&self) {
        black_box(self.node.describe().expect("they stand still"));
    }
}

/// Resident memory of this process, in KiB.
pub(super) fn resident() -> u64 {
    number("/proc/self/status", "VmRSS:")
}

fn descriptors() -> std::io::Result<u64> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count() as u64)
}

/// How often the threads of this process stopped to run, so far.
fn switches() -> std::io::Result<u64> {
    let mut all = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let status = task?.path().join("status");
        for key in ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"] {
            all += number(&status.to_string_lossy(), key);
        }
    }
    Ok(all)
}

/// Of the line that begins with `key`.
fn number(path: &str, key: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

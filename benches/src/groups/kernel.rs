//! What the kernel's programs add to the calls that they look at.
//!
//! "Off" is a kernel without our programs, which nothing can be switched to for a
//! few milliseconds. So it is measured before they are installed and after they
//! are gone; what is measured meanwhile is compared with the cheaper of the two
//! medians. Where the machine counts instructions rather than time, as
//! `cargo xtask bench kernel` has it, no drift is in that.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use ubc_bpf::{Enforcer, Options, Sizes};
use ubc_cgroup::Cgroup;
use ubc_peers::Syscalls;

use super::rig::Container;
use super::view;
use crate::pairs::{Effort, quartiles};
use crate::report::{Figure, Goal, Group};
use crate::worker::Worker;

mod profile;

/// What each may cost in a container, as a ratio to the same with nothing on duty.
const GOALS: [(Syscalls, f64); 5] = [
    (Syscalls::OpenClose, 1.08),
    (Syscalls::ForkExit, 1.02),
    (Syscalls::MmapMunmap, 1.08),
    (Syscalls::SocketClose, 1.12),
    (Syscalls::FlockPair, 1.30),
];

/// And to whoever is in none.
const ELSEWHERE: f64 = 1.03;

/// In what the clock counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Time.
    Nanoseconds,
    /// Instructions: an emulated machine whose clock goes on by one nanosecond
    /// with each of them.
    Instructions,
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Unit::Nanoseconds => "ns",
            Unit::Instructions => "instructions",
        }
    }
}

/// All figures of the group.
///
/// # Errors
///
/// A process cannot be started, or does not do as it is told.
pub fn measure(effort: Effort, unit: Unit, group: &mut Group) -> Result<(), Box<dyn Error>> {
    let (Some(container), Some(elsewhere)) = (Container::new(), Container::new()) else {
        group.skip("kernel: no cgroup v2 of its own here");
        return Ok(());
    };
    // One turn is long enough for all that is periodic.
    let rounds = effort.rounds.min(31);
    let [mut inside, mut outside] = [worker(&container.cgroup())?, worker(&elsewhere.cgroup())?];
    let mut counts = [0; Syscalls::ALL.len()];
    for (count, what) in counts.iter_mut().zip(Syscalls::ALL) {
        *count = enough(&mut inside, what, effort)?;
    }
    // The kernel's own stocks of everything are filled, or have their size.
    all(&mut [&mut inside, &mut outside], counts, rounds.div_ceil(4))?;
    let before = all(&mut [&mut inside], counts, rounds)?;
    let mut programs = Group::default();
    let on = {
        let installed = match Installed::new() {
            Ok(installed) => installed,
            Err(why) => {
                group.skip(format!("kernel: {why}"));
                return Ok(());
            }
        };
        installed.enforcer().add(container.cgroup().as_dir(), 1, None)?;
        let on = all(&mut [&mut inside, &mut outside], counts, rounds)?;
        profile::measure(&mut inside, &counts, unit, &mut programs)?;
        on
    };
    let after = all(&mut [&mut inside], counts, rounds)?;
    // Where programs count as it happens there is little left to do for a reader.
    match view::live(effort)? {
        Ok(figure) => programs.add(Figure { unit: unit.name().to_owned(), ..figure }),
        Err(why) => programs.skip(format!("the view of live numbers: {why}")),
    }
    for (index, (what, goal)) in GOALS.into_iter().enumerate() {
        // Whatever else the machine did in one of the two is no cost of the call.
        let off = [&before, &after].map(|off| quartiles(&mut off[0][index].clone())[1]);
        let off = off[0].min(off[1]);
        for (samples, place, goal) in [(&on[0], "a", goal), (&on[1], "no", ELSEWHERE)] {
            let name = format!("{}, in {place} container", what.name());
            let goal = Some(Goal::AtMost(goal));
            group.add(figure(name, unit, goal, samples[index].clone(), off));
        }
    }
    group.figures.append(&mut programs.figures);
    group.skipped.append(&mut programs.skipped);
    Ok(())
}

/// Of each of the calls, what one took in each turn.
type Samples = [Vec<f64>; Syscalls::ALL.len()];

/// Has each of the workers make all calls, in turns.
fn all(
    workers: &mut [&mut Worker],
    counts: [u64; Syscalls::ALL.len()],
    rounds: usize,
) -> io::Result<Vec<Samples>> {
    let mut samples = vec![Samples::default(); workers.len()];
    for (index, (what, count)) in Syscalls::ALL.into_iter().zip(counts).enumerate() {
        for _ in 0..rounds {
            for (worker, samples) in workers.iter_mut().zip(&mut samples) {
                samples[index].push(worker.each(what, count)?);
            }
        }
    }
    Ok(samples)
}

/// How many fill half a turn.
fn enough(worker: &mut Worker, what: Syscalls, effort: Effort) -> io::Result<u64> {
    let mut count = 1;
    while worker.run(what, count)? < effort.half {
        count *= 2;
    }
    Ok(count)
}

fn figure(name: String, unit: Unit, goal: Option<Goal>, mut ours: Vec<f64>, off: f64) -> Figure {
    let [low, value, high] = quartiles(&mut ours);
    Figure {
        name,
        value,
        unit: unit.name().to_owned(),
        yardstick: "accounting off".to_owned(),
        yardstick_value: Some(off),
        ratio: Some(value / off),
        spread: Some([low / off, high / off]),
        goal,
    }
}

/// One that lives in this cgroup.
fn worker(cgroup: &Cgroup) -> Result<Worker, Box<dyn Error>> {
    let worker = Worker::start()?;
    cgroup.add(worker.pid())?;
    Ok(worker)
}

/// Programs of our own, which go with it.
struct Installed {
    enforcer: Option<Enforcer>,
    root: PathBuf,
}

impl Installed {
    /// An error where nothing is refused, and so nothing looked at.
    fn new() -> Result<Installed, Box<dyn Error>> {
        let root = PathBuf::from(format!("/sys/fs/bpf/ubc-bench-{}", std::process::id()));
        let options = Options { root: root.clone(), sizes: Sizes::default() };
        let mut installed = Installed { enforcer: None, root };
        let enforcer = installed.enforcer.insert(Enforcer::open(&options)?);
        match enforcer.powerless() {
            Some(why) => Err(why.into()),
            None => Ok(installed),
        }
    }

    fn enforcer(&self) -> &Enforcer {
        self.enforcer.as_ref().expect("it goes with self only")
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        // While somebody uses them they stay.
        drop(self.enforcer.take());
        if let Err(error) = Enforcer::uninstall(&self.root) {
            eprintln!("bench: {}: {error}", self.root.display());
        }
    }
}

//! Proof that the scheduler knobs do something.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Scratch, events};
use crate::{
    BlockDevice, Cgroup, CpuLimit, CpuUnits, Host, Ids, IoPriority, Knob, Mask, Rate, Result,
    Schedule, Scheduled, Scheduler, files, parse,
};

/// CPU time after which a loop of 1 % must have been throttled, in
/// microseconds; its first millisecond in a period is its last.
const ENOUGH: u64 = 200_000;

/// How long a busy machine may take to give the loop that much.
const PATIENCE: Duration = Duration::from_secs(5);

impl Host {
    /// As [`Host::schedulers`], with the knobs put to the test where that can
    /// be done at once, in a scratch cgroup: a busy loop must be throttled
    /// by `cpu.max` (cpulimit, cpus), and a process must be moved to the one
    /// CPU or node of a mask, where there are more.
    ///
    /// The others are written and read back only: shares show between busy
    /// containers and limits of devices between writes, and neither is made
    /// on somebody's machine for a test. They stay "untested". A claim that
    /// does not hold becomes [`Scheduled::Not`].
    ///
    /// # Errors
    ///
    /// The scratch cgroup cannot be made or removed.
    pub fn self_test_schedulers(&self) -> Result<BTreeMap<Knob, Scheduled>> {
        let mut knobs = self.schedulers();
        if knobs.values().all(|said| matches!(said, Scheduled::Not(_))) {
            return Ok(knobs);
        }
        let scratch = Scratch::new(self)?;
        let outcome = test(scratch.get(), &mut knobs);
        let removed = scratch.remove();
        outcome.and(removed)?;
        Ok(knobs)
    }
}

fn test(cgroup: &Cgroup, knobs: &mut BTreeMap<Knob, Scheduled>) -> Result<()> {
    let mut scheduler = Scheduler::new(cgroup)?;
    // Both are in one file.
    let throttles = match knobs[&Knob::CpuLimit] {
        Scheduled::Not(_) => Ok(false),
        _ => throttles(cgroup, &mut scheduler),
    };
    for (&knob, said) in knobs.iter_mut() {
        if matches!(said, Scheduled::Not(_)) {
            continue;
        }
        let seen = match knob {
            Knob::CpuLimit | Knob::Cpus => throttles.clone(),
            Knob::CpuMask => moves(cgroup, &mut scheduler, knob, "Cpus_allowed_list:"),
            Knob::NodeMask => moves(cgroup, &mut scheduler, knob, "Mems_allowed_list:"),
            Knob::CpuUnits | Knob::IoPriority | Knob::IoLimit | Knob::IopsLimit => {
                reads_back(&mut scheduler, knob)
            }
        };
        match (seen, &mut *said) {
            (Ok(seen), Scheduled::By { proven, .. }) => *proven = seen,
            (Ok(_), _) => {}
            (Err(reason), _) => {
                log::warn!("{knob} is not applied here: {reason}");
                *said = Scheduled::Not(reason.into());
            }
        }
    }
    Ok(())
}

/// A busy loop that may have 1 % of a CPU must be throttled.
fn throttles(cgroup: &Cgroup, scheduler: &mut Scheduler) -> Result<bool, String> {
    let limit = |limit| Schedule { cpu_limit: Some(limit), ..Schedule::default() };
    apply(scheduler, &limit(CpuLimit::Percent(1)))?;
    let count = |key| events(cgroup, "cpu.stat", key);
    let (throttled, used) = (count("nr_throttled"), count("usage_usec"));
    let busy = Process::start(cgroup, "while :; do :; done")?;
    let start = Instant::now();
    let seen = loop {
        if count("nr_throttled") > throttled {
            break Ok(true);
        }
        if count("usage_usec") > used + ENOUGH {
            break Err("cpu.max of 1 % did not throttle a busy loop".to_owned());
        }
        if start.elapsed() > PATIENCE {
            break Ok(false);
        }
        sleep(Duration::from_millis(2));
    };
    // First, so that the loop gets the time to die.
    apply(scheduler, &limit(CpuLimit::Unlimited))?;
    drop(busy);
    seen
}

/// A process must be moved to the first CPU or node of those it may use; with
/// one of them there is nothing to see.
fn moves(
    cgroup: &Cgroup,
    scheduler: &mut Scheduler,
    knob: Knob,
    key: &str,
) -> Result<bool, String> {
    let with = |mask| match knob {
        Knob::NodeMask => Schedule { node_mask: Some(mask), ..Schedule::default() },
        _ => Schedule { cpu_mask: Some(mask), ..Schedule::default() },
    };
    let process = Process::start(cgroup, "read never")?;
    let all = process.allowed(key).ok_or("/proc tells no mask of a process")?;
    let first = all.first().copied().ok_or("a process may run nowhere")?;
    let only = Ids::new([first]).ok_or("its number is above 4095")?;
    apply(scheduler, &with(Mask::Only(only)))?;
    let now = process.allowed(key);
    drop(process);
    apply(scheduler, &with(Mask::All))?;
    if now.as_deref() == Some(&[first][..]) {
        Ok(all.len() > 1)
    } else {
        Err(format!("{} {first} did not move a process", knob.file()))
    }
}

/// No effect can be provoked; the value must at least be kept.
fn reads_back(scheduler: &mut Scheduler, knob: Knob) -> Result<bool, String> {
    let mut schedule = Schedule::default();
    let mut back = Schedule::default();
    match knob {
        Knob::CpuUnits => {
            (schedule.cpu_units, back.cpu_units) = (CpuUnits::new(3000), Some(CpuUnits::DEFAULT));
        }
        Knob::IoPriority => {
            schedule.io_priority = IoPriority::new(7);
            back.io_priority = Some(IoPriority::DEFAULT);
        }
        // One device is like another.
        _ => {
            let devices = BlockDevice::all().map_err(|error| error.to_string())?;
            schedule.devices = devices.into_iter().take(1).collect();
            back.devices.clone_from(&schedule.devices);
            let (some, none) = (Some(Rate::per_second(1 << 20)), Some(Rate::UNLIMITED));
            if knob == Knob::IoLimit {
                (schedule.io_limit, back.io_limit) = (some, none);
            } else {
                (schedule.iops_limit, back.iops_limit) = (some, none);
            }
        }
    }
    apply(scheduler, &schedule)?;
    apply(scheduler, &back)?;
    Ok(false)
}

fn apply(scheduler: &mut Scheduler, schedule: &Schedule) -> Result<(), String> {
    let said = scheduler.apply(schedule).map_err(|error| error.to_string())?;
    match said.into_values().find(|said| matches!(said, Scheduled::Not(_))) {
        Some(Scheduled::Not(reason)) => Err(reason.into_owned()),
        _ => Ok(()),
    }
}

/// A shell in the scratch cgroup, killed on drop.
struct Process(Child);

impl Process {
    fn start(cgroup: &Cgroup, script: &str) -> Result<Process, String> {
        let child = Command::new("/bin/sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start /bin/sh: {error}"))?;
        let process = Process(child);
        cgroup.add(process.0.id()).map_err(|error| error.to_string())?;
        Ok(process)
    }

    /// A list of its `/proc/PID/status`.
    fn allowed(&self, key: &str) -> Option<Vec<u32>> {
        let text = files::read_path(&format!("/proc/{}/status", self.0.id())).ok()?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let list = text.lines().find_map(|line| line.strip_prefix(key))?;
        parse::ids(list.as_bytes()).ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

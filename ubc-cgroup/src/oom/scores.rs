//! The `oom_score_adj` of a container's processes.

use std::collections::{BTreeSet, HashMap};

use procfs::process::Process;
use rustix::fs::OFlags;

use crate::walk::{at, from_procfs, gone, member, read};
use crate::{Bounds, Cgroup, Error, Result};

const FILE: &str = "oom_score_adj";

/// The value with which the kernel never takes a process. OpenVZ passed over
/// such processes too, so they are left alone.
const NEVER: i32 = -1000;

/// How often to look for processes that were forked while we looked. A child
/// has its parent's value, so only those of parents not yet reached are missed.
const ROUNDS: usize = 4;

/// [`Scores`] as plain data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownScores {
    /// What a process has that nobody gave another value.
    pub base: i32,
    /// The values that were set.
    pub ours: Vec<i32>,
    /// Processes that had a value of their own: pid, start, value.
    pub own: Vec<(u32, u64, i32)>,
}

/// What was done to the processes of one container, so that it can be undone,
/// by this process or by one that takes it over as plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scores {
    /// What a process has that nobody gave another value.
    base: i32,
    /// Every value set here: who has one of these inherited it.
    ours: BTreeSet<i32>,
    /// What processes with a value of their own had, by pid and start.
    own: HashMap<(u32, u64), i32>,
}

impl Scores {
    /// Nothing done yet, to a container whose processes have `base`, the value
    /// of its init.
    pub fn new(base: i32) -> Scores {
        Scores { base, ours: BTreeSet::new(), own: HashMap::new() }
    }

    /// What is known, as plain data.
    pub fn known(&self) -> KnownScores {
        let own = self.own.iter().map(|(&(pid, start), &value)| (pid, start, value));
        let (base, ours) = (self.base, self.ours.iter().copied().collect());
        KnownScores { base, ours, own: own.collect() }
    }

    /// Goes on with what another process knew.
    pub fn again(known: &KnownScores) -> Scores {
        let own = known.own.iter().map(|&(pid, start, value)| ((pid, start), value));
        Scores { base: known.base, ours: known.ours.iter().copied().collect(), own: own.collect() }
    }

    /// The value a process has.
    ///
    /// # Errors
    ///
    /// No such process.
    pub fn of_process(pid: u32) -> Result<i32> {
        let path = at(pid, FILE);
        number(&crate::files::read_path(&path)?).ok_or_else(|| unreadable(&path))
    }

    /// Gives every process in the cgroup and below this value, -999 to 1000,
    /// but for those the kernel must never take (-1000). Children inherit it,
    /// and without `CAP_SYS_RESOURCE` none can go below it.
    ///
    /// # Errors
    ///
    /// The cgroup is gone, or a value cannot be written (EACCES without
    /// `CAP_SYS_RESOURCE`).
    pub fn set(&mut self, cgroup: &Cgroup, score: i32) -> Result<()> {
        let score = score.clamp(NEVER + 1, 1000);
        let first = self.ours.is_empty();
        let mut seen = BTreeSet::new();
        each(cgroup, |process, now, round| {
            let mut key = None;
            if now != self.base && (!self.ours.contains(&now) || first && round == 0) {
                key = start(process)?.map(|start| (process.pid.unsigned_abs(), start));
            }
            if let Some(key) = key {
                self.own.entry(key).or_insert(now);
            }
            seen.insert(process.pid.unsigned_abs());
            self.ours.insert(score);
            Ok(score)
        })?;
        self.own.retain(|(pid, _), _| seen.contains(pid));
        Ok(())
    }

    /// Gives every process back what it had; who was born since gets what it
    /// would have inherited.
    ///
    /// # Errors
    ///
    /// As [`Scores::set`].
    pub fn restore(&mut self, cgroup: &Cgroup) -> Result<()> {
        if self.ours.is_empty() {
            return Ok(());
        }
        each(cgroup, |process, now, _| {
            if !self.ours.contains(&now) {
                // Somebody gave it that since.
                return Ok(now);
            }
            let key = start(process)?.map(|start| (process.pid.unsigned_abs(), start));
            let own = key.and_then(|key| self.own.get(&key).copied());
            Ok(own.unwrap_or(self.base))
        })?;
        self.ours.clear();
        self.own.clear();
        Ok(())
    }
}

/// Asks for a new value for each process, until there is nothing to change.
///
/// Memory may run out meanwhile, and who was made more likely to die then dies before who
/// will be. So that comes last, and for the first process at the very end: with it
/// the container is gone.
fn each(
    cgroup: &Cgroup,
    mut wanted: impl FnMut(&Process, i32, usize) -> Result<i32>,
) -> Result<()> {
    let mut text = Vec::new();
    for round in 0..ROUNDS {
        let mut changed = false;
        let mut raised = Vec::new();
        for pid in cgroup.pids(&Bounds::default())?.0 {
            let Some(process) = member(cgroup, pid, &mut text)? else { continue };
            let mut one = || -> Result<()> {
                read(&process, FILE, &mut text)?;
                let now = number(&text).ok_or_else(|| unreadable(&at(pid, FILE)))?;
                if now == NEVER {
                    return Ok(());
                }
                let value = wanted(&process, now, round)?;
                changed |= value != now;
                if value < now {
                    write(&process, value)?;
                } else if value > now {
                    raised.push((pid, value));
                }
                Ok(())
            };
            match one() {
                Err(error) if gone(&error) => {}
                done => done?,
            }
        }
        // By number, which is given out upwards: a cgroup lists them in any order.
        raised.sort_unstable_by_key(|&(pid, _)| std::cmp::Reverse(pid));
        for (pid, value) in raised {
            let Some(process) = member(cgroup, pid, &mut text)? else { continue };
            match write(&process, value) {
                Err(error) if gone(&error) => {}
                done => done?,
            }
        }
        if !changed {
            break;
        }
    }
    Ok(())
}

/// When the process started, in clock ticks since boot: with its pid, itself
/// and no other.
fn start(process: &Process) -> Result<Option<u64>> {
    let mut text = Vec::new();
    read(process, "stat", &mut text)?;
    // The name may have any bytes in it; what follows its last parenthesis is
    // the kernel's: field 3. The start is field 22.
    let after = text.iter().rposition(|byte| *byte == b')').unwrap_or(0);
    let field = text[after..].split(|byte| *byte == b' ').nth(20);
    Ok(field.and_then(|field| std::str::from_utf8(field).ok()?.parse().ok()))
}

fn write(process: &Process, value: i32) -> Result<()> {
    let pid = process.pid.unsigned_abs();
    let file = process
        .open_relative_flags(FILE, OFlags::WRONLY | OFlags::CLOEXEC)
        .map_err(|error| from_procfs("open", pid, FILE, error))?;
    rustix::io::write(file, value.to_string().as_bytes())
        .map_err(|error| Error::io("write", at(pid, FILE), error))?;
    Ok(())
}

fn number(text: &[u8]) -> Option<i32> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

fn unreadable(path: &str) -> Error {
    Error::io("read", path, std::io::Error::from(std::io::ErrorKind::InvalidData))
}

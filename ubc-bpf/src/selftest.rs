//! Proof of the claims: each row's refusal, provoked on the running kernel.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags, openat};
use ubc_core::{Limits, PerResource, Resource};

use crate::sys::{self, Answer};
use crate::{Count, Enforcer, Error, Result, Slot, Standing};

/// Why kmemsize is refused nowhere.
const NO_CONTROLLER: &str = "memory controller is not in cgroup v2 here";

mod probe;

use probe::Probe;

/// What a row's self-test saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The operation was refused exactly where it should be, with this errno,
    /// counted once, and everything was given back at the end.
    Enforced {
        /// What the program saw.
        errno: i32,
    },
    /// No mechanism does that, or none that is on duty does.
    NotEnforced(String),
}

/// The self-test of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The row.
    pub resource: Resource,
    /// The mechanism it was done with.
    pub mechanism: Option<&'static str>,
    /// What came out.
    pub verdict: Verdict,
}

impl Enforcer {
    /// Provokes a refusal of every row that has a mechanism, by a process of
    /// our own in `scratch`, an empty cgroup that the caller made and removes.
    /// A mechanism that does not refuse is replaced by the next one for its
    /// rows, until one does or none is left.
    ///
    /// # Errors
    ///
    /// The test cannot be made: the scratch cgroup takes no process, or the
    /// kernel's tables cannot be written. A row that fails is no error.
    pub fn self_test(&self, scratch: BorrowedFd<'_>) -> Result<Vec<Outcome>> {
        let mut procs = File::from(
            openat(scratch, c"cgroup.procs", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
                .map_err(|errno| failed(errno.into()))?,
        );
        let mut outcomes = Vec::new();
        for probe in probe::ALL {
            outcomes.push(self.test_row(probe, scratch, &mut procs)?);
        }
        Ok(outcomes)
    }

    fn test_row(
        &self,
        probe: &Probe,
        scratch: BorrowedFd<'_>,
        procs: &mut File,
    ) -> Result<Outcome> {
        let resource = probe.resource;
        let mut reasons = Vec::new();
        loop {
            // One that only counts is left on duty for that.
            let refuses = self.mechanism(resource).filter(|mechanism| mechanism.refuses(resource));
            let Some(mechanism) = refuses else {
                let verdict = Verdict::NotEnforced(self.why_not(resource, reasons));
                return Ok(Outcome { resource, mechanism: None, verdict });
            };
            let slot = self.add(scratch, 0, None)?;
            if !self.is_counted(slot, resource)? {
                self.remove(slot)?;
                let verdict = Verdict::NotEnforced(NO_CONTROLLER.into());
                return Ok(Outcome { resource, mechanism: None, verdict });
            }
            let seen = self.provoke(probe, slot, procs);
            self.remove(slot)?;
            match seen.map_err(failed)? {
                Ok(errno) => {
                    self.note_proven(resource)?;
                    let verdict = Verdict::Enforced { errno };
                    return Ok(Outcome { resource, mechanism: Some(mechanism.name), verdict });
                }
                Err(reason) => {
                    log::warn!("{}: {resource}: {reason}", mechanism.name);
                    self.replace(mechanism, &reason)?;
                    reasons.push(format!("{}: {reason}", mechanism.name));
                }
            }
        }
    }

    /// One provoked refusal: the errno seen, or what was wrong with it.
    fn provoke(
        &self,
        probe: &Probe,
        slot: Slot,
        procs: &mut File,
    ) -> io::Result<Result<i32, String>> {
        let other = |error: Error| io::Error::other(error.to_string());
        let resource = probe.resource;
        let count = || Ok(self.counts(slot).map_err(other)?[resource]);
        let bound = |room: u64| -> io::Result<()> {
            let most = count()?.held + room;
            let mut limits = PerResource::default();
            limits[resource] = Some(Limits { barrier: most, limit: most + probe.slack() });
            self.set_limits(slot, &limits).map_err(other)
        };
        let (answer, during) = sys::attempt(
            procs,
            probe.attempt,
            || bound(probe.room),
            || -> io::Result<Count> { count() },
        )?;
        let after = probe::settled(probe.rest(), count)?;
        Ok(probe.judge(answer, during?, after))
    }

    fn why_not(&self, resource: Resource, tried: Vec<String>) -> String {
        let mut reasons = tried;
        for (mechanism, standing) in self.standings() {
            if let Standing::Refused(reason) = standing
                && mechanism.resources.contains(&resource)
                && !reasons.iter().any(|known| known.ends_with(&reason))
            {
                reasons.push(format!("{}: {reason}", mechanism.name));
            }
        }
        if reasons.is_empty() { "no mechanism for it".to_owned() } else { reasons.join("; ") }
    }
}

impl Probe {
    /// The most that may be held when everything has ended: of what the kernel
    /// takes itself, it keeps some at hand.
    fn rest(&self) -> u64 {
        if self.amount == 0 { self.room / 4 } else { 0 }
    }

    /// How far the limit is from the barrier: what is the kernel's business may pass
    /// the barrier, and what it is for must not be refused as well.
    fn slack(&self) -> u64 {
        if self.amount == 0 { self.room } else { 0 }
    }

    fn judge(&self, answer: Answer, during: Count, after: Count) -> Result<i32, String> {
        let name = self.resource;
        if answer.errno == 0 {
            return Err(format!("{name}: {} attempts and none was refused", answer.allowed));
        }
        if self.amount == 0 {
            if answer.allowed == 0 || during.maxheld > 3 * self.room {
                return Err(format!(
                    "refused after {} attempts with {} held",
                    answer.allowed, during.maxheld
                ));
            }
        } else if u64::from(answer.allowed) * self.amount != self.room {
            return Err(format!(
                "refused after {} of {} with errno {}",
                u64::from(answer.allowed) * self.amount,
                self.room,
                answer.errno
            ));
        }
        if during.failcnt != 1 {
            return Err(format!("one refusal was counted as {}", during.failcnt));
        }
        if after.held > self.rest() {
            return Err(format!("{} not given back at the end", after.held));
        }
        Ok(answer.errno)
    }
}

fn failed(source: io::Error) -> Error {
    Error::Io { path: "self-test".into(), source }
}

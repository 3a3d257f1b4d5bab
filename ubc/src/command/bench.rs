//! `ubc bench`: what counting adds to a command of one's own.

mod subject;
mod told;

use std::ffi::OsString;

use clap::ArgMatches;
use ubc_cgroup::Host;
use ubc_cgroup::ubc_bpf::{self, Enforcer, Options};

use crate::error::{Failure, Kind, Result};
use crate::report;
use subject::Subject;
use told::Report;

/// In what company the command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// No program of ours is in the kernel.
    Off,
    /// The programs are on duty; it is in no container of theirs.
    Outside,
    /// It is in one.
    Inside,
}

/// Runs the command in each place, in turns, and tells what it cost.
pub(crate) fn bench(matches: &ArgMatches) -> Result<()> {
    let words: Vec<OsString> = matches.get_many("command").unwrap_or_default().cloned().collect();
    let rounds: usize = crate::cli::required(matches, "rounds");
    let unavailable = |error: &dyn std::fmt::Display| Failure::new(Kind::Unavailable, error);
    let host = Host::probe().map_err(|error| unavailable(&error))?;
    let subject = Subject::new(&host, &words)?;
    let mut duty = Duty::new();
    let places: &[Place] = if duty.stays {
        &[Place::Outside, Place::Inside]
    } else {
        &[Place::Off, Place::Outside, Place::Inside]
    };
    // So that a kernel that refuses nothing is said before anything has run; and
    // what is read for the first time is read now.
    subject.run(Some(duty.on()?))?;
    let mut report = Report::new(&words, rounds, places);
    for round in 0..rounds {
        // Nobody always follows the same other; and programs are not put there and
        // taken away more often than needed.
        let turns: Vec<Place> = match round % 2 {
            0 => places.iter().rev().copied().collect(),
            _ => places.to_vec(),
        };
        for place in turns {
            let cost = match place {
                Place::Off => {
                    duty.off()?;
                    subject.run(None)?
                }
                Place::Outside => {
                    duty.on()?;
                    subject.run(None)?
                }
                Place::Inside => subject.run(Some(duty.on()?))?,
            };
            report.add(place, cost);
        }
    }
    duty.off()?;
    if duty.stays {
        log::warn!(
            "the programs are on duty, so nothing is told of a kernel without them: for that \
             stop the daemon, and `ubc unload`"
        );
    }
    let json = matches.get_flag("json");
    crate::print(|out| if json { report::json(out, &report.told()) } else { report.text(out) })
}

/// The programs, put on duty and taken off it.
struct Duty {
    options: Options,
    enforcer: Option<Enforcer>,
    /// They were there before us, and are not ours to take away.
    stays: bool,
}

impl Duty {
    fn new() -> Duty {
        let options = Options::default();
        let stays = Enforcer::is_installed(&options.root);
        Duty { options, enforcer: None, stays }
    }

    fn on(&mut self) -> Result<&Enforcer> {
        let enforcer = match self.enforcer.take() {
            Some(enforcer) => enforcer,
            None => Enforcer::open(&self.options)
                .map_err(|error| Failure::new(Kind::Unavailable, error))?,
        };
        let enforcer = self.enforcer.insert(enforcer);
        match enforcer.powerless() {
            None => Ok(enforcer),
            Some(why) => Err(Failure::new(
                Kind::Unavailable,
                format!("nothing to measure: no program refuses here ({why}); see `ubc doctor`"),
            )),
        }
    }

    fn off(&mut self) -> Result<()> {
        if self.enforcer.take().is_none() || self.stays {
            return Ok(());
        }
        match Enforcer::uninstall(&self.options.root) {
            Ok(_) => Ok(()),
            Err(error @ ubc_bpf::Error::InUse { .. }) => Err(Failure::new(Kind::InUse, error)),
            Err(error) => Err(Failure::system(error)),
        }
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        if let Err(error) = self.off() {
            log::warn!("{error}");
        }
    }
}

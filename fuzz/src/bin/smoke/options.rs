//! What the arguments ask for.

use std::path::PathBuf;
use std::time::Duration;

use ubc_fuzz::{TARGETS, Target, find};

pub(super) const USAGE: &str = "\
usage: smoke [--target NAME]... [--seconds S | --each S | --executions N]
             [--seed N] [--jobs N] [--by S]
       smoke --target NAME --replay FILE
       smoke --list

Runs every target, or those named, N (1) at a time, for S seconds all together
(10), S seconds each or N executions each, from seed N (1). Seconds are those of
a processor. With --by, those of a clock, all is over S seconds from now: a target
may get less then, and the last ones at least ten seconds. Exit status: 0 nothing found, 1 something found, 2 usage.";

/// When a target has had enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Budget {
    Time(Duration),
    Executions(u64),
}

pub(super) struct Options {
    pub(super) targets: Vec<Target>,
    pub(super) budget: Budget,
    pub(super) seed: u64,
    /// How many targets at a time.
    pub(super) jobs: usize,
    /// By the clock, from the start: when all is over, whatever each has had.
    pub(super) by: Option<Duration>,
    pub(super) replay: Option<PathBuf>,
}

/// What the arguments ask for; `None` if it is already done.
pub(super) fn options(mut args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options {
        targets: Vec::new(),
        budget: Budget::Time(Duration::ZERO),
        seed: 1,
        jobs: 1,
        by: None,
        replay: None,
    };
    // To be shared, as long as nothing else is asked for.
    let mut together = Some(Duration::from_secs(10));
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        let number = |text: String| {
            text.parse::<u64>().map_err(|_| format!("{text:?} is not a whole number"))
        };
        match arg.as_str() {
            "--target" => {
                let name = value()?;
                let target = find(&name).ok_or_else(|| {
                    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
                    format!("no target {name:?}; there are {}", names.join(", "))
                })?;
                options.targets.push(target);
            }
            "--seconds" => together = Some(Duration::from_secs(number(value()?)?)),
            "--each" => {
                together = None;
                options.budget = Budget::Time(Duration::from_secs(number(value()?)?));
            }
            "--executions" => {
                together = None;
                options.budget = Budget::Executions(number(value()?)?);
            }
            "--jobs" => {
                let jobs = usize::try_from(number(value()?)?).ok().filter(|jobs| *jobs > 0);
                options.jobs = jobs.ok_or("--jobs needs at least 1")?;
            }
            "--by" => options.by = Some(Duration::from_secs(number(value()?)?)),
            "--seed" => options.seed = number(value()?)?,
            "--replay" => options.replay = Some(value()?.into()),
            "--list" => {
                for target in TARGETS {
                    println!("{}", target.name);
                }
                return Ok(None);
            }
            "--help" | "-h" => {
                println!("{USAGE}");
                return Ok(None);
            }
            _ => return Err(format!("unknown argument {arg:?}")),
        }
    }
    if options.replay.is_some() && options.targets.len() != 1 {
        return Err("--replay needs one --target".to_owned());
    }
    if options.targets.is_empty() {
        options.targets = TARGETS.to_vec();
    }
    if let Some(all) = together {
        options.budget = Budget::Time(all / u32::try_from(options.targets.len()).unwrap_or(1));
    }
    Ok(Some(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(words: &str) -> Budget {
        options(words.split_whitespace().map(str::to_owned)).unwrap().unwrap().budget
    }

    #[test]
    fn a_time_for_each_target_is_not_shared_among_them() {
        let count = u32::try_from(TARGETS.len()).unwrap();
        let minute = Duration::from_mins(1);
        assert_eq!(budget("--each 60 --jobs 2"), Budget::Time(minute));
        assert_eq!(budget("--seconds 60"), Budget::Time(minute / count));
        assert_eq!(budget("--seconds 60 --target value --target ub_id"), Budget::Time(minute / 2));
        assert_eq!(budget("--executions 7"), Budget::Executions(7));
    }

    #[test]
    fn nobody_fuzzes_with_no_worker_and_calls_it_passed() {
        let words = ["--jobs", "0"].map(str::to_owned);
        assert!(options(words.into_iter()).is_err());
    }
}

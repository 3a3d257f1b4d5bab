//! `cargo xtask soak`: what finds the rare, for as long as one likes.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::run::{Result, cargo, check, step};
use crate::tests::{Count, test};
use crate::{fuzz, suite};

/// What can be run, and `all` of it.
pub(crate) const PARTS: [&str; 7] = ["kills", "faults", "scale", "fuzz", "hostile", "loom", "all"];

/// Most kills of the daemon in one run of its test.
const MOST_KILLS: u64 = 1000;

/// Seconds a kill takes with all that is looked at after it, about.
const A_KILL: u64 = 2;

/// Seconds it takes to have one call fail and look at all that is there afterwards, about.
const A_FAULT: u64 = 3;

/// Most containers in one run of their test.
const MOST_CONTAINERS: u64 = 10_000;

/// How many come and go in a second, about.
const CONTAINERS: u64 = 20;

/// What a part came to.
struct Outcome {
    part: &'static str,
    runs: u64,
    took: Duration,
    failed: Option<String>,
}

/// Runs a part, or all of them one after the other with equal shares of the time.
/// Each runs at least once; what was begun is finished. One that fails ends, and
/// the others go on.
pub(crate) fn soak(what: &str, minutes: u64) -> Result<()> {
    let parts: Vec<&'static str> =
        PARTS[..6].iter().copied().filter(|part| what == "all" || what == *part).collect();
    // The models are as long as they are.
    let timed = parts.iter().filter(|part| **part != "loom").count().max(1);
    let share = Duration::from_mins(minutes) / u32::try_from(timed).unwrap_or(1);
    let outcomes: Vec<Outcome> = parts.into_iter().map(|part| run(part, share)).collect();
    step("soak");
    for Outcome { part, runs, took, failed } in &outcomes {
        let how = failed.as_deref().unwrap_or("passed");
        println!("{part:<8} {runs:>4} runs {:>6} s  {how}", took.as_secs());
    }
    let failed: Vec<&str> =
        outcomes.iter().filter(|one| one.failed.is_some()).map(|one| one.part).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

fn run(part: &'static str, share: Duration) -> Outcome {
    let started = Instant::now();
    let (mut runs, mut failed) = (0, None);
    while runs == 0 || (failed.is_none() && part != "loom" && started.elapsed() < share) {
        let left = share.saturating_sub(started.elapsed()).as_secs();
        runs += 1;
        step(&format!("{part}: run {runs}, {left} s left"));
        failed = once(part, left).err();
    }
    Outcome { part, runs, took: started.elapsed(), failed }
}

/// One run, in the time that is left if that can be chosen.
fn once(part: &str, seconds: u64) -> Result<()> {
    let mut count = Count::default();
    let told = match part {
        "kills" => {
            let kills = (seconds / A_KILL).clamp(10, MOST_KILLS).to_string();
            let mut command = binary("ubc", "reliability")?;
            command.arg("killing_the_daemon").env("UBC_KILLS", kills);
            test(&mut command, &mut count)
        }
        "faults" => {
            let faults = (seconds / A_FAULT).max(24).to_string();
            // Other ones each time.
            let seed = std::time::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_secs());
            let mut command = binary("ubc", "injected")?;
            command.env("UBC_FAULTS", faults).env("UBC_SEED", seed.to_string());
            test(&mut command, &mut count)
        }
        "scale" => {
            let containers = (seconds * CONTAINERS).clamp(1000, MOST_CONTAINERS).to_string();
            let mut command = binary("ubc-node", "scale")?;
            test(command.env("UBC_SCALE", containers), &mut count)
        }
        "hostile" => test(&mut binary("ubc", "hostile")?, &mut count),
        "loom" => suite::loom(&mut count),
        _ => return fuzz::together(seconds.max(1)),
    };
    println!("{} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped.len());
    told?;
    // A soak that looked at nothing has found nothing.
    if count.passed == 0 || !count.skipped.is_empty() {
        return Err(format!("nothing was tested: {}", count.skipped.join("; ")));
    }
    Ok(())
}

/// A test binary of a package, built with its programs and examples, which the
/// tests start.
fn binary(package: &str, name: &str) -> Result<Command> {
    check(cargo().args(["build", "--quiet", "-p", package, "--bins", "--examples"]))?;
    let mut command = cargo();
    command.args(["test", "--quiet", "-p", package, "--test", name]);
    Ok(command)
}

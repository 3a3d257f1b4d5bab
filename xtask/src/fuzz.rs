//! Fuzzing: guided by coverage where libFuzzer can be built, else seeded and blind.

use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::run::{Result, cargo, check, root};

mod guided;
mod idle;

pub(crate) use idle::Idle;

/// Processor time of each target in the suite.
const EACH: Duration = Duration::from_mins(1);
/// Longest the suite waits for them: with nobody else they need ten minutes on two processors.
/// An input that a target never comes back from is found here.
const LIMIT: Duration = Duration::from_mins(30);

/// Fuzzes, and says in which mode. Guided, each target gets so many seconds, with as many at
/// a time as there are processors; in the seeded mode they share them. Only guided there is
/// something to `keep`.
pub(crate) fn fuzz(seconds: u64, target: Option<&str>, keep: bool) -> Result<()> {
    if guided::is_possible() {
        let mut names = guided::targets()?;
        if let Some(wanted) = target {
            let known = names.join(", ");
            names.retain(|name| name == wanted);
            if names.is_empty() {
                return Err(format!("no target {wanted:?}; there are {known}"));
            }
        }
        guided::fuzz(Duration::from_secs(seconds), &names)?;
        return if keep { guided::keep(&names) } else { Ok(()) };
    }
    if keep {
        return Err("--keep needs libFuzzer, and that a compiler of C++ (c++)".to_owned());
    }
    println!("mode: seeded mutation of the corpus (libFuzzer needs a compiler of C++, c++)");
    blind(seconds, target)
}

/// All targets, in so many seconds all together.
pub(crate) fn together(seconds: u64) -> Result<()> {
    if !guided::is_possible() {
        return fuzz(seconds, None, false);
    }
    let at_once = thread::available_parallelism().map_or(1, |number| number.get() as u64);
    fuzz((seconds * at_once / guided::targets()?.len().max(1) as u64).max(1), None, false)
}

/// The seeded mode, which needs nothing but cargo.
fn blind(seconds: u64, target: Option<&str>) -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--release"]).args(smoke(seconds));
    if let Some(target) = target {
        command.args(["--target", target]);
    }
    check(&mut command)
}

/// Starts the same with what the tests have built already, each target for a minute of processor
/// time, as many at a time as there are processors, while none of them is wanted for anything
/// else. Slower than built for speed, which takes minutes, but with every check for overflows.
/// A target gets less, and says so, where the minutes would end later than `by` from now.
pub(crate) fn start(by: Duration) -> Result<Idle> {
    check(cargo().args(["build", "--quiet", "-p", "ubc-fuzz", "--bin", "smoke"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let mut smoke = Command::new(root().join(target).join("debug/smoke"));
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    smoke.args(["--each", &EACH.as_secs().to_string(), "--jobs", &jobs.to_string()]);
    smoke.args(["--by", &by.as_secs().to_string()]);
    Idle::start(&smoke)
}

/// Waits until all of them have had theirs; an error if one found something.
pub(crate) fn finish(fuzzers: Idle) -> Result<()> {
    fuzzers.wait(LIMIT)
}

fn smoke(seconds: u64) -> [String; 7] {
    let seconds = seconds.to_string();
    ["-p", "ubc-fuzz", "--bin", "smoke", "--", "--seconds", &seconds].map(str::to_owned)
}

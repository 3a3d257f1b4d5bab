//! Fuzzing: with coverage where cargo-fuzz is installed, else seeded and blind.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::run::{Result, cargo, check, root};

mod idle;

pub(crate) use idle::Idle;

/// Processor time of each target in the suite.
const EACH: Duration = Duration::from_mins(1);
/// Longest the suite waits for them: with nobody else they need ten minutes on two processors.
/// An input that a target never comes back from is found here.
const LIMIT: Duration = Duration::from_mins(30);

/// Fuzzes, and says in which mode. With libFuzzer each target gets so many
/// seconds; in the seeded mode they share them.
pub(crate) fn fuzz(seconds: u64, target: Option<&str>) -> Result<()> {
    if has_cargo_fuzz() {
        println!("mode: libFuzzer, coverage-guided");
        let targets = targets()?;
        for name in targets.iter().filter(|name| target.is_none_or(|wanted| wanted == *name)) {
            let mut command = cargo();
            command.args(["fuzz", "run", "--features", "libfuzzer"]);
            command.args(["--sanitizer", "none", name, "--"]);
            command.arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1");
            check(&mut command)?;
        }
        return Ok(());
    }
    println!("mode: seeded mutation of the corpus (cargo-fuzz is not installed)");
    blind(seconds, target)
}

/// All targets, in so many seconds all together.
pub(crate) fn together(seconds: u64) -> Result<()> {
    if has_cargo_fuzz() {
        let each = seconds / targets()?.len().max(1) as u64;
        return fuzz(each.max(1), None);
    }
    fuzz(seconds, None)
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

fn has_cargo_fuzz() -> bool {
    let mut command = cargo();
    command.args(["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn targets() -> Result<Vec<String>> {
    let output = cargo()
        .args(["fuzz", "list"])
        .output()
        .map_err(|error| format!("cargo fuzz list: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().map(str::to_owned).collect())
}

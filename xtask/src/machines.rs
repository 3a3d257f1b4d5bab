//! The tests that need a real machine, in real machines.
//!
//! The kernel one develops on may lack the controllers, or be the only kernel
//! one has. So every test binary that looks at the system runs again in each
//! guest, where nothing has to be skipped for want of cgroup v2.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::run::{Result, cargo, check};
use crate::tests::Count;
use crate::vm::{Guest, Machine};

/// Test binaries that look at the system, by package.
const TESTS: [&str; 3] = ["ubc", "ubc-cgroup", "ubc-procfs"];

/// What needs no other kernel: texts only.
const TEXT_ONLY: [&str; 2] = ["readme", "fixtures"];

/// The module that `native_entry`, one of them, builds and leaves installed.
const MODULE: &str = "ubc_entry";

/// What runs a second time with that module loaded: every container runtime.
const NATIVE_ENTRY_TOO: [&str; 1] = ["runtimes"];

/// Longest a test binary may take in an emulated machine, on a busy one: the
/// one that builds a kernel module needs minutes.
const LIMIT: Duration = Duration::from_mins(20);

/// Runs them in every guest.
pub(crate) fn test() -> Result<Count> {
    let binaries = build()?;
    let mut total = Count::default();
    for guest in [Guest::Trixie, Guest::Bookworm] {
        println!("   {guest}");
        total.add(run_in(guest, &binaries)?);
    }
    Ok(total)
}

#[derive(Default)]
struct Binaries {
    tests: BTreeSet<PathBuf>,
    /// What the tests start: the command and the examples.
    programs: BTreeSet<PathBuf>,
}

/// Builds them all; where they are.
fn build() -> Result<Binaries> {
    let mut command = cargo();
    command.args(["test", "--no-run", "--quiet", "--message-format=json"]);
    for package in TESTS {
        command.args(["-p", package]);
    }
    let output = command.output().map_err(|error| format!("cargo test --no-run: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo test --no-run: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let mut binaries = Binaries::default();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        let Some(path) = message["executable"].as_str() else { continue };
        let target = &message["target"];
        let is = |kind: &str| target["kind"].as_array().is_some_and(|k| k.contains(&kind.into()));
        let name = target["name"].as_str().unwrap_or_default();
        if is("test") && !TEXT_ONLY.contains(&name) {
            binaries.tests.insert(path.into());
        } else if (is("bin") || is("example")) && message["profile"]["test"] == false {
            binaries.programs.insert(path.into());
        }
    }
    Ok(binaries)
}

fn run_in(guest: Guest, binaries: &Binaries) -> Result<Count> {
    let machine = Machine::resume(guest)?;
    // At the same paths: the tests know those of the programs.
    for path in binaries.tests.iter().chain(&binaries.programs) {
        let remote = path.to_str().ok_or_else(|| format!("{}: not UTF-8", path.display()))?;
        machine.push(&stripped(path)?, remote)?;
    }
    let mut total = Count::default();
    for path in &binaries.tests {
        total.add(run_one(&machine, guest, path, "")?);
    }
    // The view goes another way where the kernel has the name for it.
    let module = machine.run(&["modprobe", MODULE], Duration::from_mins(1))?;
    if module.status != 0 {
        return Err(format!("{guest}: no {MODULE}: {}", module.stderr.trim()));
    }
    for path in binaries.tests.iter().filter(|path| NATIVE_ENTRY_TOO.contains(&name(path))) {
        total.add(run_one(&machine, guest, path, " by the native entry")?);
    }
    Ok(total)
}

/// Runs one test binary; `how` tells it from another run of the same.
fn run_one(machine: &Machine, guest: Guest, path: &Path, how: &str) -> Result<Count> {
    let words = [path.to_str().unwrap_or_default(), "--show-output"];
    let outcome = machine.run(&words, LIMIT)?;
    let mut count = Count::default();
    for line in outcome.stdout.lines().chain(outcome.stderr.lines()) {
        count.line(line);
    }
    let name = name(path);
    println!(
        "   {guest}: {name}{how}: {} passed, {} failed, {} skipped",
        count.passed,
        count.failed,
        count.skipped.len()
    );
    if outcome.status != 0 {
        println!("{}\n{}", outcome.stdout, outcome.stderr);
        return Err(format!("{guest}: {name}{how} ended with {}", outcome.status));
    }
    Ok(count.prefixed(&guest.to_string()))
}

/// The name of a test binary, without cargo's hash.
fn name(path: &Path) -> &str {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.rsplit_once('-').map_or(name, |(name, _)| name)
}

/// A copy without debug information: it is ten times smaller to send.
fn stripped(path: &Path) -> Result<PathBuf> {
    let copy = path.with_extension("stripped");
    let mut command = Command::new("strip");
    check(command.arg("--strip-debug").arg("-o").arg(&copy).arg(path))?;
    Ok(copy)
}

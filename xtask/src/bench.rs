//! `cargo xtask bench`: figures next to yardsticks, and curves.

mod kernel;

use std::process::Command;

use crate::run::{Result, cargo, check};

/// What can be measured.
pub(crate) const GROUPS: [&str; 6] = ["engine", "view", "meters", "scale", "kernel", "all"];

/// Runs the paired figures of a group, or criterion's benchmarks of it. Those of
/// the kernel group are of an emulated machine, unless `here`.
pub(crate) fn bench(what: &str, quick: bool, curves: bool, here: bool) -> Result<()> {
    match what {
        "kernel" | "scale" if curves => Err(format!("the group {what} has no curves")),
        "kernel" if !here => kernel::counted(quick),
        what if curves => criterion(what, quick),
        // Where programs refuse nothing here, that is said and left out.
        what => pairs(what, quick),
    }
}

/// All of it as briefly as it goes, so that none rots. Times are not looked at, so it is
/// not built anew for speed.
pub(crate) fn brief() -> Result<()> {
    check(measure("run").args(["--", "all", "--quick"]))?;
    check(cargo().args(["test", "--quiet", "-p", "ubc-benches", "--benches"]))
}

fn pairs(what: &str, quick: bool) -> Result<()> {
    let mut command = measure("run");
    command.args(["--release", "--", what]);
    if quick {
        command.arg("--quick");
    }
    check(&mut command)
}

/// Cargo, about the program that measures.
fn measure(verb: &str) -> Command {
    let mut command = cargo();
    command.args([verb, "--quiet", "-p", "ubc-benches", "--bin", "ubc-measure"]);
    command
}

fn criterion(what: &str, quick: bool) -> Result<()> {
    let mut command = cargo();
    command.args(["bench", "--quiet", "-p", "ubc-benches"]);
    match what {
        "all" => command.arg("--benches"),
        one => command.args(["--bench", one]),
    };
    if quick {
        command.args(["--", "--test"]);
    }
    check(&mut command)
}

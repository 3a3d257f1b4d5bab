//! `cargo xtask bench`: figures next to yardsticks, and curves.

use crate::run::{Result, cargo, check};

/// What can be measured.
pub(crate) const GROUPS: [&str; 4] = ["engine", "view", "meters", "all"];

/// Runs the paired figures of a group, or criterion's benchmarks of it.
pub(crate) fn bench(what: &str, quick: bool, curves: bool) -> Result<()> {
    if curves { criterion(what, quick) } else { pairs(what, quick) }
}

/// All of it as briefly as it goes, so that none rots. Times are not looked at.
pub(crate) fn brief() -> Result<()> {
    bench("all", true, false)?;
    bench("all", true, true)
}

fn pairs(what: &str, quick: bool) -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--release", "--quiet", "-p", "ubc-benches", "--bin", "ubc-measure"]);
    command.args(["--", what]);
    if quick {
        command.arg("--quick");
    }
    check(&mut command)
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

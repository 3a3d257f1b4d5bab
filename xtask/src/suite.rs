//! `cargo xtask test`: everything, step by step, and `cargo xtask bench`.

use std::process::Command;
use std::time::Instant;

use crate::run::{Result, cargo, check, step};
use crate::tests::{Count, test};
use crate::{fuzz, machines, no_std, packages};

/// Seconds the fuzz targets get in the suite, all together.
const FUZZ_SECONDS: u64 = 20;

type Step = (&'static str, fn() -> Result<Count>);

const STEPS: [Step; 10] = [
    ("packages", || packages::for_test().map(|()| Count::default())),
    ("format", || checked(cargo().args(["fmt", "--all", "--check"]))),
    ("lints", lints),
    ("tests", || test(cargo().args(["test", "--workspace", "--quiet"]))),
    ("machines", machines::test),
    ("loom", loom),
    ("docs", docs),
    ("no_std", || no_std::prove().map(|()| Count::default())),
    ("fuzz", || fuzz::blind(FUZZ_SECONDS, None).map(|()| Count::default())),
    ("benches", || bench(true).map(|()| Count::default())),
];

/// Runs every step, or those whose name contains `only`.
pub(crate) fn suite(only: Option<&str>) -> Result<()> {
    let started = Instant::now();
    let mut total = Count::default();
    let wanted: Vec<&Step> =
        STEPS.iter().filter(|(name, _)| only.is_none_or(|part| name.contains(part))).collect();
    for (index, (name, run)) in wanted.iter().enumerate() {
        step(&format!("{}/{} {name} ({} s)", index + 1, wanted.len(), started.elapsed().as_secs()));
        total.add(run().map_err(|error| format!("step {name} failed: {error}"))?);
    }
    step(&format!("all steps passed in {} s", started.elapsed().as_secs()));
    for why in &total.skipped {
        println!("skipped: {why}");
    }
    // The closing line that CI looks for.
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped.len());
    Ok(())
}

/// Runs the benchmarks, or, `brief`, each once.
pub(crate) fn bench(brief: bool) -> Result<()> {
    let mut command = cargo();
    command.args(["bench", "--quiet", "-p", "ubc-benches"]);
    if brief {
        command.args(["--", "--test"]);
    }
    check(&mut command)
}

fn checked(command: &mut Command) -> Result<Count> {
    check(command).map(|()| Count::default())
}

fn lints() -> Result<Count> {
    let deny = ["--", "-D", "warnings"];
    check(cargo().args(["clippy", "--workspace", "--all-targets", "--quiet"]).args(deny))?;
    // Every feature of the engine, and none.
    for features in ["--all-features", "--no-default-features"] {
        let core = ["clippy", "-p", "ubc-core", "--quiet", features];
        check(cargo().args(core).args(deny))?;
    }
    Ok(Count::default())
}

/// The models of the lock-free code: exhaustive, so a build of their own.
fn loom() -> Result<Count> {
    let mut command = cargo();
    command.args(["test", "-p", "ubc-core", "--release", "--quiet", "--test", "loom*"]);
    command.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", "target/loom");
    test(&mut command)
}

fn docs() -> Result<Count> {
    let mut command = cargo();
    command.args(["doc", "--workspace", "--no-deps", "--quiet"]);
    checked(command.env("RUSTDOCFLAGS", "-D warnings"))
}

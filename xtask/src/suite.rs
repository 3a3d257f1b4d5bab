//! `cargo xtask test`: everything, step by step.

use std::time::Instant;

use crate::run::{Result, cargo, check, step};
use crate::tests::{Count, test};
use crate::{api, bench, facts, fuzz, machines, no_std, packages, promtool, supply, youki};

/// Seconds the fuzz targets get in the suite, all together.
const FUZZ_SECONDS: u64 = 60;

type Step = (&'static str, fn(&mut Count) -> Result<()>);

const STEPS: [Step; 13] = [
    ("packages", |_| packages::for_test()),
    ("format", |_| check(cargo().args(["fmt", "--all", "--check"]))),
    ("dependencies", |_| supply::check()),
    ("lints", |_| lints()),
    ("tools", |total| {
        prepare_tools(total);
        Ok(())
    }),
    ("tests", tests),
    ("machines", machines::test),
    ("loom", loom),
    ("docs", |_| docs()),
    ("api", api::check_all),
    ("no_std", |_| no_std::prove()),
    ("fuzz", |_| fuzz::brief(FUZZ_SECONDS)),
    ("benches", |_| bench::brief()),
];

/// Runs every step, or those whose name contains `only`.
pub(crate) fn suite(only: Option<&str>) -> Result<()> {
    let started = Instant::now();
    let mut total = Count::default();
    let wanted: Vec<&Step> =
        STEPS.iter().filter(|(name, _)| only.is_none_or(|part| name.contains(part))).collect();
    for (index, (name, run)) in wanted.iter().enumerate() {
        step(&format!("{}/{} {name} ({} s)", index + 1, wanted.len(), started.elapsed().as_secs()));
        if let Err(error) = run(&mut total) {
            // What is known by now is told all the same.
            close(&total);
            return Err(format!("step {name} failed: {error}"));
        }
    }
    step(&format!("all steps passed in {} s", started.elapsed().as_secs()));
    close(&total);
    Ok(())
}

/// What was skipped and why, what each test stands for, and the closing line
/// that CI looks for.
fn close(total: &Count) {
    for why in &total.skipped {
        println!("skipped: {why}");
    }
    for what in &total.lost {
        println!("machine lost: {what}");
    }
    print!("{}", facts::tables(&total.facts));
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped.len());
}

/// Builds and fetches them, so that nobody waits for them within a test. Without
/// one the tests say so and skip.
fn prepare_tools(total: &mut Count) {
    for tool in [youki::ensure().map(drop), promtool::ensure()] {
        if let Err(why) = tool {
            println!("   {why}");
            total.skipped.push(why);
        }
    }
}

fn tests(total: &mut Count) -> Result<()> {
    let mut command = cargo();
    // Everything although something failed: one run tells all.
    command.args(["test", "--workspace", "--quiet", "--no-fail-fast"]);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let tools = youki::built().into_iter().chain(promtool::fetched());
    let path = std::env::join_paths(std::env::split_paths(&path).chain(tools));
    command.env("PATH", path.map_err(|error| format!("PATH: {error}"))?);
    test(&mut command, total)
}

fn lints() -> Result<()> {
    let deny = ["--", "-D", "warnings"];
    check(cargo().args(["clippy", "--workspace", "--all-targets", "--quiet"]).args(deny))?;
    // Every feature of the engine, and none.
    for features in ["--all-features", "--no-default-features"] {
        let core = ["clippy", "-p", "ubc-core", "--quiet", features];
        check(cargo().args(core).args(deny))?;
    }
    Ok(())
}

/// The models of the lock-free code: exhaustive, so a build of their own.
pub(crate) fn loom(total: &mut Count) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "-p", "ubc-core", "--release", "--quiet", "--test", "loom*"]);
    command.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", "target/loom");
    test(&mut command, total)
}

fn docs() -> Result<()> {
    let mut command = cargo();
    command.args(["doc", "--workspace", "--no-deps", "--quiet"]);
    check(command.env("RUSTDOCFLAGS", "-D warnings"))
}

//! `cargo xtask test`: everything, step by step.

use std::time::{Duration, Instant};

use crate::run::{Result, cargo, check, step};
use crate::tests::{Count, test};
use crate::{api, bench, facts, fuzz, machines, no_std, packages, promtool, supply, youki};

/// When fuzzing is over, from the start: the suite is one that somebody waits for.
const FUZZED_BY: Duration = Duration::from_mins(48);

/// What one step leaves to those behind it.
struct Run {
    started: Instant,
    total: Count,
    /// Ends with the suite, whichever step that fails at.
    fuzzers: Option<fuzz::Idle>,
}

type Step = (&'static str, fn(&mut Run) -> Result<()>);

const STEPS: [Step; 14] = [
    ("packages", |_| packages::for_test()),
    ("format", |_| check(cargo().args(["fmt", "--all", "--check"]))),
    ("dependencies", |_| supply::check()),
    ("lints", |_| lints()),
    ("tools", |run| {
        prepare_tools(&mut run.total);
        Ok(())
    }),
    ("tests", |run| tests(&mut run.total)),
    // Not before: now all is built, and the tests on this machine are through, some of which
    // look at what a processor is given to.
    ("fuzz, in idle time from here on", |run| {
        run.fuzzers = Some(fuzz::start(FUZZED_BY.saturating_sub(run.started.elapsed()))?);
        Ok(())
    }),
    ("machines", |run| machines::test(&mut run.total)),
    ("loom", |run| loom(&mut run.total)),
    ("docs", |_| docs()),
    ("api", |run| api::check_all(&mut run.total)),
    ("no_std", |_| no_std::prove()),
    ("fuzz, what is left of it", |run| match run.fuzzers.take() {
        Some(fuzzers) => fuzz::finish(fuzzers),
        None => Err("it was never started".to_owned()),
    }),
    ("benches", |_| bench::brief()),
];

/// Runs every step, or those whose name contains `only`.
pub(crate) fn suite(only: Option<&str>) -> Result<()> {
    let mut all = Run { started: Instant::now(), total: Count::default(), fuzzers: None };
    let wanted: Vec<&Step> =
        STEPS.iter().filter(|(name, _)| only.is_none_or(|part| name.contains(part))).collect();
    for (index, (name, run)) in wanted.iter().enumerate() {
        let seconds = all.started.elapsed().as_secs();
        step(&format!("{}/{} {name} ({seconds} s)", index + 1, wanted.len()));
        if let Err(error) = run(&mut all) {
            // What is known by now is told all the same.
            close(&all.total);
            return Err(format!("step {name} failed: {error}"));
        }
    }
    step(&format!("all steps passed in {} s", all.started.elapsed().as_secs()));
    close(&all.total);
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

//! The tests that need a real machine, in real machines.
//!
//! The kernel one develops on may lack the controllers, or be the only kernel
//! one has. So every test binary that looks at the system runs again in each
//! guest, where nothing has to be skipped for want of cgroup v2.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::facts::Reader;
use crate::run::{Result, cargo, check, in_short};
use crate::tests::{Count, short};
use crate::vm::{Guest, Machine};
use crate::youki;

mod documented;
pub(crate) mod package;

/// Packages with test binaries that look at the system, or with what is packed.
const TESTS: [&str; 7] =
    ["ubc", "ubc-bpf", "ubc-capi", "ubc-cgroup", "ubc-node", "ubc-procfs", "ubc-runner"];

/// What needs no other kernel: texts, and what runs whole on the kernel at hand.
const HERE_ONLY: [&str; 22] = [
    "bad_input",
    "book",
    "checkpoint",
    "configured",
    "containers",
    "faults",
    "fixtures",
    "header",
    "hiding",
    "history",
    "journal",
    "layer",
    "lifecycle",
    "links",
    "metrics",
    "programs",
    "readme",
    "scale",
    "scores",
    "tables",
    "unsafe_code",
    "wrapped",
];

/// Longest a test binary may take in an emulated machine, on a busy one: the
/// one that builds a kernel module needs minutes.
const LIMIT: Duration = Duration::from_mins(18);

/// How long a machine that lives may take for a command that does nothing.
const ANSWER: Duration = Duration::from_secs(30);

/// What takes long and runs in one guest, so that the two have about as much to do.
/// That each row is refused is shown in both (`enforcement`, `memory`).
const ONLY_IN: [(Guest, &[&str]); 2] = [
    (
        Guest::Trixie,
        &[
            "bench",
            "bombs",
            "criu",
            "embedding",
            "hostile",
            "matrix",
            "reliability",
            "runner",
            "systemd",
        ],
    ),
    (
        Guest::Bookworm,
        &[
            "hooks",
            // Linux 6.1 leaves it to a view's server to keep a request until it is answered.
            "injected",
            "listing",
            "meminfo",
            "net",
            "observer",
            "passes",
            "runtimes",
            "schedules",
            "taken_over",
            "vfs",
        ],
    ),
];

/// Test binaries that have a machine of their own, in which the processors take turns: with
/// many container engines the kernel patches its code often, and machines were lost over that
/// when both processors ran at once, emulated (docs/testbed.md).
const BY_TURNS: [&str; 1] = ["matrix"];

/// Runs them in every guest, and everything although something failed: the
/// tables at the end are to be whole. The guests run side by side, because much
/// of what one does is to wait.
pub(crate) fn test(total: &mut Count) -> Result<()> {
    let binaries = build()?;
    let outcomes = std::thread::scope(|scope| {
        let started = [Guest::Trixie, Guest::Bookworm].map(|guest| {
            let binaries = &binaries;
            scope.spawn(move || {
                let mut count = Count::default();
                let outcome = run_in(guest, binaries, &mut count);
                (count, outcome)
            })
        });
        started.map(|guest| guest.join().map_err(|_| "a guest's thread ended".to_owned()))
    });
    let mut failed = Vec::new();
    for outcome in outcomes {
        let (count, outcome) = outcome?;
        total.add(count);
        if let Err(error) = outcome {
            failed.push(error);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
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
        if is("test") && !HERE_ONLY.contains(&name) {
            binaries.tests.insert(path.into());
        } else if (is("bin") || is("example")) && message["profile"]["test"] == false {
            binaries.programs.insert(path.into());
        }
    }
    for path in binaries.tests.iter().chain(&binaries.programs) {
        stripped(path)?;
    }
    Ok(binaries)
}

fn run_in(guest: Guest, binaries: &Binaries, total: &mut Count) -> Result<()> {
    let mut failed = Vec::new();
    let others = ONLY_IN.iter().filter(|(only, _)| *only != guest).flat_map(|(_, names)| *names);
    let others: BTreeSet<&str> = others.copied().collect();
    let wanted = |path: &&PathBuf| !others.contains(name(path));
    let (by_turns, at_once): (Vec<&PathBuf>, Vec<&PathBuf>) =
        binaries.tests.iter().filter(wanted).partition(|path| BY_TURNS.contains(&name(path)));
    let bench = || Bench::new(guest, Machine::resume(guest)?, binaries, &at_once);
    let column = run_one_by_one(&bench, &at_once, total, &mut failed)?;
    if !by_turns.is_empty() {
        let bench = || Bench::new(guest, Machine::by_turns(guest)?, binaries, &by_turns);
        run_one_by_one(&bench, &by_turns, total, &mut failed)?;
    }
    // In a machine of its own, as whoever follows the documentation does it.
    if let Err(error) = documented::run(guest, &column, total) {
        failed.push(in_short(&error));
    }
    // Once is enough: what differs between the guests is not what a package does.
    if guest == Guest::Trixie
        && let Err(error) = package::run(guest, &column, command(binaries)?, total)
    {
        println!("{error}");
        failed.push(in_short(&error));
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// Runs these in one machine as long as it lives; how tables name it.
fn run_one_by_one(
    fresh: &dyn Fn() -> Result<Bench>,
    tests: &[&PathBuf],
    total: &mut Count,
    failed: &mut Vec<String>,
) -> Result<String> {
    let mut bench = fresh()?;
    for path in tests {
        let mut ended = bench.run(path, total);
        if let Ended::Lost(why) = ended {
            // An emulated kernel may fall over what no test did: once is said, twice is
            // the test's.
            println!("{why}");
            let lost = format!("{}, in {}", bench.guest, name(path));
            println!("   {lost}: the machine was lost; once more in a new one");
            total.lost.push(lost);
            bench = fresh()?;
            ended = bench.run(path, total);
        }
        if let Ended::Failed(why) | Ended::Lost(why) | Ended::Stuck(why) = &ended {
            // Now, and not when the other guest is through too.
            println!("{why}");
            failed.push(in_short(why));
        }
        if let Ended::Lost(_) | Ended::Stuck(_) = ended {
            bench = fresh()?;
        }
    }
    Ok(bench.column)
}

/// A machine with everything in it that the tests need.
struct Bench {
    guest: Guest,
    machine: Machine,
    /// How tables name it.
    column: String,
}

/// How a test binary ended.
enum Ended {
    Passed,
    Failed(String),
    /// It did not end in time, in a machine that lives.
    Stuck(String),
    /// The machine died, or answers no more.
    Lost(String),
}

impl Bench {
    fn new(
        guest: Guest,
        machine: Machine,
        binaries: &Binaries,
        tests: &[&PathBuf],
    ) -> Result<Bench> {
        let kernel = machine.run(&["uname", "-r"], LIMIT)?.stdout;
        let column = format!("{guest} {}", short(&kernel));
        // At the same paths: the tests know those of the programs.
        for path in tests.iter().copied().chain(&binaries.programs) {
            let remote = path.to_str().ok_or_else(|| format!("{}: not UTF-8", path.display()))?;
            machine.push(&without_debug(path), remote)?;
        }
        if let Some(youki) = youki::built() {
            machine.push(&youki.join("youki"), "/usr/local/bin/youki")?;
        }
        keep_programs(&machine, binaries)?;
        Ok(Bench { guest, machine, column })
    }

    /// Runs one test binary.
    fn run(&self, path: &Path, total: &mut Count) -> Ended {
        let (guest, name) = (self.guest, name(path));
        let words = [path.to_str().unwrap_or_default(), "--show-output"];
        let started = Instant::now();
        let outcome = match self.machine.run(&words, LIMIT) {
            Ok(outcome) => outcome,
            Err(error) => {
                let why = format!("{guest}: {name}: {error}");
                let answers = self.machine.run(&["true"], ANSWER).is_ok();
                return if answers { Ended::Stuck(why) } else { Ended::Lost(why) };
            }
        };
        let mut count = Count::default();
        let mut reader = Reader::default();
        for line in outcome.stdout.lines().chain(outcome.stderr.lines()) {
            count.line(line);
            reader.line(line);
        }
        count.facts = reader.facts(&self.column);
        println!(
            "   {guest}: {name}: {} passed, {} failed, {} skipped in {} s",
            count.passed,
            count.failed,
            count.skipped.len(),
            started.elapsed().as_secs()
        );
        total.add(count.prefixed(&guest.to_string()));
        if outcome.status == 0 {
            return Ended::Passed;
        }
        let (out, err) = (outcome.stdout, outcome.stderr);
        Ended::Failed(format!("{guest}: {name} ended with {}\n{out}\n{err}", outcome.status))
    }
}

/// A daemon that does nothing but rely on the kernel's programs, so that they stay:
/// putting them there takes an emulated machine most of a minute.
fn keep_programs(machine: &Machine, binaries: &Binaries) -> Result<()> {
    let ubc = command(binaries)?.to_str().ok_or("the path of ubc is not UTF-8")?;
    let script = format!(
        "systemd-run --quiet {ubc} --run-dir /run/ubc-keeper daemon; \
         until [ -S /run/ubc-keeper/ubc.sock ]; do sleep 0.2; done"
    );
    let outcome = machine.run(&["sh", "-c", &script], LIMIT)?;
    if outcome.status == 0 { Ok(()) } else { Err(outcome.stderr) }
}

/// The command itself.
fn command(binaries: &Binaries) -> Result<&Path> {
    let ubc = binaries.programs.iter().find(|path| path.ends_with("ubc"));
    ubc.map(PathBuf::as_path).ok_or_else(|| "cargo built no ubc".to_owned())
}

/// The name of a test binary, without cargo's hash.
fn name(path: &Path) -> &str {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.rsplit_once('-').map_or(name, |(name, _)| name)
}

/// Where that copy is.
fn without_debug(path: &Path) -> PathBuf {
    path.with_extension("stripped")
}

/// A copy without debug information: it is ten times smaller to send.
pub(crate) fn stripped(path: &Path) -> Result<PathBuf> {
    let copy = without_debug(path);
    let mut command = Command::new("strip");
    check(command.arg("--strip-debug").arg("-o").arg(&copy).arg(path))?;
    Ok(copy)
}

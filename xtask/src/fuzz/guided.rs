//! Fuzzing that coverage guides: libFuzzer on stable Rust.
//!
//! What cargo-fuzz does without a sanitizer, that is to let LLVM count the edges of the
//! targets' code, takes nothing but flags of the stable compiler, and a compiler of C++
//! for libFuzzer itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::run::{Result, cargo, check, root};

/// Counters of edges, comparisons told apart, and the checks that a release leaves out.
const FLAGS: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions=on",
    "-Coverflow-checks=on",
    "--cfg=fuzzing",
];

/// Seconds for one input, which is as good as for ever.
const TIMEOUT: u64 = 10;

/// Whether there is all that it takes.
pub(super) fn is_possible() -> bool {
    let mut command = Command::new("c++");
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Every target there is.
pub(super) fn targets() -> Result<Vec<String>> {
    let dir = root().join("fuzz/fuzz_targets");
    let failed = |error| format!("{}: {error}", dir.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Fuzzes each of them for so long by the clock, as many at a time as there are
/// processors. What libFuzzer finds worth keeping is in target/guided/corpus.
pub(super) fn fuzz(each: Duration, names: &[String]) -> Result<()> {
    println!("mode: libFuzzer, guided by coverage");
    let programs = build(names)?;
    println!("{:<18}{:>12}{:>10}{:>10}{:>8}", "", "inputs", "edges of", "edges", "kept");
    println!("{:<18}{:>12}{:>10}{:>10}{:>8}", "", "", "corpus", "reached", "");
    with_each(names, |name| run(&programs, name, each))
}

/// Keeps, of each of them, the fewest inputs that reach every edge that its corpus and what was
/// found reach, in place of those kept before.
pub(super) fn keep(names: &[String]) -> Result<()> {
    let programs = build(names)?;
    println!("{:<18}{:>12}{:>10}", "", "found", "kept");
    with_each(names, |name| cover(&programs, name))
}

/// Does it with all of them, as many at a time as there are processors; prints what it says.
fn with_each(names: &[String], each: impl Fn(&str) -> Result<String> + Sync) -> Result<()> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let work = || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            match each(name) {
                Ok(told) => println!("{told}"),
                Err(error) => failures.lock().unwrap_or_else(PoisonError::into_inner).push(error),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Builds the targets; the directory that they are in.
fn build(names: &[String]) -> Result<PathBuf> {
    let mut version = Command::new("rustc");
    let version = version.arg("-vV").output().map_err(|error| format!("rustc: {error}"))?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or("rustc does not say what it compiles for")?;
    let mut command = cargo();
    command.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
    // Twenty programs, each of which would be optimised as a whole.
    command.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    // Named, so that programs which only build others are built without the flags.
    command.args(["build", "--quiet", "--release", "--target", host]);
    command.args(["--target-dir", "target/guided", "-p", "ubc-fuzz", "--features", "libfuzzer"]);
    for name in names {
        command.args(["--bin", name]);
    }
    check(&mut command)?;
    Ok(root().join("target/guided").join(host).join("release"))
}

/// One target; its line in the table.
fn run(programs: &Path, name: &str, each: Duration) -> Result<String> {
    let Inputs { corpus, kept, found } = Inputs::of(name);
    let artifacts = root().join("fuzz/artifacts").join(name);
    for dir in [&kept, &found, &artifacts] {
        fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    }
    let mut command = Command::new(programs.join(name));
    command.arg(format!("-max_total_time={}", each.as_secs()));
    command.arg(format!("-timeout={TIMEOUT}")).arg("-print_final_stats=1");
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.args([&found, &corpus, &kept]).stdin(Stdio::null()).stdout(Stdio::null());
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let lines: Vec<&str> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(40)..].join("\n");
        return Err(format!("{name}: {}\n{last}", output.status));
    }
    line(name, &said)
        .ok_or_else(|| format!("{name}: libFuzzer says nothing of what it did:\n{said}"))
}

/// The directories that a target's inputs are in.
struct Inputs {
    /// Named after what they are.
    corpus: PathBuf,
    /// Chosen by [`keep`].
    kept: PathBuf,
    /// Whatever libFuzzer thought new.
    found: PathBuf,
}

impl Inputs {
    fn of(name: &str) -> Inputs {
        Inputs {
            corpus: root().join("fuzz/corpus").join(name),
            kept: root().join("fuzz/found").join(name),
            found: root().join("target/guided/corpus").join(name),
        }
    }
}

/// Chooses what is kept of a target's inputs; its line in the table.
fn cover(programs: &Path, name: &str) -> Result<String> {
    let Inputs { corpus, kept, found } = Inputs::of(name);
    let chosen = root().join("target/guided/cover").join(name);
    let failed = |what: &Path, error: std::io::Error| format!("{}: {error}", what.display());
    if chosen.exists() {
        fs::remove_dir_all(&chosen).map_err(|error| failed(&chosen, error))?;
    }
    for dir in [&chosen, &kept] {
        fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
    }
    let mut command = Command::new(programs.join(name));
    // Edges, and not also how often each is run through: that takes ten times as many.
    command.args(["-set_cover_merge=1", "-use_counters=0", "-use_cmp=0"]);
    command.arg(&chosen).args([&corpus, &kept, &found]).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{name}: {}\n{said}", output.status));
    }
    let all = files(&found)?.len();
    let named: Vec<Vec<u8>> = files(&corpus)?.into_iter().map(|(_, content)| content).collect();
    fs::remove_dir_all(&kept).map_err(|error| failed(&kept, error))?;
    fs::create_dir_all(&kept).map_err(|error| failed(&kept, error))?;
    let mut count = 0;
    for (path, content) in files(&chosen)? {
        if named.contains(&content) {
            continue;
        }
        let to = kept.join(path.file_name().unwrap_or_default());
        fs::write(&to, content).map_err(|error| failed(&to, error))?;
        count += 1;
    }
    Ok(format!("{name:<18}{all:>12}{count:>10}"))
}

fn files(dir: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let content = fs::read(&path).map_err(failed)?;
        files.push((path, content));
    }
    Ok(files)
}

/// What libFuzzer says of a run, in one line.
fn line(name: &str, said: &str) -> Option<String> {
    let of = |mark: &str, what: &str| {
        let line = said.lines().rev().find(|line| line.contains(mark))?;
        line.split_whitespace().skip_while(|word| *word != what).nth(1)
    };
    let inputs = of("stat::number_of_executed_units:", "stat::number_of_executed_units:")?;
    let edges = |mark: &str| of(mark, "cov:");
    let kept = of("\tDONE", "corp:")?.split('/').next()?;
    let (before, after) = (edges("\tINITED")?, edges("\tDONE")?);
    Some(format!("{name:<18}{inputs:>12}{before:>10}{after:>10}{kept:>8}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_reached_nothing_is_told_apart_from_one_that_did() {
        let said = "INFO: Loaded 1 modules   (9 inline 8-bit counters): 9 [0x1, 0x2),\n\
            #22\tINITED cov: 120 ft: 300 corp: 20/1b exec/s: 0 rss: 30Mb\n\
            #4096\tNEW    cov: 130 ft: 310 corp: 21/1b lim: 4 exec/s: 2048\n\
            #5000\tDONE   cov: 131 ft: 320 corp: 22/20b lim: 8 exec/s: 500 rss: 40Mb\n\
            Done 5000 runs in 2 second(s)\n\
            stat::number_of_executed_units: 5000\n";
        let words: Vec<_> = line("value", said)
            .expect("it says all")
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        assert_eq!(words, ["value", "5000", "120", "131", "22"]);
        assert_eq!(line("value", "INFO: A corpus is not provided"), None);
    }

    #[test]
    fn every_target_of_the_smoke_run_can_be_guided() {
        let names = targets().expect("readable");
        let corpora = fs::read_dir(root().join("fuzz/corpus")).expect("readable").count();
        assert_eq!(names.len(), corpora, "{names:?}");
    }
}

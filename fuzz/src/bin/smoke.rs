//! Runs the fuzz targets for a bounded time, without nightly or libFuzzer.
//!
//! Replays the inputs in `corpus/<target>/`, then changes them at random. The
//! same seed gives the same inputs. An input that fails is saved in
//! `artifacts/<target>/`, and the command that replays it is printed.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ubc_fuzz::mutate::{Rng, fingerprint, mutated};
use ubc_fuzz::{TARGETS, Target, find};

const USAGE: &str = "\
usage: smoke [--target NAME]... [--seconds S | --executions N] [--seed N]
       smoke --target NAME --replay FILE
       smoke --list

Runs every target, or those named, for S seconds (10) or N executions each,
from seed N (1). Exit status: 0 nothing found, 1 something found, 2 usage.";

/// An input that takes longer than this has found something.
const SLOW: Duration = Duration::from_secs(5);

/// When to stop.
#[derive(Clone, Copy)]
enum Budget {
    Time(Duration),
    Executions(u64),
}

struct Options {
    targets: Vec<Target>,
    budget: Budget,
    seed: u64,
    replay: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("smoke: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("smoke: {error}");
            ExitCode::from(2)
        }
    }
}

/// What the arguments ask for; `None` if it is already done.
fn options(mut args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options {
        targets: Vec::new(),
        budget: Budget::Time(Duration::from_secs(10)),
        seed: 1,
        replay: None,
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        let number = |text: String| {
            text.parse::<u64>().map_err(|_| format!("{text:?} is not a whole number"))
        };
        match arg.as_str() {
            "--target" => {
                let name = value()?;
                let target = find(&name).ok_or_else(|| {
                    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
                    format!("no target {name:?}; there are {}", names.join(", "))
                })?;
                options.targets.push(target);
            }
            "--seconds" => options.budget = Budget::Time(Duration::from_secs(number(value()?)?)),
            "--executions" => options.budget = Budget::Executions(number(value()?)?),
            "--seed" => options.seed = number(value()?)?,
            "--replay" => options.replay = Some(value()?.into()),
            "--list" => {
                for target in TARGETS {
                    println!("{}", target.name);
                }
                return Ok(None);
            }
            "--help" | "-h" => {
                println!("{USAGE}");
                return Ok(None);
            }
            _ => return Err(format!("unknown argument {arg:?}")),
        }
    }
    if options.replay.is_some() && options.targets.len() != 1 {
        return Err("--replay needs one --target".to_owned());
    }
    if options.targets.is_empty() {
        options.targets = TARGETS.to_vec();
    }
    Ok(Some(options))
}

/// Runs what was asked for; how many targets failed.
fn run(options: &Options) -> Result<usize, String> {
    if let (Some(file), [target]) = (&options.replay, options.targets.as_slice()) {
        // No net: the panic message and backtrace are what one wants to see.
        (target.run)(&read(file)?);
        println!("{}: {} passes", target.name, file.display());
        return Ok(0);
    }
    println!("seed {}", options.seed);
    let share = u32::try_from(options.targets.len()).unwrap_or(1).max(1);
    let budget = match options.budget {
        Budget::Time(all) => Budget::Time(all / share),
        executions @ Budget::Executions(_) => executions,
    };
    let mut failed = 0;
    for target in &options.targets {
        let corpus = corpus(*target)?;
        let started = Instant::now();
        let (executions, found) = explore(*target, &corpus, budget, options.seed);
        println!(
            "{:<16} {executions:>9} executions, {} of them corpus, {:.1} s",
            target.name,
            corpus.len(),
            started.elapsed().as_secs_f64(),
        );
        if let Some(input) = found {
            failed += 1;
            let path = save(*target, &input).map_err(|error| format!("cannot save: {error}"))?;
            println!(
                "{:<16} FAILED on {} bytes; replay: cargo run -p ubc-fuzz --bin smoke -- \
                 --target {} --replay {}",
                target.name,
                input.len(),
                target.name,
                path.display(),
            );
        }
    }
    Ok(failed)
}

/// Replays the corpus and then changed inputs until the budget is used up or
/// one fails.
fn explore(
    target: Target,
    corpus: &[Vec<u8>],
    budget: Budget,
    seed: u64,
) -> (u64, Option<Vec<u8>>) {
    // Each target has its own sequence, whichever others run before it.
    let mut rng = Rng::new(fingerprint(target.name.as_bytes()) ^ seed);
    let started = Instant::now();
    let mut replay = corpus.iter().cloned();
    let mut executions = 0;
    loop {
        let input = match replay.next() {
            Some(input) => input,
            None if spent(budget, started, executions) => return (executions, None),
            None => mutated(corpus, &mut rng),
        };
        executions += 1;
        let began = Instant::now();
        let passed = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_ok();
        if !passed || began.elapsed() > SLOW {
            return (executions, Some(input));
        }
    }
}

fn spent(budget: Budget, started: Instant, executions: u64) -> bool {
    match budget {
        Budget::Time(time) => started.elapsed() >= time,
        Budget::Executions(number) => executions >= number,
    }
}

/// The inputs of a target, in order of name.
fn corpus(target: Target) -> Result<Vec<Vec<u8>>, String> {
    let dir = home().join("corpus").join(target.name);
    let names = |dir: &Path| -> io::Result<Vec<PathBuf>> {
        dir.read_dir()?.map(|entry| entry.map(|entry| entry.path())).collect()
    };
    let mut paths = names(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Keeps an input that failed, named after its content.
fn save(target: Target, input: &[u8]) -> io::Result<PathBuf> {
    let dir = home().join("artifacts").join(target.name);
    std::fs::create_dir_all(&dir)?;
    let path = dir.join(format!("crash-{:016x}", fingerprint(input)));
    std::fs::write(&path, input)?;
    Ok(path)
}

/// The directory of this package.
fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

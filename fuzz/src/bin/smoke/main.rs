//! Runs the fuzz targets for a bounded time, without nightly or libFuzzer.
//!
//! Replays the inputs in `corpus/<target>/`, then changes them at random. The
//! same seed gives the same inputs. An input that fails is saved in
//! `artifacts/<target>/`, and the command that replays it is printed.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use ubc_fuzz::Target;
use ubc_fuzz::mutate::{Rng, fingerprint, mutated};

mod clock;
mod options;

use clock::Clock;
use options::{Budget, Options, USAGE, options};

/// An input that takes longer than this has found something. Processor time, like all that is
/// counted here: a fuzzer that has to wait for its turn has found nothing.
const SLOW: Duration = Duration::from_secs(5);

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

/// Runs what was asked for; how many targets failed.
fn run(options: &Options) -> Result<usize, String> {
    if let (Some(file), [target]) = (&options.replay, options.targets.as_slice()) {
        // No net: the panic message and backtrace are what one wants to see.
        (target.run)(&read(file)?);
        println!("{}: {} passes", target.name, file.display());
        return Ok(0);
    }
    println!("seed {}", options.seed);
    let next = AtomicUsize::new(0);
    let clock = Clock::new(options, &next);
    // One after the other, for as many at a time as there are of these.
    let worker = || {
        let mut failed = 0;
        while let Some(target) = options.targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            failed += usize::from(!fuzz(*target, options, &clock)?);
        }
        Ok(failed)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..options.jobs).map(|_| scope.spawn(worker)).collect();
        // Each is waited for, whatever another met.
        let ended = workers.into_iter().map(thread::ScopedJoinHandle::join);
        let ended: Vec<_> = ended.map(|one| one.map_err(|_| "a worker ended".to_owned())).collect();
        ended.into_iter().map(Result::flatten).sum()
    })
}

/// Fuzzes one target; whether it passed.
fn fuzz(target: Target, options: &Options, clock: &Clock<'_>) -> Result<bool, String> {
    let corpus = corpus(target)?;
    // In a thread of its own, so that a panic tells whose it is and the clock begins at 0.
    let (executions, took, found) = thread::scope(|scope| {
        let explore = || {
            let (executions, found) = explore(target, &corpus, options, clock);
            (executions, used(), found)
        };
        let thread = thread::Builder::new().name(target.name.to_owned());
        let thread = thread.spawn_scoped(scope, explore).map_err(|error| error.to_string())?;
        thread.join().map_err(|_| format!("the thread of {} ended", target.name))
    })?;
    println!(
        "{:<16} {executions:>9} executions, {} of them corpus, {:.1} s{}",
        target.name,
        corpus.len(),
        took.as_secs_f64(),
        if spent(options.budget, took, executions) { "" } else { ", for want of time" },
    );
    let Some(input) = found else { return Ok(true) };
    let path = save(target, &input).map_err(|error| format!("cannot save: {error}"))?;
    println!(
        "{:<16} FAILED on {} bytes, seed {}: {}\nreplay: cargo run -p ubc-fuzz --bin smoke -- \
         --target {} --replay {}",
        target.name,
        input.len(),
        options.seed,
        input.escape_ascii(),
        target.name,
        path.display(),
    );
    Ok(false)
}

/// Replays the corpus and then changed inputs until the budget is used up or
/// one fails.
fn explore(
    target: Target,
    corpus: &[Vec<u8>],
    options: &Options,
    clock: &Clock<'_>,
) -> (u64, Option<Vec<u8>>) {
    // Each target has its own sequence, whichever others run before it.
    let mut rng = Rng::new(fingerprint(target.name.as_bytes()) ^ options.seed);
    let mut replay = corpus.iter().cloned();
    let mut executions = 0;
    let start = Instant::now();
    let mut began = used();
    loop {
        let input = match replay.next() {
            Some(input) => input,
            None if spent(options.budget, began, executions) => return (executions, None),
            None if clock.is_over(start, executions) => return (executions, None),
            None => mutated(corpus, &mut rng),
        };
        executions += 1;
        let passed = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_ok();
        // One look at the clock for each: it costs as much as the quickest targets.
        let now = used();
        if !passed || now.saturating_sub(began) > SLOW {
            return (executions, Some(input));
        }
        began = now;
    }
}

fn spent(budget: Budget, used: Duration, executions: u64) -> bool {
    match budget {
        Budget::Time(time) => used >= time,
        Budget::Executions(number) => executions >= number,
    }
}

/// The processor time that this thread has had.
fn used() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// The inputs of a target, in order of name: those that are named after what they are, and
/// those that coverage chose.
fn corpus(target: Target) -> Result<Vec<Vec<u8>>, String> {
    let mut inputs = Vec::new();
    for kind in ["corpus", "found"] {
        let dir = home().join(kind).join(target.name);
        let names = |dir: &Path| -> io::Result<Vec<PathBuf>> {
            dir.read_dir()?.map(|entry| entry.map(|entry| entry.path())).collect()
        };
        let mut paths = names(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        paths.sort();
        for path in paths {
            inputs.push(read(&path)?);
        }
    }
    Ok(inputs)
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

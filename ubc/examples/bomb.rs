//! Takes of one resource what it gets, gives some of it back and takes it again,
//! until a file is there: `bomb numfile STOP`. What it can take are the
//! resources of `refused`, and those of `bomb/ways.rs`. `bomb busy STOP` takes
//! nothing but a processor's time, as long.
//!
//! `bomb work FILE MILLISECONDS` is the opposite: a program that does a little of
//! everything, again and again with that pause, and keeps the number of times in
//! the file. It ends at the first thing that fails, and says which in
//! `FILE.failed`.

#[path = "refused/attempts.rs"]
mod attempts;
#[path = "bomb/rules.rs"]
mod rules;
#[path = "bomb/ways.rs"]
mod ways;
#[path = "bomb/work.rs"]
mod work;

use std::io;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use attempts::{TRIES, Take, attempts};

const USAGE: &str = "usage: bomb RESOURCE STOP | bomb busy STOP | bomb work FILE MILLISECONDS";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["work", file, pause] => match pause.parse() {
            Ok(pause) => work::work(file, Duration::from_millis(pause)),
            Err(_) => return usage(),
        },
        ["busy", stop] => {
            spin(Path::new(stop));
            Ok(())
        }
        ["fork", stop] => fork(Path::new(stop)),
        [what, stop] => match way(what) {
            Some(take) => take.map(|take| rage(take, Path::new(stop))),
            None => return usage(),
        },
        _ => return usage(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bomb: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn way(what: &str) -> Option<io::Result<Take>> {
    match what {
        "half-open" => Some(ways::half_open()),
        "memfd" => Some(Ok(ways::memfd())),
        "mlock" => Some(ways::mlock()),
        "mmap" => Some(Ok(ways::mmap())),
        "rules" => Some(rules::rules()),
        "tmpfs" => Some(Ok(ways::tmpfs())),
        _ => attempts().into_iter().find(|(name, _)| *name == what).map(|(_, take)| take),
    }
}

/// At the limit for as long as it may, and beyond it as often as it can.
fn rage(mut take: Take, stop: &Path) {
    let mut held = Vec::with_capacity(TRIES);
    // Asking takes no descriptor: there may be none.
    while !stop.exists() {
        match take(held.len()) {
            Ok(thing) if held.len() < TRIES => held.push(thing),
            _ => held.truncate(held.len() - held.len().div_ceil(4)),
        }
    }
}

/// Starts itself, and so does each that was started.
fn fork(stop: &Path) -> io::Result<()> {
    let own = std::env::current_exe()?;
    let mut children = Vec::new();
    while !stop.exists() {
        let mut command = Command::new(&own);
        command.arg("fork").arg(stop).stdin(Stdio::null()).stdout(Stdio::null());
        // Whatever the reason is, the next attempt follows.
        children.extend(command.stderr(Stdio::null()).spawn());
    }
    for mut child in children {
        child.wait()?;
    }
    Ok(())
}

/// As busy as a bomb, and nothing else.
fn spin(stop: &Path) {
    while !stop.exists() {
        for turn in 0..100_000_u32 {
            std::hint::black_box(turn);
        }
    }
}

//! `ubc record`: readings and refusals onto the disk.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant, SystemTime};

use clap::ArgMatches;
use log::{info, warn};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::client::{Client, unexpected};
use crate::error::{Failure, Kind, Result, one_line};
use crate::history::{Entry, Moment, Recorder, Space};
use crate::manager;
use crate::paths::RunDir;
use crate::protocol::{Refusal, Request, Response};

/// What reaches the recorder between two readings.
enum Told {
    Refused(Refusal),
    /// Nobody tells of refusals any more.
    Deaf,
    /// Somebody wants it to end.
    End,
}

/// Refusals that wait to be written. More would wait in the daemon's queue,
/// which says how many it had to drop.
const WAITING: usize = 256;

/// The directory of the history.
pub(super) fn dir(run: &RunDir, matches: &ArgMatches) -> PathBuf {
    matches.get_one::<PathBuf>("dir").cloned().unwrap_or_else(|| run.state().join("history"))
}

/// Records until it is told to end.
pub(crate) fn record(run: &RunDir, matches: &ArgMatches) -> Result<()> {
    crate::needs_root()?;
    let dir = dir(run, matches);
    let every: Duration = crate::cli::required(matches, "every");
    let space: Space = crate::cli::required(matches, "size");
    let recorder = Recorder::open(&dir, space).map_err(|error| cannot(&dir, &error))?;
    let (tell, told) = mpsc::sync_channel(WAITING);
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(Failure::system)?;
    let end = tell.clone();
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            // Nobody is left to be told when this fails.
            drop(end.send(Told::End));
        }
    });
    let mut session = Session {
        run,
        recorder,
        tell,
        told,
        listens: false,
        asked: false,
        silent: None,
        failing: false,
    };
    session.read();
    manager::ready();
    info!("recording into {} every {}", dir.display(), humantime::format_duration(every));
    session.run(every)
}

fn cannot(dir: &Path, error: &std::io::Error) -> Failure {
    let dir = dir.display();
    if error.kind() == std::io::ErrorKind::ResourceBusy {
        return Failure::new(Kind::InUse, format!("--dir {dir}: another ubc record is at work"));
    }
    Failure::system(format!("--dir {dir}: {error}"))
}

struct Session<'a> {
    run: &'a RunDir,
    recorder: Recorder,
    tell: SyncSender<Told>,
    told: Receiver<Told>,
    /// Whether a thread waits for refusals.
    listens: bool,
    /// Whether a daemon was asked for them, if there was one.
    asked: bool,
    /// Why the last reading could not be made.
    silent: Option<String>,
    /// Whether the disk did not take the last line.
    failing: bool,
}

impl Session<'_> {
    fn run(mut self, every: Duration) -> Result<()> {
        let mut due = Instant::now();
        loop {
            due = (due + every).max(Instant::now());
            loop {
                match self.told.recv_timeout(due.saturating_duration_since(Instant::now())) {
                    Ok(Told::Refused(refusal)) => {
                        let time = refusal.time;
                        self.write(|recorder| recorder.entry(&Entry::Refused { refusal }, time));
                    }
                    Ok(Told::Deaf) => self.listens = false,
                    Ok(Told::End) | Err(RecvTimeoutError::Disconnected) => {
                        // How it stood at the end.
                        self.read();
                        return Ok(());
                    }
                    Err(RecvTimeoutError::Timeout) => break,
                }
            }
            self.read();
        }
    }

    fn read(&mut self) {
        if !self.listens {
            // A daemon that was not there before has nothing to tell that is written already.
            self.listens = listen(self.run, self.asked, self.tell.clone());
            self.asked = true;
        }
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let time = time.unwrap_or_default().as_secs_f64();
        match now(self.run) {
            Ok(now) => {
                if self.silent.take().is_some() {
                    info!("containers are read again");
                }
                self.write(|recorder| recorder.reading(now, time));
            }
            Err(failure) => {
                let why = failure.to_string();
                if self.silent.as_ref() == Some(&why) {
                    return;
                }
                warn!("containers are not read: {why}");
                let entry = Entry::Unheard { time, why: why.clone() };
                self.write(|recorder| {
                    recorder.entry(&entry, time)?;
                    recorder.forget();
                    Ok(())
                });
                self.silent = Some(why);
            }
        }
        self.write(|recorder| recorder.sync());
    }

    /// What the disk does not take is lost, and the rest goes on.
    fn write(&mut self, write: impl FnOnce(&mut Recorder) -> std::io::Result<()>) {
        match write(&mut self.recorder) {
            Ok(()) if self.failing => {
                info!("the record goes on");
                self.failing = false;
            }
            Err(error) if !self.failing => {
                warn!("the record has a gap: {error}");
                self.failing = true;
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// All containers now.
fn now(run: &RunDir) -> Result<Moment> {
    let client = Client::connect(run)?;
    let mut client = client.ok_or_else(|| Failure::new(Kind::Unavailable, "no daemon runs"))?;
    match client.ask(&Request::List)? {
        Response::Containers { containers } => {
            Ok(Moment::of(containers.iter().map(|container| &container.reading)))
        }
        response => Err(unexpected(&response)),
    }
}

/// Starts a thread that hands refusals on; whether there is somebody to tell
/// of them.
fn listen(run: &RunDir, again: bool, tell: SyncSender<Told>) -> bool {
    let subscribed = Client::connect(run).and_then(|client| {
        let Some(mut client) = client else { return Ok(None) };
        client.ask(&Request::Watch { id: None, again })?;
        Ok(Some(client))
    });
    let mut client = match subscribed {
        Ok(Some(client)) => client,
        Ok(None) => return false,
        Err(failure) => {
            log::debug!("refusals are not told: {failure}");
            return false;
        }
    };
    std::thread::spawn(move || {
        while let Ok(Some(Response::Refused { refusal })) = client.next() {
            let refusal = Refusal { comm: one_line(&refusal.comm), ..refusal };
            if tell.send(Told::Refused(refusal)).is_err() {
                return;
            }
        }
        drop(tell.send(Told::Deaf));
    });
    true
}

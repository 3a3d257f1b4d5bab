//! `ubc top`: rows live.

#[cfg(test)]
pub(crate) mod picture;
mod screen;
mod state;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::time::{Duration, Instant};

use clap::ArgMatches;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use ubc_core::ContainerId;

use crate::client::{Client, unexpected};
use crate::error::{Failure, Kind, Result};
use crate::paths::RunDir;
use crate::protocol::{Container, Request, Response};
use state::State;

/// How often the screen is drawn anew while nothing happens.
const FRAME: Duration = Duration::from_millis(100);

/// What the daemon said, when it was asked.
type Sample = Result<Vec<Container>>;

/// Shows rows until the user has seen enough.
pub(crate) fn top(run: &RunDir, matches: &ArgMatches) -> Result<()> {
    use std::io::IsTerminal as _;
    crate::needs_root()?;
    if !(std::io::stdout().is_terminal() && std::io::stdin().is_terminal()) {
        let message = "top needs a terminal; elsewhere: ubc list, ubc show --json, ubc export";
        return Err(Failure::usage(message));
    }
    let delay: f64 = crate::cli::required(matches, "delay");
    let delay = Duration::try_from_secs_f64(delay).unwrap_or(Duration::from_secs(2));
    let wanted: Vec<ContainerId> = matches.get_many("CTID").unwrap_or_default().copied().collect();
    let failed = |error: std::io::Error| Failure::system(format!("the terminal: {error}"));
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&ended)).map_err(failed)?;
    }
    let (samples, _asking) = start_asking(run.clone(), delay);
    let state = State::new(delay, wanted);
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let outcome = live(&mut terminal, state, &samples, &ended).map_err(failed);
    let restored = ratatui::try_restore().map_err(failed);
    outcome.and(restored)
}

/// Draws what comes and does what is typed, until it is to end.
fn live(
    terminal: &mut DefaultTerminal,
    mut state: State,
    samples: &Receiver<Sample>,
    ended: &AtomicBool,
) -> std::io::Result<()> {
    while !ended.load(Ordering::Relaxed) {
        loop {
            match samples.try_recv() {
                Ok(Ok(containers)) => state.take(&containers, Instant::now()),
                Ok(Err(failure)) => state.fail(&failure),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    state.fail(&Failure::new(Kind::Software, "nobody asks the daemon any more"));
                    break;
                }
            }
        }
        terminal.draw(|frame| screen::draw(frame, &mut state, Instant::now()))?;
        if !event::poll(FRAME)? {
            continue;
        }
        if let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
        {
            let control = key.modifiers.contains(KeyModifiers::CONTROL);
            match key.code {
                KeyCode::Char('c' | 'd') if control => return Ok(()),
                KeyCode::Char('q') => return Ok(()),
                KeyCode::Esc if !state.leave() => return Ok(()),
                code => state.press(code),
            }
        }
    }
    Ok(())
}

/// Asks the daemon again and again, beside the terminal, which must not wait
/// for a reading. Dropping the second channel ends it.
fn start_asking(run: RunDir, delay: Duration) -> (Receiver<Sample>, Sender<()>) {
    let (send, samples) = mpsc::channel();
    let (asking, until) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        let mut client = None;
        loop {
            let sample = ask(&run, &mut client);
            if sample.is_err() {
                // The next time from the start.
                client = None;
            }
            if send.send(sample).is_err()
                || until.recv_timeout(delay) == Err(RecvTimeoutError::Disconnected)
            {
                return;
            }
        }
    });
    (samples, asking)
}

fn ask(run: &RunDir, client: &mut Option<Client>) -> Sample {
    if client.is_none() {
        *client = Client::connect(run)?;
    }
    // Without a daemon there are no containers.
    let Some(client) = client else { return Ok(Vec::new()) };
    match client.ask(&Request::List)? {
        Response::Containers { containers } => Ok(containers),
        response => Err(unexpected(&response)),
    }
}

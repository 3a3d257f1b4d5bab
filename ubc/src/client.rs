//! The command's end of the conversation.

use std::fs::OpenOptions;
use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ubc_core::ContainerId;

use crate::error::{Failure, Kind, Result};
use crate::manager;
use crate::paths::RunDir;
use crate::protocol::{Request, Response, VERSION, receive, send};

/// How long a started daemon may take to answer. It tests its claims about
/// the kernel first, and the first one after boot puts its programs there.
const PATIENCE: Duration = Duration::from_mins(3);

/// How many daemons may end while one question is asked.
const ATTEMPTS: usize = 8;

/// How long it takes at least until another daemon is started for one that ended at once.
const AGAIN: Duration = Duration::from_secs(1);

/// After this long it is said what takes so long.
const SILENCE: Duration = Duration::from_secs(3);

/// A connection to the daemon.
pub(crate) struct Client {
    run: RunDir,
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to a daemon that runs already; `None` when there is none.
    pub(crate) fn connect(run: &RunDir) -> Result<Option<Client>> {
        match UnixStream::connect(run.socket()) {
            Ok(stream) => Client::greet(run, stream).map(Some),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(Failure::new(Kind::NoPermission, "needs root"))
            }
            Err(error) => {
                Err(Failure::system(format!("cannot reach {}: {error}", run.socket().display())))
            }
        }
    }

    /// Connects, starting a daemon when none runs. Such a daemon ends by
    /// itself when it has nothing left to do.
    pub(crate) fn connect_or_start(run: &RunDir) -> Result<Client> {
        if let Some(client) = Client::connect(run)? {
            return Ok(client);
        }
        let mut daemon = start_daemon(run)?;
        let started = Instant::now();
        let mut begun = started;
        let mut told = false;
        loop {
            if !told && started.elapsed() > SILENCE {
                log::info!(
                    "waiting for the daemon: it puts programs into the kernel and tests them"
                );
                told = true;
            }
            if let Some(client) = Client::connect(run)? {
                return Ok(client);
            }
            let ended = daemon.try_wait().ok().flatten();
            if started.elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                let message = format!("the daemon did not answer for {seconds} s");
                return Err(Failure::new(Kind::Unavailable, message));
            }
            if ended.is_some_and(|status| status.success()) && begun.elapsed() > AGAIN {
                // Another command started one at the same time, which answers, or fails; or
                // ours had nothing to do just before we asked.
                (daemon, begun) = (start_daemon(run)?, Instant::now());
            }
            if ended.is_some_and(|status| !status.success()) {
                let log = std::fs::read_to_string(run.log()).unwrap_or_default();
                let last = log.lines().last().unwrap_or("it said nothing");
                return Err(Failure::new(
                    Kind::Unavailable,
                    format!("the daemon did not start: {last}"),
                ));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn greet(run: &RunDir, stream: UnixStream) -> Result<Client> {
        let mut client = Client { run: run.clone(), stream: BufReader::new(stream) };
        match client.ask(&Request::Hello { version: VERSION })? {
            Response::Hello { version: VERSION } => Ok(client),
            _ => Err(Failure::new(Kind::Protocol, "the daemon speaks another version")),
        }
    }

    /// The next of many answers; `None` when the daemon has ended.
    pub(crate) fn next(&mut self) -> Result<Option<Response>> {
        match receive(&mut self.stream) {
            // Killed, with something of ours not read yet.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            next => next.map_err(|error| Failure::system(format!("lost the daemon: {error}"))),
        }
    }

    /// Asks and waits for the answer; a refusal is an error. What may as well be
    /// asked twice is asked of the next daemon when this one ends meanwhile.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Response> {
        let broken = |error: io::Error| Failure::system(format!("lost the daemon: {error}"));
        for _ in 0..ATTEMPTS {
            match self.exchange(request) {
                Err(_) if request.is_repeatable() => {
                    let next = UnixStream::connect(self.run.socket()).map_err(broken)?;
                    self.stream = BufReader::new(next);
                    let hello = Request::Hello { version: VERSION };
                    if !matches!(request, Request::Hello { .. }) {
                        // What goes wrong with it shows in the next exchange.
                        let _ = self.exchange(&hello);
                    }
                }
                answer => return answer.map_err(broken)?,
            }
        }
        self.exchange(request).map_err(broken)?
    }

    /// Has a container that was made here removed. The daemon that made it may
    /// have ended meanwhile: the next one removes it by itself as its init has
    /// ended, and this waits for that.
    pub(crate) fn remove(&mut self, id: ContainerId) -> Result<()> {
        match self.exchange(&Request::Remove { id }) {
            Ok(answer) => return answer.map(|_| ()),
            Err(error) => log::debug!("lost the daemon: {error}"),
        }
        // What the runtime made again meanwhile.
        let home = self.run.container(id);
        for dir in [home.join("runtime"), home] {
            if let Err(error) = std::fs::remove_dir(&dir) {
                log::debug!("{}: {error}", dir.display());
            }
        }
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if Client::connect(&self.run).is_ok_and(|next| next.is_none()) {
                log::warn!("no daemon runs any more: container {id} is left to the next one");
                return Ok(());
            }
            match self.ask(&Request::Show { id }) {
                Ok(_) => std::thread::sleep(Duration::from_millis(10)),
                Err(failure) if failure.kind == Kind::NoContainer => return Ok(()),
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::system(format!("container {id} is not removed")))
    }

    /// The outer error: there was no answer.
    fn exchange(&mut self, request: &Request) -> io::Result<Result<Response>> {
        send(self.stream.get_mut(), request)?;
        match receive(&mut self.stream)? {
            Some(Response::Failed { failure }) => Ok(Err(failure)),
            Some(response) => Ok(Ok(response)),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// The failure of an answer that does not fit the question.
pub(crate) fn unexpected(response: &Response) -> Failure {
    Failure::new(Kind::Protocol, format!("the daemon gave an answer out of turn: {response:?}"))
}

fn start_daemon(run: &RunDir) -> Result<std::process::Child> {
    let failed = |error: io::Error| Failure::system(format!("cannot start the daemon: {error}"));
    run.make().map_err(failed)?;
    let log = OpenOptions::new().create(true).append(true).open(run.log()).map_err(failed)?;
    Command::new("/proc/self/exe")
        .arg("--run-dir")
        .arg(run.path())
        .args(["daemon", "--exit-idle"])
        // It is no part of the service that we may be.
        .env_remove(manager::SOCKET)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        // Whoever started us may want to unmount where we were.
        .current_dir("/")
        // Out of the terminal's reach: its Ctrl-C is for the container.
        .process_group(0)
        .spawn()
        .map_err(failed)
}

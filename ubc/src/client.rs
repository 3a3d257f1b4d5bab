//! The command's end of the conversation.

use std::fs::OpenOptions;
use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Failure, Kind, Result};
use crate::paths::RunDir;
use crate::protocol::{Request, Response, VERSION, receive, send};

/// How long a started daemon may take to answer. It tests its claims about
/// the kernel first, which takes a minute in an emulated machine on a busy one.
/// One that ends is noticed at once.
const PATIENCE: Duration = Duration::from_mins(3);

/// A connection to the daemon.
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to a daemon that runs already; `None` when there is none.
    pub(crate) fn connect(run: &RunDir) -> Result<Option<Client>> {
        match UnixStream::connect(run.socket()) {
            Ok(stream) => Client::greet(stream).map(Some),
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
        loop {
            if let Some(client) = Client::connect(run)? {
                return Ok(client);
            }
            // Another command may have started one at the same time: then
            // ours ends at once, and theirs answers.
            let ended = daemon.try_wait().ok().flatten();
            if started.elapsed() > PATIENCE || ended.is_some_and(|status| !status.success()) {
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

    fn greet(stream: UnixStream) -> Result<Client> {
        let mut client = Client { stream: BufReader::new(stream) };
        match client.ask(&Request::Hello { version: VERSION })? {
            Response::Hello { version: VERSION } => Ok(client),
            _ => Err(Failure::new(Kind::Protocol, "the daemon speaks another version")),
        }
    }

    /// Asks and waits for the answer; a refusal is an error.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Response> {
        let broken = |error: io::Error| Failure::system(format!("lost the daemon: {error}"));
        send(self.stream.get_mut(), request).map_err(broken)?;
        match receive(&mut self.stream).map_err(broken)? {
            Some(Response::Failed { failure }) => Err(failure),
            Some(response) => Ok(response),
            None => Err(broken(io::ErrorKind::UnexpectedEof.into())),
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

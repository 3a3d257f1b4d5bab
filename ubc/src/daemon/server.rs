//! The main loop: connections, signals, and the end when there is nothing left.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{info, warn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use ubc_node::{Bell, Node, Rung};

use super::conversation;
use super::holder::Holder;

/// A daemon that a command started ends after this long with nothing to do.
const IDLE: Duration = Duration::from_secs(10);

/// Connections served at once; one more is closed at once.
const MAX_CONNECTIONS: usize = 256;

/// Why the daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was told to, or has nothing left to do.
    Stop,
    /// Another one goes on.
    HandOver,
}

/// The signals that end the daemon.
pub(super) struct Told {
    /// Readable when it is to end.
    stop: UnixStream,
    /// Readable when it is to give way to another one.
    hand_over: UnixStream,
}

impl Told {
    /// From now on they do not kill.
    pub(super) fn new() -> io::Result<Told> {
        let pipe = |signals: &[i32]| -> io::Result<UnixStream> {
            let (told, tell) = UnixStream::pair()?;
            for signal in signals {
                signal_hook::low_level::pipe::register(*signal, tell.try_clone()?)?;
            }
            Ok(told)
        };
        Ok(Told { stop: pipe(&[SIGINT, SIGTERM])?, hand_over: pipe(&[SIGHUP])? })
    }
}

/// What the main loop waits for.
pub(super) struct Server {
    listener: UnixListener,
    told: Told,
    /// Rings when something ended: perhaps nothing is left to do.
    bell: Arc<Bell>,
    rung: Rung,
    node: Arc<Node>,
    exit_idle: bool,
    /// How often somebody wants to hear that we live.
    watchdog: Option<Duration>,
    /// One for us and one for each connection.
    talks: Arc<()>,
}

impl Server {
    pub(super) fn new(
        listener: UnixListener,
        told: Told,
        (bell, rung): (Arc<Bell>, Rung),
        node: Arc<Node>,
        exit_idle: bool,
    ) -> Server {
        // Twice in the time allowed, as is the custom.
        let watchdog = sd_notify::watchdog_enabled().map(|time| time / 2);
        let talks = Arc::new(());
        Server { listener, told, bell, rung, node, exit_idle, watchdog, talks }
    }

    /// Serves until told to end, or idle for too long.
    pub(super) fn serve(&self) -> io::Result<End> {
        let mut idle_since = Instant::now();
        loop {
            if !self.is_idle() {
                idle_since = Instant::now();
            } else if idle_since.elapsed() >= IDLE {
                info!("nothing left to do");
                return Ok(End::Stop);
            }
            if self.watchdog.is_some() {
                // One whose locks are never free does not live.
                let _ = self.node.is_empty();
                Holder::tell(&sd_notify::NotifyState::Watchdog);
            }
            let idle = self.is_idle().then(|| IDLE.saturating_sub(idle_since.elapsed()));
            let left = [idle, self.watchdog].into_iter().flatten().min();
            let left = left.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
            let mut ready = [
                PollFd::new(&self.told.stop, PollFlags::IN),
                PollFd::new(&self.told.hand_over, PollFlags::IN),
                PollFd::new(&self.rung, PollFlags::IN),
                PollFd::new(&self.listener, PollFlags::IN),
            ];
            match poll(&mut ready, left.as_ref()) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            if !ready[0].revents().is_empty() {
                return Ok(End::Stop);
            }
            if !ready[1].revents().is_empty() {
                return Ok(End::HandOver);
            }
            if !ready[2].revents().is_empty() {
                self.rung.clear();
            }
            if !ready[3].revents().is_empty() {
                self.accept();
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.exit_idle && self.node.is_empty() && Arc::strong_count(&self.talks) == 1
    }

    fn accept(&self) {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, perhaps: the next one may fare better.
                warn!("cannot accept a connection: {error}");
                std::thread::sleep(Duration::from_millis(100));
                return;
            }
        };
        if !is_root(&stream) || Arc::strong_count(&self.talks) > MAX_CONNECTIONS {
            return;
        }
        let (node, talk) = (Arc::clone(&self.node), Arc::clone(&self.talks));
        let bell = Arc::clone(&self.bell);
        let thread = std::thread::Builder::new().name("ubc-talk".to_owned()).spawn(move || {
            conversation::hold(&node, &stream);
            drop(talk);
            bell.ring();
        });
        if let Err(error) = thread {
            warn!("cannot start a thread: {error}");
        }
    }
}

/// The socket's mode lets only root connect; a descriptor that root passed on
/// is caught here.
fn is_root(stream: &UnixStream) -> bool {
    rustix::net::sockopt::socket_peercred(stream).is_ok_and(|peer| peer.uid.is_root())
}

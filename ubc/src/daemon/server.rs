//! The main loop: connections, signals, and the end when there is nothing left.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{debug, info, warn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use ubc_node::{Bell, Node, Rung};

use super::conversation;
use super::holder::Holder;
use super::peers::Peers;
use crate::error::{Failure, Kind};
use crate::manager;
use crate::paths::RunDir;
use crate::protocol::{Response, send};

/// A daemon that a command started ends after this long with nothing to do.
const IDLE: Duration = Duration::from_secs(10);

/// Descriptors that connections leave to what is done for them and to views.
const SPARE: u64 = 64;

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
    run: RunDir,
    /// Held where that was removed and made again.
    lock: Option<File>,
    listener: UnixListener,
    told: Told,
    /// Rings when something ended: perhaps nothing is left to do.
    bell: Arc<Bell>,
    rung: Rung,
    node: Arc<Node>,
    exit_idle: bool,
    /// How often somebody wants to hear that we live.
    watchdog: Option<Duration>,
    peers: Arc<Peers>,
    /// Connections that were not served.
    refused: Cell<u64>,
    /// Connections that could not be: no descriptor or no thread was left.
    lost: Cell<u64>,
    /// So many descriptors may be taken.
    descriptors: u64,
    /// Whether they have to be counted.
    tight: Cell<bool>,
    /// Somebody gave way, and has not let go of its descriptor yet.
    full: Cell<bool>,
}

impl Server {
    pub(super) fn new(
        run: &RunDir,
        listener: UnixListener,
        told: Told,
        (bell, rung): (Arc<Bell>, Rung),
        node: Arc<Node>,
        exit_idle: bool,
    ) -> Server {
        // Twice in the time allowed, as is the custom.
        let watchdog = sd_notify::watchdog_enabled().map(|time| time / 2);
        let (peers, refused, lost) = (Arc::default(), Cell::new(0), Cell::new(0));
        let (run, lock) = (run.clone(), None);
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let descriptors = most.unwrap_or(u64::MAX).saturating_sub(SPARE);
        Server {
            run,
            lock,
            listener,
            told,
            bell,
            rung,
            node,
            exit_idle,
            watchdog,
            peers,
            refused,
            lost,
            descriptors,
            tight: Cell::new(false),
            full: Cell::new(false),
        }
    }

    /// Serves until told to end, or idle for too long.
    pub(super) fn serve(&mut self) -> io::Result<End> {
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
                manager::tell(&sd_notify::NotifyState::Watchdog);
            }
            self.mend();
            let idle = self.is_idle().then(|| IDLE.saturating_sub(idle_since.elapsed()));
            let left = [idle, self.watchdog].into_iter().flatten().min();
            let left = left.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
            let full = self.full.get() || self.peers.is_crowded();
            let accepts = if full { PollFlags::empty() } else { PollFlags::IN };
            let mut ready = [
                PollFd::new(&self.told.stop, PollFlags::IN),
                PollFd::new(&self.told.hand_over, PollFlags::IN),
                PollFd::new(&self.rung, PollFlags::IN),
                PollFd::new(&self.listener, accepts),
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
                self.full.set(false);
            }
            if !ready[3].revents().is_empty() {
                self.accept();
            }
        }
    }

    /// Makes again what somebody removed under us: commands would find no daemon,
    /// and the next one no containers.
    fn mend(&mut self) {
        let kept = self.node.is_empty() || self.run.kept().exists();
        if kept && self.run.socket().exists() {
            return;
        }
        match self.make_again() {
            Ok(()) => {
                warn!("somebody removed files in {}: made again", self.run.path().display());
            }
            Err(error) => self.lost("make again what somebody removed", &error),
        }
    }

    fn make_again(&mut self) -> io::Result<()> {
        self.run.make()?;
        if !Holder::is_parent() && !self.run.lock().exists() {
            self.lock = super::lock(&self.run)?;
        }
        self.node.keep_again();
        if !self.run.socket().exists() {
            self.listener = super::listen_again(&self.run)?;
        }
        Ok(())
    }

    fn is_idle(&self) -> bool {
        self.exit_idle && self.node.is_empty() && self.peers.is_empty()
    }

    fn accept(&self) {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, perhaps. Whoever is silent has some, and must
                // not keep commands out.
                if matches!(Errno::from_io_error(&error), Some(Errno::MFILE | Errno::NFILE)) {
                    self.peers.make_room();
                }
                self.lost("accept a connection", &error);
                std::thread::sleep(Duration::from_millis(100));
                return;
            }
        };
        if let Err(peer) = root(&stream) {
            self.refuse(&stream, Kind::NoPermission, "needs root", &peer);
            return;
        }
        if self.is_scarce(&stream) {
            self.full.set(self.peers.make_room());
        }
        let stream = Arc::new(stream);
        let Some(peer) = self.peers.admit(&stream) else {
            let why = "too many connections to the daemon, none of which can be closed";
            self.refuse(&stream, Kind::InUse, why, "root");
            return;
        };
        let (node, bell) = (Arc::clone(&self.node), Arc::clone(&self.bell));
        let thread = std::thread::Builder::new().name("ubc-talk".to_owned()).spawn(move || {
            conversation::hold(&node, &stream, &peer);
            // Whoever hears of it finds the descriptor free.
            drop((peer, stream));
            bell.ring();
        });
        if let Err(error) = thread {
            self.lost("start a thread", &error);
        }
    }

    /// Whether too many descriptors are taken. They are counted only from the first
    /// high number on: a free one is the lowest, which tells nothing of the others.
    fn is_scarce(&self, newest: &UnixStream) -> bool {
        let high = u64::try_from(newest.as_raw_fd()).is_ok_and(|fd| fd >= self.descriptors);
        if !high && !self.tight.get() {
            return false;
        }
        // None is left to look with, perhaps.
        let taken = std::fs::read_dir("/proc/self/fd").map_or(usize::MAX, Iterator::count);
        let taken = u64::try_from(taken).unwrap_or(u64::MAX);
        self.tight.set(taken >= self.descriptors / 2);
        taken >= self.descriptors
    }

    fn lost(&self, what: &str, error: &io::Error) {
        if let Some(times) = is_told(&self.lost) {
            warn!("cannot {what}: {error} ({times} so far)");
        }
    }

    /// Answers a connection that is not served.
    fn refuse(&self, mut stream: &UnixStream, kind: Kind, why: &str, peer: &str) {
        if let Some(times) = is_told(&self.refused) {
            warn!("a connection of {peer} is refused: {why} ({times} so far)");
        }
        let failure = Failure::new(kind, why);
        // Fits into the empty buffer of a new socket.
        if let Err(error) = send(&mut stream, &Response::Failed { failure }) {
            debug!("a connection ended: {error}");
        }
    }
}

/// Counts one more. The first is told, the second, the fourth and so on: whoever
/// it is must not fill the log.
fn is_told(count: &Cell<u64>) -> Option<u64> {
    let times = count.get() + 1;
    count.set(times);
    times.is_power_of_two().then_some(times)
}

/// The socket's mode lets only root connect, which the kernel answers with EACCES;
/// here is caught who comes when that was changed. An error: who it is.
fn root(stream: &UnixStream) -> Result<(), String> {
    match rustix::net::sockopt::socket_peercred(stream) {
        Ok(peer) if peer.uid.is_root() => Ok(()),
        Ok(peer) => Err(format!("user {}, process {}", peer.uid, peer.pid)),
        Err(error) => Err(format!("somebody ({error})")),
    }
}

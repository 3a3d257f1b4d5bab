//! The parent of the daemon, where no service manager keeps descriptors for
//! it: starts it again whenever it ends, and keeps them meanwhile.
//!
//! It does so little that nothing in it can go wrong for long: it never looks
//! into what it keeps, never waits for the daemon, and takes no lock.

mod store;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use log::{error, info, warn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, socketpair};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::holder::{FDSTORE, SUPERVISOR, pid_of};
use super::packet;
use crate::error::{Failure, Kind, Result};
use crate::manager;
use crate::paths::RunDir;
use store::{Message, Store};

/// How long readers wait for the next daemon at most. It tests its claims about
/// the kernel first.
pub(super) const PATIENCE: Duration = Duration::from_mins(3);

/// How long the first daemon may take, for which no reader waits: it puts the
/// kernel's programs there, which takes an emulated machine minutes.
const FIRST: Duration = Duration::from_mins(15);

/// A daemon that has not been heard of for so long is ended.
const WATCHDOG: Duration = Duration::from_mins(1);

/// How long a daemon may take to end.
const END: Duration = Duration::from_secs(30);

/// How often it is looked whether somebody removed our directory: often enough
/// that what the daemon then says is heard before it seems to hang.
const LOOK: Duration = Duration::from_secs(10);

/// Between a daemon that did not come up and the next attempt, at most.
const MOST_PAUSE: Duration = Duration::from_secs(2);

/// What the daemon is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nobody answers yet, and that may last until then.
    Starting(Instant),
    /// It was heard of then.
    Serving(Instant),
    /// It was told to end then.
    Ending(Instant),
    /// It hung, and was told to end then.
    Aborting(Instant),
}

pub(super) struct Supervisor {
    run: RunDir,
    /// Held where that was removed and made again.
    lock: Option<File>,
    /// Whether it was said that something cannot be made again.
    said: bool,
    program: PathBuf,
    notify: UnixDatagram,
    address: PathBuf,
    /// Readable when we are told to end.
    stop: UnixStream,
    /// Readable when the daemon is to be replaced.
    again: UnixStream,
    store: Store,
}

impl Supervisor {
    pub(super) fn new(run: &RunDir) -> io::Result<Supervisor> {
        let address = run.notify();
        if let Err(error) = std::fs::remove_file(&address)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let notify = hear_at(&address)?;
        let pipe = |signals: &[i32]| -> io::Result<UnixStream> {
            let (told, tell) = UnixStream::pair()?;
            told.set_nonblocking(true)?;
            for signal in signals {
                signal_hook::low_level::pipe::register(*signal, tell.try_clone()?)?;
            }
            Ok(told)
        };
        let (stop, again) = (pipe(&[SIGTERM, SIGINT])?, pipe(&[SIGHUP])?);
        // By its path: what an upgrade puts there is what is started next.
        let program = std::env::current_exe()?;
        let (run, lock, said, store) = (run.clone(), None, false, Store::default());
        Ok(Supervisor { run, lock, said, program, notify, address, stop, again, store })
    }

    /// Makes again what somebody removed under us: what the daemon says is lost
    /// as long as its address is gone.
    fn mend(&mut self) {
        let made = self.make_again();
        let dir = self.run.path().display();
        match &made {
            Ok(()) => warn!("somebody removed files in {dir}: made again"),
            Err(error) if !self.said => {
                warn!("somebody removed files in {dir}, which cannot be made again: {error}");
            }
            Err(_) => {}
        }
        self.said = made.is_err();
    }

    fn make_again(&mut self) -> io::Result<()> {
        self.run.make()?;
        // A lock of ours would be gone with the first of two descriptors.
        if !self.run.lock().exists() {
            let lock = super::lock(&self.run)?;
            self.lock = Some(lock.ok_or_else(|| io::Error::other("another daemon is there"))?);
        }
        self.notify = hear_at(&self.address)?;
        Ok(())
    }

    /// Returns when the daemon has nothing left to do, or was told to end, or
    /// does not come back. One that does not even start once is as if it had
    /// been started directly: its exit code is the result.
    pub(super) fn run(&mut self) -> Result<i32> {
        let mut waiting = Instant::now();
        let mut ever_served = false;
        let mut pause = Duration::ZERO;
        loop {
            let ended = match self.attempt(waiting, ever_served) {
                Ok(Life { served, phase, status }) => {
                    let code = status.code();
                    if matches!(phase, Phase::Ending(_)) || code == Some(0) {
                        return Ok(code.unwrap_or(0));
                    }
                    ever_served |= served;
                    if !ever_served {
                        return Ok(code.unwrap_or(i32::from(Kind::Software.code())));
                    }
                    if served {
                        (waiting, pause) = (Instant::now(), Duration::ZERO);
                    }
                    Ok(status)
                }
                // The next one may come up, and readers wait for it.
                Err(error) if ever_served => Err(error),
                Err(error) => {
                    return Err(Failure::system(format!("cannot start the daemon: {error}")));
                }
            };
            if waiting.elapsed() > PATIENCE {
                error!("no daemon for {} s: nobody waits for one any more", PATIENCE.as_secs());
                return Err(Failure::new(Kind::Unavailable, "the daemon does not come back"));
            }
            match ended {
                Ok(status) => self.say(status),
                Err(error) => warn!("cannot start the daemon, which is tried again: {error}"),
            }
            std::thread::sleep(pause);
            pause = (pause * 2).clamp(Duration::from_millis(50), MOST_PAUSE);
        }
    }

    /// One daemon, from its start to its end.
    fn attempt(&mut self, waiting: Instant, ever_served: bool) -> io::Result<Life> {
        let mut child = self.start()?;
        let attended = self.attend(&child, waiting, ever_served);
        if attended.is_err() {
            // Nobody looks after it.
            child.kill()?;
        }
        let status = child.wait()?;
        attended.map(|(served, phase)| Life { served, phase, status })
    }

    fn say(&self, status: ExitStatus) {
        if status.code() == Some(super::HANDED_OVER) {
            info!("the daemon gives way to {}", self.program.display());
        } else {
            warn!("the daemon ended ({status}) and is started again; readers wait");
        }
    }

    fn start(&self) -> io::Result<Child> {
        let (ours, its) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        // Gone for the moment of an upgrade, perhaps.
        let program = if self.program.exists() {
            self.program.as_path()
        } else {
            Path::new("/proc/self/exe")
        };
        let mut command = Command::new(program);
        command
            .args(std::env::args_os().skip(1))
            .env(manager::SOCKET, &self.address)
            .env(FDSTORE, "1048576")
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
            .env(SUPERVISOR, std::process::id().to_string())
            .stdin(Stdio::from(its));
        for others in ["WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
            command.env_remove(others);
        }
        let mut child = command.spawn()?;
        // Ours is the last end of the channel that can be written to.
        drop(command);
        if let Err(error) = packet::send_all(&ours, self.store.all()) {
            // Before it has heard the end of it, and takes what it got for all there is.
            child.kill()?;
            child.wait()?;
            return Err(error);
        }
        Ok(child)
    }

    /// Looks after the daemon until it has ended; whether it ever served.
    fn attend(
        &mut self,
        child: &Child,
        waiting: Instant,
        ever_served: bool,
    ) -> io::Result<(bool, Phase)> {
        let pidfd = pidfd_open(pid_of(child), PidfdFlags::empty())?;
        let mut served = false;
        let patience = if ever_served { PATIENCE } else { FIRST };
        let mut phase = Phase::Starting(waiting + patience);
        let tell = |signal| {
            if let Err(error) = pidfd_send_signal(&pidfd, signal) {
                warn!("cannot signal the daemon: {error}");
            }
        };
        loop {
            let left = phase.end().saturating_duration_since(Instant::now());
            let ready = self.poll(&pidfd, left.min(LOOK));
            // Asked before the last of what can have come there is heard.
            let removed = matches!(self.address.try_exists(), Ok(false));
            // All that it said before it ended counts.
            while let Some(message) = self.hear() {
                match message {
                    // Who is alive serves, also if its first message was lost.
                    Message::Ready | Message::Alive => {
                        // A service manager that keeps nothing, but waits.
                        if !served && !ever_served {
                            manager::ready();
                        }
                        if message == Message::Alive {
                            manager::tell(&sd_notify::NotifyState::Watchdog);
                        }
                        served = true;
                        phase = phase.heard();
                    }
                    Message::Other => {}
                }
            }
            if removed {
                self.mend();
            }
            if ready.ended {
                return Ok((served, phase));
            }
            if ready.stop {
                tell(Signal::TERM);
                phase = Phase::Ending(Instant::now());
            } else if ready.again {
                tell(Signal::HUP);
            }
            if phase.end() > Instant::now() {
                continue;
            }
            match phase {
                Phase::Serving(_) => {
                    warn!("the daemon hangs");
                    tell(Signal::ABORT);
                    phase = Phase::Aborting(Instant::now());
                }
                Phase::Starting(_) | Phase::Ending(_) | Phase::Aborting(_) => tell(Signal::KILL),
            }
        }
    }

    fn poll(&self, pidfd: &OwnedFd, left: Duration) -> Ready {
        let left = Timespec::try_from(left.max(Duration::from_millis(1))).ok();
        let mut ready = [
            PollFd::new(&self.notify, PollFlags::IN),
            PollFd::new(&self.stop, PollFlags::IN),
            PollFd::new(&self.again, PollFlags::IN),
            PollFd::new(pidfd, PollFlags::IN),
        ];
        match poll(&mut ready, left.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            // Out of memory, and it cannot be left alone for that.
            Err(error) => {
                warn!("cannot look after the daemon, which is tried again: {error}");
                std::thread::sleep(MOST_PAUSE);
            }
        }
        let [_, stop, again, ended] = ready.map(|one| one.revents().contains(PollFlags::IN));
        for (stream, told) in [(&self.stop, stop), (&self.again, again)] {
            if told {
                // Signals, not how many.
                let _ = io::Read::read(&mut &*stream, &mut [0; 64]);
            }
        }
        Ready { stop, again, ended }
    }

    /// The next message, if there is one now.
    fn hear(&mut self) -> Option<Message> {
        match packet::receive(&self.notify, RecvFlags::DONTWAIT) {
            Ok(message) => message.map(|(text, fds)| self.store.take(&text, fds)),
            Err(error) => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    warn!("a message of the daemon was not heard: {error}");
                }
                None
            }
        }
    }
}

fn hear_at(address: &Path) -> io::Result<UnixDatagram> {
    let notify = UnixDatagram::bind(address)?;
    notify.set_nonblocking(true)?;
    Ok(notify)
}

/// How a daemon fared.
struct Life {
    served: bool,
    /// What it was doing at its end.
    phase: Phase,
    status: ExitStatus,
}

struct Ready {
    stop: bool,
    again: bool,
    ended: bool,
}

impl Phase {
    /// The daemon said something.
    fn heard(self) -> Phase {
        match self {
            Phase::Starting(_) | Phase::Serving(_) => Phase::Serving(Instant::now()),
            other => other,
        }
    }

    /// How long this may last.
    fn end(self) -> Instant {
        match self {
            Phase::Starting(until) => until,
            Phase::Serving(since) => since + WATCHDOG,
            Phase::Ending(since) | Phase::Aborting(since) => since + END,
        }
    }
}

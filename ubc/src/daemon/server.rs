//! The main loop: connections, signals, and the end when there is nothing left.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use log::{info, warn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGINT, SIGTERM};
use ubc_node::{Bell, Node, Rung};

use super::conversation;

/// A daemon that a command started ends after this long with nothing to do.
const IDLE: Duration = Duration::from_secs(10);

/// Connections served at once; one more is closed at once.
const MAX_CONNECTIONS: usize = 256;

/// What the main loop waits for.
pub(super) struct Server {
    listener: UnixListener,
    /// Becomes readable when a signal asks the daemon to end.
    told: UnixStream,
    /// Rings when something ended: perhaps nothing is left to do.
    bell: Arc<Bell>,
    rung: Rung,
    node: Arc<Node>,
    exit_idle: bool,
    /// One for us and one for each connection.
    talks: Arc<()>,
}

impl Server {
    pub(super) fn new(
        listener: UnixListener,
        (bell, rung): (Arc<Bell>, Rung),
        node: Arc<Node>,
        exit_idle: bool,
    ) -> io::Result<Server> {
        let (told, tell) = UnixStream::pair()?;
        for signal in [SIGINT, SIGTERM] {
            signal_hook::low_level::pipe::register(signal, tell.try_clone()?)?;
        }
        Ok(Server { listener, told, bell, rung, node, exit_idle, talks: Arc::new(()) })
    }

    /// Serves until told to end, or idle for too long.
    pub(super) fn serve(&self) -> io::Result<()> {
        let idle = Timespec::try_from(IDLE).map_err(io::Error::other)?;
        loop {
            let mut ready = [
                PollFd::new(&self.told, PollFlags::IN),
                PollFd::new(&self.rung, PollFlags::IN),
                PollFd::new(&self.listener, PollFlags::IN),
            ];
            match poll(&mut ready, self.is_idle().then_some(&idle)) {
                Ok(0) if self.is_idle() => {
                    info!("nothing left to do");
                    return Ok(());
                }
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            if !ready[0].revents().is_empty() {
                return Ok(());
            }
            if !ready[1].revents().is_empty() {
                self.rung.clear();
            }
            if !ready[2].revents().is_empty() {
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

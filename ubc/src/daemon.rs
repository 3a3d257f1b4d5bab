//! The daemon: it holds the containers' beancounters and serves their views.
//!
//! It stays in the mount namespace it was started in and never enters a
//! container's with a thread that lives on, or containers could not die.

mod budget;
mod container;
mod conversation;
mod node;
mod sources;
mod watch;

use std::fs::File;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use log::{info, warn};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FlockOperation, Mode};
use signal_hook::consts::{SIGINT, SIGTERM};
use ubc_procfs::{Owner, PlainView};

use crate::error::{Failure, Kind, Result};
use crate::paths::{RunDir, make_private};
pub(crate) use container::describe;
use node::Node;
use sources::Everyone;

/// A daemon that a command started ends after this long with nothing to do.
const IDLE: Duration = Duration::from_secs(10);

/// Connections served at once; one more is closed at once.
const MAX_CONNECTIONS: usize = 256;

/// Serves until killed, or, with `exit_idle`, until there is nothing to do.
pub(crate) fn daemon(run: &RunDir, exit_idle: bool) -> Result<()> {
    let failed = |what: &str, error: io::Error| {
        Failure::system(format!("{what} {}: {error}", run.path().display()))
    };
    run.make().map_err(|error| failed("cannot make", error))?;
    let Some(_lock) = lock(run).map_err(|error| failed("cannot lock", error))? else {
        if exit_idle {
            // Started at the same moment as another: that one will do.
            return Ok(());
        }
        let message = format!("a daemon runs already in {}", run.path().display());
        return Err(Failure::new(Kind::InUse, message));
    };
    let node = Node::new(run.clone())?;
    let _view = host_view(run, &node)?;
    let listener = listen(run).map_err(|error| failed("cannot listen in", error))?;
    info!("serving {}", run.socket().display());
    let told = told_to_end().map_err(|error| failed("cannot catch signals for", error))?;
    let result = accept(&listener, &told, &node, exit_idle).map_err(|error| failed("lost", error));
    node.close();
    result
}

/// The lock that makes this the only daemon of the directory; `None` when
/// another has it.
fn lock(run: &RunDir) -> io::Result<Option<File>> {
    let file = File::options().create(true).append(true).open(run.lock())?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn listen(run: &RunDir) -> io::Result<UnixListener> {
    // Whoever left it there is dead: we hold the lock.
    if let Err(error) = std::fs::remove_file(run.socket())
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let old = rustix::process::umask(Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(run.socket());
    rustix::process::umask(old);
    listener
}

fn host_view(run: &RunDir, node: &Arc<Node>) -> Result<PlainView> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(Kind::Unavailable, error.to_string());
    // A daemon that died left its mount behind: nobody answers there any more.
    PlainView::clear(&run.view()).map_err(|error| failed(&error))?;
    make_private(&run.view()).map_err(|error| failed(&error))?;
    let source = Arc::new(Everyone::new(node));
    PlainView::mount(&run.view(), source, Owner::default()).map_err(|error| failed(&error))
}

/// Becomes readable when a signal asks the daemon to end.
fn told_to_end() -> io::Result<UnixStream> {
    let (told, tell) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        signal_hook::low_level::pipe::register(signal, tell.try_clone()?)?;
    }
    Ok(told)
}

fn accept(
    listener: &UnixListener,
    told: &UnixStream,
    node: &Arc<Node>,
    exit_idle: bool,
) -> io::Result<()> {
    let idle = Timespec::try_from(IDLE).map_err(io::Error::other)?;
    let talks = Arc::new(());
    loop {
        let mut ready = [PollFd::new(listener, PollFlags::IN), PollFd::new(told, PollFlags::IN)];
        match rustix::event::poll(&mut ready, exit_idle.then_some(&idle)) {
            Ok(0) if node.is_empty() && Arc::strong_count(&talks) == 1 => {
                info!("nothing left to do");
                return Ok(());
            }
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) if !ready[1].revents().is_empty() => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, perhaps: the next one may fare better.
                warn!("cannot accept a connection: {error}");
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        if !is_root(&stream) || Arc::strong_count(&talks) > MAX_CONNECTIONS {
            continue;
        }
        let (node, talk) = (Arc::clone(node), Arc::clone(&talks));
        let thread = std::thread::Builder::new().name("ubc-talk".to_owned()).spawn(move || {
            conversation::hold(&node, &stream);
            drop(talk);
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

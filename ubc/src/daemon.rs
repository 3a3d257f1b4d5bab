//! The daemon: it holds the containers' beancounters and serves their views.
//!
//! It stays in the mount namespace it was started in and never enters a
//! container's with a thread that lives on, or containers could not die.

mod conversation;
mod home;
mod independence;
mod server;

use std::fs::File;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use log::info;
use rustix::fs::{FlockOperation, Mode};
use ubc_cgroup::ubc_bpf::{self, DEFAULT_ROOT, Enforcer};
use ubc_node::{Bell, Node, Options};
use ubc_procfs::{Owner, PlainView};

use crate::error::{Failure, Kind, Result};
use crate::paths::{RunDir, make_private};
use home::Homes;
use server::Server;

/// Serves until killed, or, with `exit_idle`, until there is nothing to do.
pub(crate) fn daemon(run: &RunDir, exit_idle: bool) -> Result<()> {
    let failed = |what: &str, error: io::Error| {
        Failure::system(format!("{what} {}: {error}", run.path().display()))
    };
    if exit_idle {
        independence::unblock_signals();
        independence::close_inherited().map_err(|error| failed("cannot start in", error))?;
    }
    run.make().map_err(|error| failed("cannot make", error))?;
    if exit_idle {
        independence::leave_mount_namespace(run);
    }
    let Some(_lock) = lock(run).map_err(|error| failed("cannot lock", error))? else {
        if exit_idle {
            // Started at the same moment as another: that one will do.
            return Ok(());
        }
        let message = format!("a daemon runs already in {}", run.path().display());
        return Err(Failure::new(Kind::InUse, message));
    };
    let (bell, rung) = Bell::new().map_err(|error| failed("cannot prepare", error))?;
    let bell = Arc::new(bell);
    let homes = Arc::new(Homes::new(run.clone(), Arc::clone(&bell)));
    let node = Node::open(Options::default().state(run.state()).lifecycle(homes))?;
    if exit_idle {
        independence::leave_cgroup(node.host());
    }
    let _view = host_view(run, &node)?;
    let listener = listen(run).map_err(|error| failed("cannot listen in", error))?;
    info!("serving {}", run.socket().display());
    let result = Server::new(listener, (bell, rung), Arc::clone(&node), exit_idle)
        .and_then(|server| server.serve())
        .map_err(|error| failed("lost", error));
    if exit_idle {
        independence::remove_cgroup(node.host());
    }
    node.close();
    result
}

/// Takes the programs out of the kernel.
pub(crate) fn unload(run: &RunDir) -> Result<()> {
    let failed = |error: io::Error| {
        Failure::system(format!("cannot lock {}: {error}", run.path().display()))
    };
    run.make().map_err(failed)?;
    let Some(_lock) = lock(run).map_err(failed)? else {
        let message = format!("a daemon runs in {}; stop it first", run.path().display());
        return Err(Failure::new(Kind::InUse, message));
    };
    match Enforcer::uninstall(Path::new(DEFAULT_ROOT)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new(Kind::Unavailable, "no programs are in the kernel")),
        Err(error @ ubc_bpf::Error::InUse { .. }) => Err(Failure::new(Kind::InUse, error)),
        Err(error) => Err(Failure::system(error)),
    }
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
    PlainView::mount(&run.view(), node.source(), Owner::default()).map_err(|error| failed(&error))
}

//! The daemon: it holds the containers' beancounters and serves their views.
//!
//! Whoever reads a view must not notice when it ends: a holder keeps what the
//! next daemon needs, and that one goes on (docs/reliability.md).
//!
//! It stays in the mount namespace it was started in and never enters a
//! container's with a thread that lives on, or containers could not die.

mod conversation;
mod holder;
mod home;
mod independence;
mod packet;
mod patience;
mod peers;
mod server;
mod supervisor;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use log::{debug, info, warn};
use rustix::fs::{FlockOperation, Mode};
use ubc_cgroup::Host;
use ubc_cgroup::ubc_bpf::{self, DEFAULT_ROOT, Enforcer};
use ubc_node::{Bell, Holder as _, Node, Options};
use ubc_procfs::{Owner, Part, PlainView};

use crate::error::{Failure, Kind, Result};
use crate::paths::{RunDir, make_private};
use holder::Holder;
use home::Homes;
use server::{End, Server, Told};
use supervisor::Supervisor;

/// The exit code of a daemon that ends because another one is to go on:
/// `EX_TEMPFAIL` of sysexits.h.
const HANDED_OVER: i32 = 75;

/// What the holder knows the socket of commands by.
const LISTENER: &str = "listener";

/// What it knows the descriptors of the host's view by.
const HOST: &str = "host-";

/// Serves until killed, or, with `exit_idle`, until there is nothing to do:
/// itself where there is a holder, and otherwise by a child, whose holder it is.
pub(crate) fn daemon(run: &RunDir, exit_idle: bool) -> Result<()> {
    allow_descriptors();
    if Holder::is_there() { serve(run, exit_idle) } else { supervise(run, exit_idle) }
}

fn in_dir(run: &RunDir, what: &str, error: &io::Error) -> Failure {
    Failure::system(format!("{what} {}: {error}", run.path().display()))
}

/// Holds descriptors for a daemon, and starts it as often as needed.
fn supervise(run: &RunDir, exit_idle: bool) -> Result<()> {
    if exit_idle {
        independence::unblock_signals();
        independence::close_inherited().map_err(|error| in_dir(run, "cannot start in", &error))?;
    }
    run.make().map_err(|error| in_dir(run, "cannot make", &error))?;
    if exit_idle {
        independence::leave_mount_namespace(run);
    }
    let Some(_lock) = lock(run).map_err(|error| in_dir(run, "cannot lock", &error))? else {
        if exit_idle {
            // Started at the same moment as another: that one will do.
            return Ok(());
        }
        let message = format!("a daemon runs already in {}", run.path().display());
        return Err(Failure::new(Kind::InUse, message));
    };
    let host = Host::probe().ok().filter(|_| exit_idle);
    if let Some(host) = &host {
        independence::leave_cgroup(host);
    }
    let ended = Supervisor::new(run)
        .map_err(|error| in_dir(run, "cannot start in", &error))
        .and_then(|mut supervisor| supervisor.run());
    if let Some(host) = &host {
        independence::remove_cgroup(host);
    }
    match ended? {
        0 => Ok(()),
        // It has said why.
        code => std::process::exit(code),
    }
}

fn serve(run: &RunDir, exit_idle: bool) -> Result<()> {
    run.make().map_err(|error| in_dir(run, "cannot make", &error))?;
    let _lock = if Holder::is_parent() {
        Holder::end_with_parent().map_err(|error| in_dir(run, "cannot serve", &error))?;
        // One whose parent was killed may still be ending.
        Some(wait_for(&run.serving()).map_err(|error| in_dir(run, "cannot lock", &error))?)
    } else {
        let lock = lock(run).map_err(|error| in_dir(run, "cannot lock", &error))?;
        let message = || format!("a daemon runs already in {}", run.path().display());
        Some(lock.ok_or_else(|| Failure::new(Kind::InUse, message()))?)
    };
    let mut inherited = Holder::inherited()?;
    let hopeful = patience::begin(run, &mut inherited) && !inherited.is_empty();
    let (bell, rung) = Bell::new().map_err(|error| in_dir(run, "cannot prepare", &error))?;
    let bell = Arc::new(bell);
    let homes = Arc::new(Homes::new(run.clone(), Arc::clone(&bell)));
    let options = Options::default().state(run.state()).lifecycle(homes);
    let options = options.kept(run.kept(), Arc::new(Holder));
    let node = Node::open(if hopeful { options.all_or_none() } else { options })?;
    // Until here a signal ends us at once: nothing is begun yet.
    let told = Told::new().map_err(|error| in_dir(run, "cannot prepare", &error))?;
    let last = inherited.remove(LISTENER);
    let of_host = inherited.extract_if(|name, _| name.starts_with(HOST)).collect();
    let view = node
        .resume(inherited)
        .map_err(Failure::from)
        .and_then(|()| host_view(run, &node, of_host, hopeful))
        .unwrap_or_else(|failure| {
            // As if killed: nothing is taken away that the next one goes on with.
            log::error!("{failure}");
            std::process::exit(failure.kind.code().into())
        });
    // Who finds it finds everything else as well.
    let listener = listener(run, last)?;
    info!("serving {}", run.socket().display());
    crate::manager::ready();
    patience::end(run);
    let end = Server::new(run, listener, told, (bell, rung), Arc::clone(&node), exit_idle)
        .serve()
        .map_err(|error| in_dir(run, "lost", &error))?;
    if end == End::HandOver {
        // As if killed: everything stays for whoever comes next.
        info!("giving way to the next daemon");
        std::process::exit(HANDED_OVER);
    }
    node.suspend();
    drop(view);
    node.close();
    Ok(())
}

/// Each view takes some descriptors, and few are allowed to a process that did
/// not ask for more.
fn allow_descriptors() {
    let resource = rustix::process::Resource::Nofile;
    let mut limits = rustix::process::getrlimit(resource);
    limits.current = limits.maximum;
    if let Err(error) = rustix::process::setrlimit(resource, limits) {
        debug!("cannot allow more descriptors: {error}");
    }
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
    // Of this process alone: a fork of it that outlives it has no part in it.
    match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Locks a file as soon as nobody else has it.
fn wait_for(path: &Path) -> io::Result<File> {
    let file = File::options().create(true).append(true).open(path)?;
    rustix::fs::fcntl_lock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// The socket of the last daemon, with those who wait in it for an answer; or
/// a new one, if its name is gone.
fn listener(run: &RunDir, last: Option<OwnedFd>) -> Result<UnixListener> {
    if let Some(last) = last {
        if run.socket().exists() {
            return Ok(last.into());
        }
        warn!("{} is gone: commands get another one", run.socket().display());
    }
    listen_again(run).map_err(|error| in_dir(run, "cannot listen in", &error))
}

/// A new socket, and nobody needs the one before.
fn listen_again(run: &RunDir) -> io::Result<UnixListener> {
    let listener = listen(run)?;
    Holder.forget(LISTENER);
    Holder.hold(LISTENER, listener.as_fd(), false)?;
    Holder.settle()?;
    Ok(listener)
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

fn host_view(
    run: &RunDir,
    node: &Arc<Node>,
    mut last: HashMap<String, OwnedFd>,
    hopeful: bool,
) -> Result<PlainView> {
    let failed = |error: &dyn std::fmt::Display| {
        let view = run.view();
        Failure::new(Kind::Unavailable, format!("the host's view in {}: {error}", view.display()))
    };
    if !last.is_empty() {
        let mut part = |part: &str| last.remove(&format!("{HOST}{part}"));
        let (source, owner) = (node.source(), Owner::default());
        match PlainView::take_over(&run.view(), source, owner, &mut part) {
            Ok(view) if view.is_served() => return Ok(view),
            Ok(view) => view.leave(),
            Err(error) if hopeful => return Err(failed(&error)),
            Err(error) => warn!("{error}"),
        }
    }
    // A daemon that died left its mount behind: nobody answers there any more.
    PlainView::clear(&run.view()).map_err(|error| failed(&error))?;
    make_private(&run.view()).map_err(|error| failed(&error))?;
    let view = PlainView::mount_kept(&run.view(), node.source(), Owner::default())
        .map_err(|error| failed(&error))?;
    let hold = |parts: &[Part<'_>]| -> io::Result<()> {
        for Part { name, fd, ends } in parts {
            let name = format!("{HOST}{name}");
            Holder.forget(&name);
            Holder.hold(&name, *fd, *ends)?;
        }
        Holder.settle()
    };
    view.parts(hold).map_err(|error| failed(&error))?;
    Ok(view)
}

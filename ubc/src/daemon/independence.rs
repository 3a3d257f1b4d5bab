//! A daemon that a command started owes nothing to whoever ran the command: a
//! container runtime, perhaps, that waits for its hook's pipes to close, and a
//! manager that kills what is left in the runtime's cgroup.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use log::debug;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::SigSet;
use ubc_cgroup::{Cgroup, Host};

use crate::host::CGROUP;
use crate::paths::RunDir;

/// How often to try again when another daemon removes the cgroup meanwhile.
const ATTEMPTS: usize = 3;

/// Closes what was inherited but the standard streams, which are the log and
/// nothing. To be called before anything else is opened.
pub(super) fn close_inherited() -> io::Result<()> {
    let mut inherited = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        inherited.extend(number.filter(|number| *number > 2));
    }
    for number in inherited {
        // The list's own descriptor is closed already.
        if let Err(error) = nix::unistd::close(number) {
            debug!("descriptor {number}: {error}");
        }
    }
    Ok(())
}

/// Takes all signals again: crun runs hooks with every signal blocked, and a
/// shell that never hears of its child's end waits for ever.
pub(super) fn unblock_signals() {
    if let Err(error) = SigSet::empty().thread_set_mask() {
        debug!("cannot unblock signals: {error}");
    }
}

/// Moves to the mount namespace of the machine's init: a runtime may run in one
/// of its own, with cgroup v2 where the machine has v1, and ours would hold it.
/// Stays where another directory is under the run directory's name there,
/// since whoever started us could not find us. Before any thread is made.
pub(super) fn leave_mount_namespace(run: &RunDir) {
    let seen = || rustix::fs::stat(run.path()).map(|stat| (stat.st_dev, stat.st_ino));
    let inner = || -> io::Result<bool> {
        let [own, init] = ["/proc/self/ns/mnt", "/proc/1/ns/mnt"].map(File::open);
        let (own, init) = (own?, init?);
        let id = |file: &File| rustix::fs::fstat(file).map(|stat| (stat.st_dev, stat.st_ino));
        if id(&own)? == id(&init)? {
            return Ok(true);
        }
        let before = seen()?;
        setns(init.as_fd(), CloneFlags::CLONE_NEWNS)?;
        if seen() == Ok(before) {
            return Ok(true);
        }
        setns(own.as_fd(), CloneFlags::CLONE_NEWNS)?;
        Ok(false)
    };
    match inner() {
        Ok(true) => {}
        Ok(false) => debug!("init has another {}", run.path().display()),
        Err(error) => debug!("cannot move to init's mount namespace: {error}"),
    }
}

/// Moves this process out of the cgroup it was started in.
pub(super) fn leave_cgroup(host: &Host) {
    let name = own_cgroup();
    for _ in 0..ATTEMPTS {
        let cgroup = Cgroup::open(host, &name).or_else(|_| Cgroup::create(host, &name));
        match cgroup.and_then(|cgroup| cgroup.add(std::process::id())) {
            Ok(()) => return,
            Err(error) => debug!("cannot move to cgroup {name}: {error}"),
        }
    }
}

/// Takes that cgroup away again, unless another daemon is in it.
pub(super) fn remove_cgroup(host: &Host) {
    // Only an empty cgroup can be removed, and the root takes anybody.
    let root = host.mount().join("cgroup.procs");
    let removed = std::fs::write(root, std::process::id().to_string())
        .and_then(|()| std::fs::remove_dir(host.mount().join(own_cgroup())));
    if let Err(error) = removed {
        debug!("cannot remove cgroup {}: {error}", own_cgroup());
    }
}

fn own_cgroup() -> String {
    format!("{CGROUP}/daemon")
}

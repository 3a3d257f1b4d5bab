//! `ubc run`: a command in a real container that sees its beancounters.

mod bundle;
mod rootfs;
pub(crate) mod runtime;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use log::{debug, warn};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, pidfd_open, pidfd_send_signal,
    set_child_subreaper, waitpid,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use ubc_cgroup::Schedule;
use ubc_core::ContainerId;
use ubc_procfs::text::meminfo::MemorySize;

use crate::client::{Client, unexpected};
use crate::error::{Failure, Result};
use crate::paths::{RunDir, make_private};
use crate::protocol::{Request, Response, Unenforced, Wanted};
use runtime::Runtime;

/// What `ubc run` was asked to do.
pub(crate) struct Options {
    pub(crate) id: ContainerId,
    pub(crate) limits: Wanted,
    pub(crate) schedule: Schedule,
    pub(crate) strict: bool,
    /// The cgroup to make the container's own in.
    pub(crate) cgroup: Option<String>,
    pub(crate) rootfs: Option<PathBuf>,
    pub(crate) runtime: Option<PathBuf>,
    /// A meminfo of the container's own.
    pub(crate) meminfo: Option<MemorySize>,
    pub(crate) command: Vec<String>,
}

/// Runs the command; its exit code, or 128 and the signal that ended it.
pub(crate) fn run(run: &RunDir, options: &Options) -> Result<ExitCode> {
    let program = Runtime::find(options.runtime.as_deref())?;
    let given_rootfs = options.rootfs.as_deref().map(absolute).transpose()?;
    // The container's init becomes our child when the runtime leaves it.
    set_child_subreaper(Some(getpid()))
        .map_err(|error| Failure::system(format!("cannot become a subreaper: {error}")))?;

    let mut client = Client::connect_or_start(run)?;
    let id = options.id;
    let limits = Box::new(options.limits);
    let created = client.ask(&Request::Create {
        id,
        limits,
        schedule: Box::new(options.schedule.clone().into()),
        strict: options.strict,
        parent: options.cgroup.clone(),
    })?;
    let Response::Created { cgroup, unenforced } = created else {
        return Err(unexpected(&created));
    };
    warn_of(&unenforced);

    let home = run.container(id);
    let runtime = Runtime::new(program, home.join("runtime"), format!("ubc-{id}"));
    let wanted = Making {
        id,
        home: &home,
        rootfs: given_rootfs,
        cgroup: Path::new(&cgroup),
        command: &options.command,
    };
    let outcome = wanted.make(&runtime).and_then(|pid| live(&mut client, &runtime, options, pid));
    // Whatever happened, nothing of it stays.
    if let Err(error) = runtime.delete() {
        debug!("{error}");
    }
    let removed = client.remove(id);
    outcome.and_then(|code| removed.map(|()| code))
}

struct Making<'a> {
    id: ContainerId,
    home: &'a Path,
    rootfs: Option<PathBuf>,
    cgroup: &'a Path,
    command: &'a [String],
}

impl Making<'_> {
    /// Makes the container up to the point where its init waits.
    fn make(self, runtime: &Runtime) -> Result<Pid> {
        let failed = |error: std::io::Error| {
            Failure::system(format!("cannot make {}: {error}", self.home.display()))
        };
        // The id is ours: what is there was left by one whose end was cut short.
        match std::fs::remove_dir_all(self.home) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            _ => make_private(self.home).map_err(failed)?,
        }
        let rootfs = if let Some(rootfs) = self.rootfs {
            rootfs
        } else {
            let rootfs = self.home.join("rootfs");
            rootfs::make(&rootfs)?;
            rootfs
        };
        let wanted = bundle::Wanted {
            id: self.id,
            rootfs: &rootfs,
            cgroup: self.cgroup,
            command: self.command,
        };
        bundle::write(self.home, &wanted)?;
        let pid = runtime.create(self.home, &self.home.join("pid"))?;
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        pid.ok_or_else(|| Failure::system("the runtime told an impossible pid"))
    }
}

/// From the waiting init to its end.
fn live(client: &mut Client, runtime: &Runtime, options: &Options, init: Pid) -> Result<ExitCode> {
    // It is our child and has not been waited for: the number is its own.
    let lost = |error| Failure::system(format!("lost the container: {error}"));
    let pidfd = pidfd_open(init, PidfdFlags::empty()).map_err(lost)?;
    let Options { id, meminfo, .. } = *options;
    let pid = init.as_raw_nonzero().get().unsigned_abs();
    client.ask(&Request::Attach { id, pid, meminfo })?;
    let signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2])
        .map_err(|error| Failure::system(format!("cannot catch signals: {error}")))?;
    client.ask(&Request::Started { id })?;
    runtime.start()?;
    forward(signals, pidfd);
    wait(init)
}

/// Passes signals on to a process: a container's init, or a runtime.
pub(crate) fn forward(mut signals: Signals, init: OwnedFd) {
    std::thread::spawn(move || {
        for number in signals.forever() {
            if let Some(signal) = Signal::from_named_raw(number)
                && let Err(error) = pidfd_send_signal(&init, signal)
            {
                debug!("cannot pass on signal {number}: {error}");
            }
        }
    });
}

fn wait(init: Pid) -> Result<ExitCode> {
    loop {
        match waitpid(Some(init), WaitOptions::empty()) {
            Ok(Some((_, status))) => {
                let killed = status.terminating_signal().map(|signal| 128 + signal);
                if let Some(code) = status.exit_status().or(killed) {
                    return Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)));
                }
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failure::system(format!("lost the container: {error}"))),
        }
    }
}

pub(crate) fn warn_of(unenforced: &[Unenforced]) {
    for Unenforced { what, asked, why } in unenforced {
        warn!("{what}: {asked} is kept, but not imposed here: {why}");
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    match path.canonicalize() {
        Ok(path) if path.is_dir() => Ok(path),
        Ok(_) => Err(Failure::usage(format!("--rootfs {}: not a directory", path.display()))),
        Err(error) => Err(Failure::usage(format!("--rootfs {}: {error}", path.display()))),
    }
}

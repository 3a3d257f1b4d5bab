//! Proof of the claims: a refusal seen on the running kernel.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use ubc_core::{Limits, PerResource, Resource};

use super::Host;
use crate::parse::Stat;
use crate::{Cgroup, Enforced, Limiter, Result, RowStatus};

mod schedulers;

/// What the shell of the fork test does once it is told to go on.
const FORK: &str = "read go; sleep 0 & wait $! && exit 0; exit 7";

/// A block of 24 MiB, which `dd` fills at once; the limit is 8 MiB, room enough
/// for the programs themselves.
const ALLOCATE: &str = "read go; dd if=/dev/zero of=/dev/null bs=25165824 count=1 2>/dev/null";
const ALLOCATE_LIMIT: u64 = 8 << 20;

impl Host {
    /// As [`Host::rows`], with the enforced rows put to the test: in a
    /// scratch cgroup, a fork over `pids.max` and an allocation over
    /// `memory.max` must fail, and be allowed without the limit. A claim
    /// that does not hold becomes [`Enforced::ObservedOnly`].
    ///
    /// `memory.swap.max` and `memory.low` are written and read back only:
    /// swapping and pressure cannot be made at will, so swappages stays
    /// "untested".
    ///
    /// Starts `sh` where there are controllers; without any nothing is
    /// claimed and nothing is run.
    ///
    /// # Errors
    ///
    /// The scratch cgroup cannot be made or removed.
    pub fn self_test(&self) -> Result<PerResource<RowStatus>> {
        let mut rows = self.rows();
        let scratch = Scratch::new(self)?;
        let outcome = test_rows(scratch.get(), &mut rows);
        let removed = scratch.remove();
        outcome.and(removed)?;
        Ok(rows)
    }
}

fn test_rows(cgroup: &Cgroup, rows: &mut PerResource<RowStatus>) -> Result<()> {
    type Test = fn(&Cgroup, &Limiter) -> Result<bool, String>;
    let limiter = Limiter::new(cgroup)?;
    let tests: [(Resource, Test); 4] = [
        (Resource::NumProc, fork_is_refused),
        (Resource::PhysPages, memory_is_refused),
        (Resource::SwapPages, |_, limiter| reads_back(limiter, Resource::SwapPages)),
        (Resource::OomGuarPages, |_, limiter| reads_back(limiter, Resource::OomGuarPages)),
    ];
    for (resource, test) in tests {
        let row = &mut rows[resource].enforced;
        if matches!(row, Enforced::ObservedOnly(_)) {
            continue;
        }
        match (test(cgroup, &limiter), &mut *row) {
            (Ok(seen), Enforced::By { proven, .. }) => *proven = seen,
            (Ok(_), _) => {}
            (Err(reason), _) => {
                log::warn!("{resource} is not enforced here: {reason}");
                *row = Enforced::ObservedOnly(reason.into());
            }
        }
    }
    Ok(())
}

/// With room the shell forks; without it cannot, and the kernel counts it.
fn fork_is_refused(cgroup: &Cgroup, limiter: &Limiter) -> Result<bool, String> {
    if !run(cgroup, FORK, || Ok(()))?.success() {
        return Err("fork fails without a limit".to_owned());
    }
    let before = events(cgroup, "pids.events", "max");
    let status = run(cgroup, FORK, || set(limiter, Resource::NumProc, 1))?;
    let refused = events(cgroup, "pids.events", "max") > before;
    set(limiter, Resource::NumProc, ubc_core::UNLIMITED)?;
    match (status.success(), refused) {
        (false, true) => Ok(true),
        _ => Err("pids.max 1 let a second process start".to_owned()),
    }
}

/// With room `dd` fills 24 MiB; without it is killed, and the kernel
/// counts it.
fn memory_is_refused(cgroup: &Cgroup, limiter: &Limiter) -> Result<bool, String> {
    if !run(cgroup, ALLOCATE, || Ok(()))?.success() {
        return Err("an allocation fails without a limit".to_owned());
    }
    let pages = ALLOCATE_LIMIT / rustix::param::page_size() as u64;
    let before = events(cgroup, "memory.events", "oom_kill");
    run(cgroup, ALLOCATE, || {
        set(limiter, Resource::SwapPages, 0)?;
        set(limiter, Resource::PhysPages, pages)
    })?;
    let killed = events(cgroup, "memory.events", "oom_kill") > before;
    set(limiter, Resource::PhysPages, ubc_core::UNLIMITED)?;
    set(limiter, Resource::SwapPages, ubc_core::UNLIMITED)?;
    if killed { Ok(true) } else { Err("memory.max 8 MiB let 24 MiB through".to_owned()) }
}

/// No refusal can be provoked; the value must at least be kept.
fn reads_back(limiter: &Limiter, resource: Resource) -> Result<bool, String> {
    set(limiter, resource, 256)?;
    set(limiter, resource, ubc_core::UNLIMITED)?;
    Ok(false)
}

fn set(limiter: &Limiter, resource: Resource, value: u64) -> Result<(), String> {
    let mut limits = PerResource::default();
    limits[resource] = Some(Limits { barrier: value, limit: value });
    let applied = limiter.apply(&limits).map_err(|error| error.to_string())?;
    match &applied[resource] {
        Enforced::ObservedOnly(reason) => Err(reason.to_string()),
        _ => Ok(()),
    }
}

/// A counter of an events file; 0 where there is none, so that nothing is
/// proven by a file that does not exist.
fn events(cgroup: &Cgroup, file: &str, key: &str) -> u64 {
    let Ok(text) = cgroup.read(file) else { return 0 };
    Stat::parse(&text).ok().and_then(|stat| stat.get(key)).unwrap_or(0)
}

/// Starts a shell that waits, moves it into the cgroup, calls `ready`, and
/// lets it go on.
fn run(
    cgroup: &Cgroup,
    script: &str,
    ready: impl FnOnce() -> Result<(), String>,
) -> Result<ExitStatus, String> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot start /bin/sh: {error}"))?;
    let result = cgroup.add(child.id()).map_err(|error| error.to_string()).and_then(|()| ready());
    let released = result.and_then(|()| {
        let stdin = child.stdin.as_mut().ok_or("no pipe to the shell")?;
        stdin.write_all(b"go\n").map_err(|error| error.to_string())
    });
    finish(child, released)
}

/// Waits for the shell in any case, so that the scratch cgroup gets empty.
fn finish(mut child: Child, released: Result<(), String>) -> Result<ExitStatus, String> {
    if released.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    released.map(|()| status)
}

/// What the name of each begins with; the maker's pid and a number follow.
const SCRATCH: &str = "ubc-selftest-";

/// A cgroup to try things in; removed whatever happens.
pub(crate) struct Scratch(Option<Cgroup>);

impl Scratch {
    pub(crate) fn new(host: &Host) -> Result<Scratch> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        sweep(host.mount());
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{SCRATCH}{}-{number}", std::process::id());
        Ok(Scratch(Some(Cgroup::create(host, &name)?)))
    }

    pub(crate) fn get(&self) -> &Cgroup {
        self.0.as_ref().expect("taken by remove only")
    }

    pub(crate) fn remove(mut self) -> Result<()> {
        self.0.take().map_or(Ok(()), clear)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(cgroup) = self.0.take()
            && let Err(error) = clear(cgroup)
        {
            log::warn!("the scratch cgroup stays behind: {error}");
        }
    }
}

/// Removes those whose makers were killed and could not.
fn sweep(mount: &Path) {
    let Ok(entries) = std::fs::read_dir(mount) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(SCRATCH)?.split('-').next());
        let Some(maker) = maker.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        if !Path::new("/proc").join(maker.to_string()).exists() {
            // One that something still ends in is the next one's business.
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}

fn clear(cgroup: Cgroup) -> Result<()> {
    if cgroup.populated()? {
        cgroup.kill()?;
    }
    cgroup.remove()
}

#[cfg(test)]
mod tests;

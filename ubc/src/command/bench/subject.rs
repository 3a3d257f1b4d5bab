//! The command that is measured.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ubc_cgroup::ubc_bpf::Enforcer;
use ubc_cgroup::{Cgroup, Host};

use crate::error::{Failure, Kind, Result};

/// What one run took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Processor time of all its processes.
    pub(super) processor: Duration,
    /// From its start to its end.
    pub(super) elapsed: Duration,
}

/// A command, and a cgroup for each run of it.
pub(super) struct Subject<'a> {
    host: &'a Host,
    words: &'a [OsString],
}

impl<'a> Subject<'a> {
    pub(super) fn new(host: &'a Host, words: &'a [OsString]) -> Result<Subject<'a>> {
        match words {
            [] => Err(Failure::usage("no command is given")),
            _ => Ok(Subject { host, words }),
        }
    }

    /// Runs it once to its end; in a container of this enforcer, if one is given.
    /// What it prints is not shown.
    pub(super) fn run(&self, enforcer: Option<&Enforcer>) -> Result<Cost> {
        let name = format!("ubc-bench-{}", std::process::id());
        let cgroup = Scratch(Some(Cgroup::create(self.host, &name).map_err(Failure::system)?));
        let slot = enforcer.map(|enforcer| enforcer.add(cgroup.get().as_dir(), 0, None));
        let slot = slot.transpose().map_err(Failure::system)?;
        let ran = self.run_in(cgroup.get());
        let gone = cgroup.remove();
        if let (Some(enforcer), Some(slot)) = (enforcer, slot) {
            enforcer.remove(slot).map_err(Failure::system)?;
        }
        gone.and(ran)
    }

    fn run_in(&self, cgroup: &Cgroup) -> Result<Cost> {
        let shown = self.words[0].to_string_lossy();
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            Failure::system(format!("{what} {shown}: {error}"))
        };
        // A shell that waits until it is where it belongs.
        let mut child = Command::new("/bin/sh")
            .args(["-c", "read go; exec \"$@\" </dev/null", "sh"])
            .args(self.words)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| failed("cannot start", &error))?;
        let begun = cgroup.add(child.id()).map_err(|error| failed("cannot place", &error));
        let before = processor_time(cgroup);
        let started = Instant::now();
        let begun = begun.and_then(|()| {
            let stdin = child.stdin.as_mut();
            stdin
                .map_or(Ok(()), |stdin| stdin.write_all(b"go\n"))
                .map_err(|error| failed("cannot start", &error))
        });
        if begun.is_err() {
            let _ = child.kill();
        }
        let status = child.wait().map_err(|error| failed("cannot wait for", &error))?;
        let elapsed = started.elapsed();
        begun?;
        let processor = processor_time(cgroup)?.saturating_sub(before?);
        if !status.success() {
            let why = format!("{shown} ended with {status}: what fails is not worth measuring");
            return Err(Failure::new(Kind::System, why));
        }
        Ok(Cost { processor, elapsed })
    }
}

/// All that was ever used in a cgroup; every cgroup v2 has it, whoever has the
/// controller (Documentation/admin-guide/cgroup-v2.rst, cpu.stat).
fn processor_time(cgroup: &Cgroup) -> Result<Duration> {
    let path = cgroup.path().join("cpu.stat");
    let wrong = |why: &dyn std::fmt::Display| Failure::system(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(&error))?;
    let used = text.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse().ok());
    used.map(Duration::from_micros).ok_or_else(|| wrong(&"no usage_usec"))
}

/// Removed with everything in it, whatever happens.
struct Scratch(Option<Cgroup>);

impl Scratch {
    fn get(&self) -> &Cgroup {
        self.0.as_ref().expect("taken by remove only")
    }

    fn remove(mut self) -> Result<()> {
        self.0.take().map_or(Ok(()), clear)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.take().map(clear) {
            log::warn!("{error}");
        }
    }
}

fn clear(cgroup: Cgroup) -> Result<()> {
    let cleared = match cgroup.populated() {
        Ok(true) => cgroup.kill(),
        other => other.map(drop),
    };
    cleared.and_then(|()| cgroup.remove()).map_err(Failure::system)
}

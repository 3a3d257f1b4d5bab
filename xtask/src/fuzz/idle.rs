//! The fuzz targets beside everything else, in the processor time that nobody wants.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::run::{Result, shown};

/// How often what they said is told while they are waited for.
const LOOK: Duration = Duration::from_millis(500);

/// The kernel's number of the policy.
const IDLE: u32 = 5;

/// A process that runs when no other wants the processor. Dropped, it is gone.
///
/// The kernel kills it too when the thread ends that started it: that one has to live until
/// the end, whatever ends us.
pub(crate) struct Idle {
    child: Child,
    name: String,
    /// What it wrote, from where it was not told yet.
    said: File,
}

impl Idle {
    /// Starts it. What it writes, both streams, is kept until somebody waits for it.
    pub(crate) fn start(command: &Command) -> Result<Self> {
        let name = shown(command);
        let failed = |error| format!("{name}: {error}");
        // Opened twice: where we read is not where it writes.
        let file = tempfile::NamedTempFile::new().map_err(failed)?;
        let said = file.reopen().map_err(failed)?;
        let mut idle = Command::new("setpriv");
        idle.args(["--pdeathsig", "KILL", "chrt", "--idle", "0"]);
        idle.arg(command.get_program()).args(command.get_args());
        let out = file.as_file().try_clone().map_err(failed)?;
        idle.stdin(Stdio::null()).stdout(out).stderr(file.into_file());
        let mut child = idle.spawn().map_err(failed)?;
        // Not on its way there any more: who waits at once would be overtaken.
        while policy(child.id()) != Some(IDLE) && matches!(child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(Self { child, name, said })
    }

    /// Waits for its end, not longer than `limit`, and tells what it said and says. It is as
    /// good as any other process from here on: somebody waits for it.
    pub(crate) fn wait(mut self, limit: Duration) -> Result<()> {
        let begin = Instant::now();
        let mut raise = Command::new("chrt");
        raise.args(["--all-tasks", "--other", "--pid", "0", &self.child.id().to_string()]);
        // Who may not do that, or comes when it has ended, waits for idle time.
        let _ = raise.stderr(Stdio::null()).status();
        loop {
            // First, so that nothing is missed of what it said last.
            let ended = self.child.try_wait().map_err(|error| self.failed(&error))?;
            let mut news = Vec::new();
            let told = self.said.read_to_end(&mut news);
            let told = told.and_then(|_| std::io::stdout().write_all(&news));
            told.map_err(|error| self.failed(&error))?;
            match ended {
                Some(status) => return self.judge(status),
                None if begin.elapsed() > limit => {
                    return Err(self.failed(&format!("not done after {} s", limit.as_secs())));
                }
                None => thread::sleep(LOOK),
            }
        }
    }

    fn judge(&self, status: ExitStatus) -> Result<()> {
        if status.success() { Ok(()) } else { Err(self.failed(&status)) }
    }

    fn failed(&self, why: &dyn std::fmt::Display) -> String {
        format!("{}: {why}", self.name)
    }
}

/// How that process is scheduled.
fn policy(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Field 41, counted from behind the name, which may have spaces in it.
    stat.rsplit_once(") ")?.1.split(' ').nth(38)?.parse().ok()
}

impl Drop for Idle {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn sh(script: &str) -> Idle {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Idle::start(&command).unwrap()
    }

    #[test]
    fn one_that_fails_is_a_failure_and_one_that_hangs_too() {
        assert_eq!(sh("exit 0").wait(Duration::from_mins(1)), Ok(()));
        let error = sh("exit 3").wait(Duration::from_mins(1)).unwrap_err();
        assert!(error.contains("exit status: 3"), "{error}");
        let error = sh("exec sleep 60").wait(Duration::ZERO).unwrap_err();
        assert!(error.contains("not done"), "{error}");
    }

    #[test]
    fn one_that_is_waited_for_gets_its_turn() {
        let script = "until chrt --pid $$ | grep -q SCHED_OTHER; do sleep 0.05; done";
        assert_eq!(sh(script).wait(Duration::from_mins(1)), Ok(()));
    }

    #[test]
    fn a_step_that_fails_leaves_none_behind_and_it_took_nobodys_turn() {
        let idle = sh("exec sleep 60");
        let pid = idle.child.id();
        assert_eq!(policy(pid), Some(IDLE));
        assert_ne!(policy(std::process::id()), Some(IDLE), "nothing is told apart");
        drop(idle);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
}

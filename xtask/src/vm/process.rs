//! Child processes that may take long or never end.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::run::{Result, shown};

use super::{say, tail};

/// How often a long step says that it is still at it.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Waits for the child, but not longer than `limit`, and not once `watch`
/// objects; then it is killed.
pub(super) fn finish(
    child: &mut Child,
    limit: Duration,
    mut watch: impl FnMut() -> Result<()>,
) -> Result<ExitStatus> {
    let begin = Instant::now();
    let mut nap = Duration::from_millis(1);
    let reason = loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) => {}
            Err(error) => break format!("cannot wait: {error}"),
        }
        if begin.elapsed() >= limit {
            break format!("not done after {} s", limit.as_secs());
        }
        if let Err(reason) = watch() {
            break reason;
        }
        thread::sleep(nap);
        nap = (nap * 2).min(Duration::from_millis(50));
    };
    // It may have ended just now; then there is nothing to kill.
    let _ = child.kill();
    let _ = child.wait();
    Err(reason)
}

/// Runs a long command with its output in `log`, and tells how far it is.
pub(super) fn long(what: &str, command: &mut Command, log: &Path, limit: Duration) -> Result<()> {
    say(what);
    let open = || File::options().create(true).append(true).open(log);
    let (out, err) = open()
        .and_then(|out| open().map(|err| (out, err)))
        .map_err(|error| format!("{}: {error}", log.display()))?;
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    let begin = Instant::now();
    let mut child = command.spawn().map_err(|error| format!("{}: {error}", shown(command)))?;
    let mut next = HEARTBEAT;
    let ended = finish(&mut child, limit, || {
        if begin.elapsed() >= next {
            next += HEARTBEAT;
            say(&format!("  {} s: {}", begin.elapsed().as_secs(), tail::last_line(log)));
        }
        Ok(())
    });
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{what}: {status}; it said:\n{}", tail::of_file(log, 20))),
        Err(reason) => Err(format!("{what}: {reason}; it said:\n{}", tail::of_file(log, 20))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_hangs_is_killed_in_time() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let begin = Instant::now();
        let error = finish(&mut child, Duration::from_millis(50), || Ok(())).unwrap_err();
        assert!(error.contains("not done"), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(10));
        assert!(child.try_wait().unwrap().is_some(), "it is still there");
    }

    #[test]
    fn a_dead_machine_ends_the_wait() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let error = finish(&mut child, Duration::from_mins(1), || Err("gone".to_owned()));
        assert_eq!(error.unwrap_err(), "gone");
    }

    #[test]
    fn a_failed_step_shows_what_it_said() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo first; echo the reason >&2; exit 3"]);
        let error = long("step", &mut command, log.path(), Duration::from_mins(1)).unwrap_err();
        assert!(error.contains("exit status: 3") && error.contains("the reason"), "{error}");
    }
}

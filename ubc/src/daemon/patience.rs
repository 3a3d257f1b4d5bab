//! How long readers wait for a daemon that does not come up: as long as one
//! attempt after the other fails, the next one counts from the first.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::time::Duration;

use log::{debug, error, warn};
use rustix::time::{ClockId, clock_gettime};
use ubc_node::Holder as _;

use super::holder::Holder;
use super::supervisor::PATIENCE;
use crate::paths::RunDir;

/// How long after the first attempt one fails rather than go on with less than there was: what
/// one container lacks for ever is no reason to have all the others wait.
const HOPE: Duration = Duration::from_secs(10);

/// An attempt begins. If the first one did too long ago, nothing of what is
/// held is gone on with: who waits gets an error, and who comes later does not
/// wait. Where nothing can be written, every attempt is the first: better than
/// none, because a disk that others filled is no reason to leave readers waiting.
///
/// Returns whether there is time for another attempt that may succeed in more.
pub(super) fn begin(run: &RunDir, held: &mut HashMap<String, OwnedFd>) -> bool {
    let now = clock_gettime(ClockId::Boottime).tv_sec;
    let since = std::fs::read_to_string(run.starting()).ok().and_then(|text| text.parse().ok());
    // One from before the machine was started may be in the future.
    let Some(since) = since.filter(|since| *since <= now) else {
        if let Err(error) = std::fs::write(run.starting(), now.to_string()) {
            warn!("cannot write {}: {error}", run.starting().display());
            return false;
        }
        return true;
    };
    if is_over(since, now) && !held.is_empty() {
        error!("no daemon served for {} s: readers wait no longer", now - since);
        for (name, _) in held.drain() {
            Holder.forget(&name);
        }
    }
    u64::try_from(now - since).is_ok_and(|time| time < HOPE.as_secs())
}

/// It serves.
pub(super) fn end(run: &RunDir) {
    if let Err(error) = std::fs::remove_file(run.starting()) {
        debug!("{}: {error}", run.starting().display());
    }
}

fn is_over(since: i64, now: i64) -> bool {
    u64::try_from(now - since).is_ok_and(|time| time > PATIENCE.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_that_fail_one_after_the_other_do_not_make_readers_wait_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::new(dir.path()).unwrap();
        let held = || {
            let file = tempfile::tempfile().unwrap();
            HashMap::from([("101-0d".to_owned(), file.into())])
        };
        let since = || std::fs::read_to_string(run.starting()).unwrap().parse::<i64>().unwrap();
        let (mut first, mut second, mut third) = (held(), held(), held());
        begin(&run, &mut first);
        let begun = since();
        begin(&run, &mut second);
        assert_eq!((first.len(), second.len(), since()), (1, 1, begun));
        let long_ago = begun - i64::try_from(PATIENCE.as_secs()).unwrap() - 1;
        std::fs::write(run.starting(), long_ago.to_string()).unwrap();
        begin(&run, &mut third);
        assert!(third.is_empty());
        end(&run);
        let mut next = held();
        begin(&run, &mut next);
        assert_eq!(next.len(), 1);
    }
}

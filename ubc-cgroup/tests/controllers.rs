//! Limits of the memory and pids controllers, hit by real programs, and the
//! counters that come of it.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use common::rows::{HOLD, MIB, event, limit, number, pages, without_swap};
use common::{Container, held, measured};
use ubc_cgroup::Limiter;
use ubc_core::Resource::{NumProc, OomGuarPages, PhysPages, SwapPages};
use ubc_core::{Limits, PerResource};

#[test]
fn physpages_refuses_and_tells_how_often_and_how_much() {
    let Some(container) = Container::new() else { return };
    if !container.has("memory") {
        return;
    }
    let (cgroup, most) = (container.cgroup(), pages(48 * MIB));
    let mut meters = container.meters();
    let mut actor = container.python(&[], &format!("{HOLD}\nhold(8)\nstage()\nhold(64)\n"));
    without_swap(&container, &[(PhysPages, most)]);
    actor.next();
    let before = meters.read().unwrap()[PhysPages];
    assert_eq!(before.failures, Some(0));
    assert!((pages(8 * MIB)..=most).contains(&before.held.unwrap()));
    actor.go();
    assert!(!actor.arrives(), "64 MiB fit into 48");
    let after = meters.read().unwrap()[PhysPages];
    measured(format!(
        "physpages {most}: maxheld {}, failcnt {}",
        after.peak.unwrap(),
        after.failures.unwrap()
    ));
    assert!(after.failures >= Some(1));
    assert_eq!(after.failures, Some(event(&cgroup, "memory.events", "oom")));
    assert_eq!(after.peak, Some(number(&cgroup, "memory.peak").div_ceil(4096)));
    // At the limit, and not beyond.
    assert!((most * 95 / 100..=most).contains(&after.peak.unwrap()), "{after:?}");
    assert!(after.held < before.held, "what was killed is given back");
    assert_eq!(meters.read().unwrap()[OomGuarPages].failures, Some(1), "one task was killed");
}

#[test]
fn numproc_refuses_exactly_as_often_as_the_program_saw() {
    let Some(container) = Container::new() else { return };
    if !container.has("pids") {
        return;
    }
    let mut meters = container.meters();
    let mut actor = container.python(
        &[],
        r"
def forks(tries):
    refused = 0
    for _ in range(tries):
        try: pid = os.fork()
        except BlockingIOError: refused += 1
        else:
            if pid == 0: signal.pause()
    return refused
stage(forks(30))
stage(forks(7))
",
    );
    limit(&container.cgroup(), &[(NumProc, 10)]);
    actor.next();
    let rows = meters.read().unwrap();
    assert_eq!(actor.facts, ["21"], "9 children and their parent are 10");
    assert_eq!((rows[NumProc].held, rows[NumProc].failures), (Some(10), Some(21)));
    limit(&container.cgroup(), &[(NumProc, 12)]);
    actor.next();
    let rows = meters.read().unwrap();
    assert_eq!(actor.facts, ["5"]);
    assert_eq!((rows[NumProc].held, rows[NumProc].failures), (Some(12), Some(26)));
    measured("numproc 10, then 12: 30 and 7 forks, 21 and 5 refused, failcnt 26");
    // pids.peak: Linux 6.1.
    assert!(matches!(rows[NumProc].peak, None | Some(12)), "{:?}", rows[NumProc]);
}

/// A swap file of its own, in use until dropped.
struct Swap {
    _dir: tempfile::TempDir,
    file: String,
}

impl Swap {
    fn on() -> Result<Swap, String> {
        let dir = tempfile::tempdir_in("/var/tmp").map_err(|error| error.to_string())?;
        let file = dir.path().join("swap").display().to_string();
        for command in [
            format!("dd if=/dev/zero of={file} bs=1M count=96 status=none && chmod 600 {file}"),
            format!("mkswap {file}"),
            format!("swapon {file}"),
        ] {
            let done = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
            if !done.status.success() {
                return Err(format!("{command}: {}", String::from_utf8_lossy(&done.stderr).trim()));
            }
        }
        Ok(Swap { _dir: dir, file })
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        let done = std::process::Command::new("swapoff").arg(&self.file).status();
        assert!(done.is_ok_and(|status| status.success()), "{} stays in use", self.file);
    }
}

#[test]
fn swappages_refuses_after_its_share_of_swap() {
    let Some(container) = Container::new() else { return };
    if !container.has("memory") {
        return;
    }
    let swap = match Swap::on() {
        Ok(swap) => swap,
        Err(reason) => return common::skip(reason),
    };
    let (cgroup, ram, most) = (container.cgroup(), pages(32 * MIB), pages(16 * MIB));
    let mut meters = container.meters();
    let mut actor = container.python(&[], &format!("{HOLD}\nhold(26)\nstage()\nhold(40)\n"));
    // Below a barrier the kernel makes the program wait for the swapping;
    // at the limit it may kill while swap is still free.
    limit(&cgroup, &[(PhysPages, ram), (SwapPages, most)]);
    let mut barrier = PerResource::default();
    barrier[PhysPages] = Some(Limits { barrier: pages(24 * MIB), limit: ram });
    Limiter::new(&cgroup).unwrap().apply(&barrier).unwrap();
    actor.next();
    let before = meters.read().unwrap();
    limit(&cgroup, &[(PhysPages, ram)]);
    assert!((pages(MIB)..=most).contains(&held(&before, SwapPages)), "{:?}", before[SwapPages]);
    actor.go();
    assert!(!actor.arrives(), "66 MiB fit into 48");
    let rows = meters.read().unwrap();
    let after = rows[SwapPages];
    measured(format!(
        "swappages {most}: held {} with 26 MiB touched in 24, maxheld {:?}, failcnt {:?}",
        held(&before, SwapPages),
        after.peak,
        after.failures
    ));
    // Reclaim stops trying when hardly any swap is left, so the refusal is
    // counted for physpages, and for swappages only if it was tried.
    assert!(rows[PhysPages].failures >= Some(1), "{:?}", rows[PhysPages]);
    assert_eq!(after.failures, Some(event(&cgroup, "memory.swap.events", "max")));
    // memory.swap.peak: Linux 6.5.
    assert!(after.peak.is_none_or(|peak| (most * 9 / 10..=most).contains(&peak)), "{after:?}");
    drop(actor);
    drop(container);
    drop(swap);
}

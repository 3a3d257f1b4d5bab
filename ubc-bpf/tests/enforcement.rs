//! Refusals on the running kernel: every row that programs can refuse.

mod common;

use std::os::fd::AsFd as _;
use std::process::Command;
use std::time::Duration;

use common::{Scratch, all_given_back, enforcer};
use ubc_bpf::Verdict;
use ubc_core::{Limits, PerResource, Resource};

/// Rows whose refusal must work on every kernel that takes such programs.
#[test]
fn a_row_that_is_said_to_be_enforced_refuses() {
    let Some(installed) = enforcer("a_row_that_is_said_to_be_enforced_refuses") else { return };
    for (mechanism, standing) in installed.standings() {
        println!("{:<14} {standing:?}", mechanism.name);
    }
    let scratch = Scratch::new();
    let outcomes = installed.self_test(scratch.dir.as_fd()).expect("the self-test can be made");
    let mut failures = Vec::new();
    for outcome in &outcomes {
        let mechanism = outcome.mechanism.unwrap_or("-");
        println!("{:<14} {mechanism:<20} {:?}", outcome.resource.name(), outcome.verdict);
        let told = match &outcome.verdict {
            // What the self-test checks before it says so.
            Verdict::Enforced { errno } => {
                let errno = std::io::Error::from_raw_os_error(*errno);
                // A gate: what passes between two of them, tests/kmemsize measures.
                let exact = if outcome.resource == Resource::KmemSize { "" } else { ", exact" };
                format!("{mechanism}: {errno}{exact}, failcnt right, given back at the end")
            }
            // Nobody counts kernel memory there.
            Verdict::NotEnforced(reason)
                if outcome.resource == Resource::KmemSize
                    && !scratch.path.join("memory.stat").exists() =>
            {
                println!("SKIP: kmemsize: {reason}");
                continue;
            }
            Verdict::NotEnforced(reason) => {
                failures.push(format!("{}: {reason}", outcome.resource));
                format!("not refused: {reason}")
            }
        };
        println!("FACT: refusals | {} | {told}", outcome.resource);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    all_given_back(&installed);
    assert_eq!(installed.faults().expect("readable"), ubc_bpf::Faults::default());
}

/// A container that is given up while it still holds something, and taken up again
/// before that is gone, must not find the limits it had: nobody asked for them.
#[test]
fn an_account_that_comes_back_has_no_old_limits() {
    let Some(installed) = enforcer("an_account_that_comes_back_has_no_old_limits") else { return };
    let scratch = Scratch::new();
    let slot = installed.add(scratch.dir.as_fd(), 7, None).expect("there is room");
    let mut limits = PerResource::default();
    limits[Resource::NumFile] = Some(Limits { barrier: 50, limit: 50 });
    installed.set_limits(slot, &limits).expect("writable");
    let procs = scratch.path.join("cgroup.procs");
    let script = format!("echo $$ >{} && exec sleep 600", procs.display());
    let mut child = Command::new("sh").args(["-c", &script]).spawn().expect("sh starts");
    while installed.counts(slot).expect("readable")[Resource::NumProc].held == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    installed.remove(slot).expect("writable");
    let again = installed.add(scratch.dir.as_fd(), 7, None).expect("there is room");
    assert_eq!(again, slot, "it still holds what it held");
    let limits = installed.limits(again).expect("readable").expect("taken");
    assert!(limits.iter().all(|(_, limits)| limits.is_unlimited()), "{limits:?}");
    child.kill().expect("it lives");
    child.wait().expect("it is ours");
}

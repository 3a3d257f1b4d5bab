//! Refusals on the running kernel: every row that programs can refuse.

mod common;

use std::os::fd::AsFd as _;

use common::{Scratch, enforcer};
use ubc_bpf::Verdict;

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
                format!("{mechanism}: {errno}, exact, failcnt right, 0 at the end")
            }
            Verdict::NotEnforced(reason) => {
                failures.push(format!("{}: {reason}", outcome.resource));
                format!("not refused: {reason}")
            }
        };
        println!("FACT: refusals | {} | {told}", outcome.resource);
    }
    println!("faults {:?}, objects {}", installed.faults(), installed.objects());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(installed.objects(), 0, "objects left after every process ended");
    assert_eq!(installed.faults().expect("readable"), ubc_bpf::Faults::default());
}

use ubc_core::{Observation, Resource};

use super::{Finding, Findings, Rank, wants};
use crate::Bound;
use crate::walk::Cut;

fn finding(held: u64, rank: Rank) -> Finding {
    Finding { observation: Observation::held(held), rank, source: "x".into(), bound: Bound::Exact }
}

#[test]
fn the_better_source_wins_whichever_comes_first() {
    for order in [[Rank::Kernel, Rank::Fallback], [Rank::Fallback, Rank::Kernel]] {
        let mut findings = Findings::default();
        for rank in order {
            findings.add(Resource::NumProc, finding(u64::from(rank == Rank::Kernel), rank));
        }
        assert_eq!(findings.held(Resource::NumProc), Some(1));
    }
}

#[test]
fn a_walk_cut_short_leaves_no_half_counts() {
    let mut findings = Findings::default();
    findings.add(Resource::NumFile, finding(9, Rank::Fallback));
    findings.add(Resource::NumProc, finding(3, Rank::Kernel));
    findings.add(Resource::LockedPages, finding(5, Rank::Fallback));
    findings.cut(Cut::Descriptors);
    let (rows, metered) = findings.finish();
    assert_eq!(rows[Resource::NumFile], Observation::default());
    assert_eq!(metered[Resource::NumFile].to_string(), "absent: too many descriptors");
    assert_eq!(rows[Resource::NumProc].held, Some(3));
    assert_eq!(rows[Resource::LockedPages].held, Some(5), "not a matter of descriptors");
}

#[test]
fn a_pass_beats_proc_and_the_kernels_own_count_beats_a_pass() {
    let ranks = [Rank::Fallback, Rank::Pass, Rank::Kernel, Rank::Program];
    assert!(ranks.is_sorted());
    let mut findings = Findings::default();
    findings.add(Resource::NumFile, finding(1, Rank::Pass));
    findings.add(Resource::NumFile, finding(2, Rank::Fallback));
    assert_eq!(findings.held(Resource::NumFile), Some(1));
    findings.add(Resource::NumFile, finding(3, Rank::Kernel));
    assert_eq!(findings.held(Resource::NumFile), Some(3));
}

#[test]
fn what_a_pass_found_outlives_a_cut_walk_but_for_the_shared_memory_in_it() {
    let mut findings = Findings::default();
    findings.add(Resource::NumFile, finding(9, Rank::Pass));
    findings.add(Resource::PrivvmPages, finding(7, Rank::Pass));
    findings.cut(Cut::Processes);
    let (rows, _) = findings.finish();
    assert_eq!(rows[Resource::NumFile].held, Some(9));
    assert_eq!(rows[Resource::PrivvmPages], Observation::default());
}

#[test]
fn descriptors_are_left_alone_when_a_pass_has_seen_them() {
    let mut findings = Findings::default();
    for resource in super::files_rows() {
        assert!(wants(&findings, true).descriptors, "{resource} is missing");
        findings.add(resource, finding(1, Rank::Pass));
    }
    assert!(!wants(&findings, true).descriptors);
}

#[test]
fn the_costly_looks_are_saved_when_a_controller_knows() {
    let mut findings = Findings::default();
    let all = wants(&findings, true);
    assert!(all.zombies && all.resident && all.descriptors);
    for resource in [Resource::NumProc, Resource::PhysPages, Resource::OomGuarPages] {
        findings.add(resource, finding(1, Rank::Kernel));
    }
    let fewer = wants(&findings, true);
    assert!(!fewer.zombies && !fewer.resident && fewer.descriptors);
}

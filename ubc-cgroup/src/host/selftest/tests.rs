use ubc_core::Resource;

use super::{Scratch, test_rows};
use crate::{Cgroup, Enforced, Host};

fn scratch(name: &str) -> Option<(Host, Scratch)> {
    match Host::probe() {
        Ok(host) => {
            let name = format!("ubc-test-{name}-{}", std::process::id());
            let cgroup = Cgroup::create(&host, &name).unwrap();
            Some((host, Scratch(Some(cgroup))))
        }
        Err(error) => {
            crate::testing::skip(&error);
            None
        }
    }
}

#[test]
fn a_claim_nobody_keeps_is_taken_back() {
    let Some((host, scratch)) = scratch("claim") else { return };
    let mut rows = host.rows();
    rows[Resource::NumProc].enforced = Enforced::By { file: "pids.max", proven: true };
    rows[Resource::PhysPages].enforced = Enforced::By { file: "memory.max", proven: true };
    rows[Resource::OomGuarPages].enforced = Enforced::Guarantee("memory.low");
    test_rows(scratch.get(), &mut rows).unwrap();
    scratch.remove().unwrap();
    for (resource, controller) in [
        (Resource::NumProc, "pids"),
        (Resource::PhysPages, "memory"),
        (Resource::OomGuarPages, "memory"),
    ] {
        let observed = matches!(rows[resource].enforced, Enforced::ObservedOnly(_));
        assert_eq!(observed, !host.has_controller(controller), "{resource}");
    }
}

#[test]
fn the_shell_of_the_proof_forks_when_nothing_limits_it() {
    // Else its failure under a limit would prove nothing.
    let Some((_, scratch)) = scratch("shell") else { return };
    let mut ran_in_cgroup = false;
    let status = super::run(scratch.get(), super::FORK, || {
        ran_in_cgroup = scratch.get().populated().map_err(|error| error.to_string())?;
        Ok(())
    });
    let populated = scratch.get().populated().unwrap();
    scratch.remove().unwrap();
    assert!(status.unwrap().success());
    assert!(ran_in_cgroup && !populated);
}

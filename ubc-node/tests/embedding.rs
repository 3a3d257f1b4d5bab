//! The examples do what docs/embedding.md says they do.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::process::{Command, Stdio};

use common::{cgroup_mount, example, node, rows, text};

#[test]
fn a_sandbox_without_the_kernel_refuses_at_its_limits_and_gives_all_back() {
    let sandbox = Command::new(example("sandbox")).output().unwrap();
    assert!(sandbox.status.success(), "{}", text(&sandbox.stderr));
    let file = text(&sandbox.stdout);
    assert_eq!(rows(&file, "numfile"), [2, 2, 2, 2, 1]);
    assert_eq!(rows(&file, "privvmpages"), [100, 100, 90, 100, 1]);
    assert_eq!(rows(&file, "numproc"), [2, 2, 2, 2, 1]);
}

#[test]
fn a_supervised_program_is_limited_counted_and_leaves_nothing() {
    let Some(node) = node() else { return };
    let refused = node.claims().rows[ubc_core::Resource::NumFile].enforced.is_enforced();
    drop(node);
    // Each `sh` that waits holds some files; with 20 no tenth one starts.
    let script =
        "i=0; while [ $i -lt 40 ]; do sleep 0.5 & i=$((i+1)); done 2>/dev/null; wait; exit 7";
    let supervisor = Command::new(example("supervisor"))
        .args(["--id", "90001301", "numfile=20", "--", "sh", "-c", script])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = text(&supervisor.stdout);
    let failed = text(&supervisor.stderr);
    assert!(said.contains("\nnumfile "), "{said}{failed}");
    if refused {
        assert!(said.contains("container 90001301: numfile refused, limit 20"), "{said}{failed}");
        let row = said.lines().find(|line| line.starts_with("numfile ")).unwrap();
        assert!(row.contains("maxheld 20 barrier 20 limit 20 "), "{row}");
        assert!(!row.contains("failcnt 0"), "{row}");
        assert!(row.contains("bpf numfile"), "{row}");
    } else {
        assert_eq!(supervisor.status.code(), Some(7), "{said}{failed}");
        assert!(said.starts_with("numfile=20 is not imposed: "), "{said}");
    }
    assert!(!cgroup_mount().join("ubc/90001301").exists(), "the cgroup stayed");
}

//! CRIU finds no view in a container behind `ubc runtime`, and what it restores has its view,
//! its limits and its counts again. Where CRIU cannot work, `checkpoint` has the rest.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::process::Command;

use common::engine::behind::{annotations, ids, oci, wrapper};
use common::engine::lives::{INIT, count, executable, goes_on, has_counted, view};
use common::engine::traces::{Traces, nothing_is_kept};
use common::engine::{Engine, installed};
use common::{Node, wait_until};

/// Whether CRIU can write anything down here; says so if not.
fn criu() -> bool {
    if !installed("criu") {
        return false;
    }
    // The kernel at hand may be too new for it.
    let output = Command::new("criu").arg("check").output().unwrap();
    if !output.status.success() {
        let said = common::text(&output.stderr);
        println!("SKIP: criu check: {}", said.lines().last().unwrap_or_default());
    }
    output.status.success()
}

/// Has it ask for one descriptor too many; how often it was refused by now.
fn refused(engine: &Engine, id: &str) -> u64 {
    engine.exec("/bin/refused numfile");
    view(engine, id).row("numfile")[4]
}

#[test]
fn runc_restores_a_container_with_its_view_and_its_counts() {
    common::stands_for("checkpoint and restore", "runc, CRIU");
    if common::skip() || !installed("runc") || !criu() || !common::imposes("numfile") {
        return;
    }
    let node = Node::start();
    let id = "90001823";
    let engine = oci(&node, "runc", id);
    executable(&engine.root().join("init"), INIT);
    common::install_example("refused", &engine.root());
    let before = Traces::before(&node, &[engine.dir.path()]);
    engine.start().unwrap();
    let traces = before.of(&node, id);
    let peak = has_counted(&node, &engine, id);
    let failures = refused(&engine, id);
    assert!(failures > 0);
    let images = node.dir.path().join("images").display().to_string();
    let words = format!("--image-path {images} --work-path {images}");
    let log = |what: &str| {
        let log = std::fs::read_to_string(format!("{images}/{what}.log")).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(15).collect();
        last.join("\n")
    };

    engine
        .start_by(&format!("checkpoint {words} --leave-running ct{id}"))
        .unwrap_or_else(|said| panic!("{said}{}", log("dump")));
    view(&engine, id);
    let written = count(&engine);
    engine
        .start_by(&format!("checkpoint {words} ct{id}"))
        .unwrap_or_else(|said| panic!("{said}{}", log("dump")));
    wait_until("its end", || ids(&node).is_empty());
    traces.are_gone(&node);
    nothing_is_kept(&node);

    let bundle = engine.dir.path().display();
    engine
        .start_by(&format!("restore --detach --bundle {bundle} {words} ct{id}"))
        .unwrap_or_else(|said| panic!("{said}{}", log("restore")));
    goes_on(&node, &engine, id, peak);
    assert!(view(&engine, id).row("numfile")[4] >= failures);
    assert!(refused(&engine, id) > failures);
    wait_until("its going on", || count(&engine) > written);
    engine.kill();
    wait_until("its end", || ids(&node).is_empty());
    traces.are_gone(&node);
    nothing_is_kept(&node);
}

#[test]
fn podman_restores_a_container_with_its_view_and_its_counts() {
    common::stands_for("checkpoint and restore", "podman, CRIU");
    if common::skip() || !installed("podman") || !installed("runc") || !criu() {
        return;
    }
    let node = Node::start();
    let id = "90001824";
    let engine = Engine::podman_behind(&wrapper(&node, "runc", ""), id, &annotations(id));
    executable(&engine.root().join("init"), INIT);
    engine.start().unwrap();
    let peak = has_counted(&node, &engine, id);
    engine.start_by(&format!("container checkpoint ct{id}")).unwrap();
    wait_until("its end", || ids(&node).is_empty());
    engine.start_by(&format!("container restore ct{id}")).unwrap();
    goes_on(&node, &engine, id, peak);
    engine.kill();
    wait_until("its end", || ids(&node).is_empty());
}

//! Limits of containers that somebody else made: what the runtime set is
//! shown, and is there again when the container is let go.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::path::PathBuf;

use common::engine::{Engine, installed};
use common::{File, Node, text};
use serde_json::{Value, json};

const UNLIMITED: u64 = i64::MAX as u64;

/// Whether this machine imposes what these tests need.
fn skip() -> bool {
    common::skip() || !common::imposes("numproc") || !common::imposes("physpages")
}

/// A container of runc with limits of its own.
fn limited(id: &str) -> Engine {
    let engine = Engine::oci("runc", id, Value::Null);
    engine.configure(|config| {
        config["linux"]["resources"] = json!({
            "memory": { "limit": 64 << 20, "reservation": 16 << 20 },
            "pids": { "limit": 50 },
            "cpu": { "shares": 2048, "quota": 50_000, "period": 100_000 },
        });
    });
    engine
}

/// A file of its cgroup.
fn path(id: &str, name: &str) -> PathBuf {
    common::cgroup_mount().join(format!("ubctest-{id}")).join(name)
}

fn file(id: &str, name: &str) -> String {
    std::fs::read_to_string(path(id, name)).unwrap().trim().to_owned()
}

/// The file as the container reads it.
fn view(engine: &Engine) -> File {
    File::new(&engine.exec("cat /proc/user_beancounters"))
}

/// The same as the host reads it, which takes no runtime.
fn host_view(node: &Node) -> File {
    File::new(&std::fs::read_to_string(node.dir.path().join("proc/user_beancounters")).unwrap())
}

#[test]
fn limits_of_the_runtime_are_shown_with_who_set_them() {
    if skip() || !installed("runc") {
        return;
    }
    let node = Node::start();
    let id = "90000821";
    let engine = limited(id);
    engine.start().unwrap();
    node.done(&["view", "--attach", &engine.runc_init(), "--id", id]);
    let seen = view(&engine);
    assert_eq!(seen.row("numproc")[2..4], [50, 50]);
    assert_eq!(seen.row("physpages")[2..4], [16384, 16384]);
    assert_eq!(seen.row("oomguarpages")[2..4], [4096, UNLIMITED]);
    assert_eq!(seen.row("numfile")[2..4], [UNLIMITED; 2]);
    let shown = node.json(&["show", id, "--json"]);
    assert_eq!(shown["set_by"]["numproc"], "runtime");
    assert_eq!(shown["set_by"]["numfile"], "nobody");
    assert_eq!(shown["configured"]["numproc"], Value::Null);
    let by = |row: &str| node.json(&["show", id, "--json"])["status"][row]["enforced_by"].clone();
    assert_eq!(by("numproc"), "pids.max, set by the runtime");
    assert_eq!(by("physpages"), "memory.max, set by the runtime");
    let cpu = &shown["schedule"]["cpulimit"];
    assert_eq!((&cpu["configured"], &cpu["in_force"]), (&Value::Null, &"50000 100000".into()));

    // The runtime, or anybody, may change it: the kernel has the truth.
    std::fs::write(path(id, "pids.max"), "40").unwrap();
    assert_eq!(host_view(&node).row("numproc")[2..4], [40, 40]);
    assert_eq!(by("numproc"), "pids.max, set by somebody else");

    // What is set with ubc is ours, until somebody else changes that.
    node.done(&["set", id, "--numproc", "30:40", "--physpages", "0:96M"]);
    assert_eq!(host_view(&node).row("numproc")[2..4], [30, 40]);
    assert_eq!(host_view(&node).row("physpages")[2..4], [0, 24576]);
    assert_eq!(by("physpages"), "memory.max");
    let by_program = by("numproc") == "bpf numproc";
    assert!(by_program || by("numproc") == "pids.max", "{}", by("numproc"));
    std::fs::write(path(id, "pids.max"), "25").unwrap();
    assert_eq!(host_view(&node).row("numproc")[2..4], [25, 25]);
    std::fs::write(path(id, "pids.max"), "max").unwrap();
    // A program keeps to what it was told.
    let left = if by_program { [30, 40] } else { [UNLIMITED; 2] };
    assert_eq!(host_view(&node).row("numproc")[2..4], left);
}

#[test]
fn limits_podman_gave_are_shown_from_the_start() {
    if skip() || !installed("podman") {
        return;
    }
    let node = Node::start();
    let id = "90000822";
    let engine = Engine::podman(&node, id, "--memory 64m --pids-limit 50", None);
    engine.start().unwrap();
    let seen = view(&engine);
    assert_eq!(seen.row("numproc")[2..4], [50, 50]);
    assert_eq!(seen.row("physpages")[2..4], [16384, 16384]);
    assert_eq!(node.json(&["show", id, "--json"])["set_by"]["physpages"], "runtime");
}

#[test]
fn a_limit_above_that_of_the_cgroup_around_is_told_and_not_shown() {
    if skip() {
        return;
    }
    let node = Node::start();
    let (id, name) = ("90000824", "ubctest-around");
    let around = common::cgroup_mount().join(name);
    // As the daemon leaves it; nothing is in there yet.
    drop(std::fs::remove_dir(&around));
    std::fs::create_dir(&around).unwrap();
    std::fs::write(around.join("pids.max"), "30").unwrap();
    let mut container = node.container(id, &["--cgroup", name, "--numproc", "20"]);
    assert_eq!(container.file().row("numproc")[2..4], [20, 20]);
    let set = node.ubc(&["set", id, "--numproc", "40"]);
    let warning = text(&set.stderr);
    assert!(warning.contains("numproc: 40 is kept, but not imposed here: "), "{warning}");
    assert!(warning.contains("has 30"), "{warning}");
    assert_eq!(container.file().row("numproc")[2..4], [30, 30]);
    assert_eq!(node.json(&["show", id, "--json"])["configured"]["numproc"]["limit"], 40);
    let strict = node.ubc(&["set", id, "--strict", "--numproc", "50"]);
    assert_eq!(strict.status.code(), Some(78));
    std::fs::write(around.join("pids.max"), "max").unwrap();
    assert_eq!(container.file().row("numproc")[2..4], [40, 40]);
    assert_eq!(container.end(), Some(0));
    std::fs::remove_dir(&around).unwrap();
}

#[test]
fn a_container_that_is_let_go_has_the_limits_it_came_with() {
    if skip() || !installed("runc") || !common::applies("cpuunits") || !common::applies("iolimit") {
        return;
    }
    let node = Node::start();
    let id = "90000823";
    let engine = limited(id);
    engine.start().unwrap();
    let files = [
        "pids.max",
        "memory.max",
        "memory.high",
        "memory.low",
        "cpu.weight",
        "cpu.max",
        "io.max",
        "io.weight",
    ];
    let look = || files.map(|name| file(id, name));
    let before = look();
    let pid = engine.runc_init();
    let attach = || node.done(&["view", "--attach", &pid, "--id", id]);
    attach();
    let set = ["set", id, "--numproc", "30", "--physpages", "5000:96M", "--oomguarpages", "8M"];
    let knobs = ["--cpuunits", "3000", "--cpulimit", "75", "--iolimit", "9M", "--ioprio", "1"];
    node.done(&[&set[..], &knobs[..]].concat());
    for (name, (now, before)) in files.iter().zip(look().iter().zip(&before)) {
        assert_ne!(now, before, "{name}");
    }
    node.done(&["view", "--detach", id]);
    assert_eq!(look(), before);

    // But not what somebody else has changed meanwhile.
    attach();
    node.done(&["set", id, "--numproc", "30", "--cpuunits", "3000"]);
    std::fs::write(path(id, "pids.max"), "35").unwrap();
    node.done(&["view", "--detach", id]);
    assert_eq!(file(id, "pids.max"), "35");
    assert_eq!(file(id, "cpu.weight"), before[4]);

    // Nothing is given back to a container that was never changed.
    attach();
    std::fs::write(path(id, "pids.max"), "45").unwrap();
    node.done(&["view", "--detach", id]);
    assert_eq!(file(id, "pids.max"), "45");
    assert_eq!(engine.exec("cat /proc/1/comm"), "init\n");
}

//! Container engines with `ubc runtime` in the place of their runtime, or with the hook or
//! unit where they have none: what holds with each of them, as a table. Heavy: each engine
//! starts what it takes to run containers.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::engine::behind::{NUMFILE, annotations, configured, ids, oci, wrapper};
use common::engine::cri::Pod;
use common::engine::daemons::{Daemon, Nspawn};
use common::engine::traces::Traces;
use common::engine::{Engine, installed};
use common::{File, Node, wait_until};

/// What is shown of each engine, in the order in which it is.
const COLUMNS: [&str; 5] =
    ["view", "refused at the call", "failcnt", "container killed -9", "daemon killed -9"];

/// One row of the table, told when its test ends, however that is.
struct Row {
    name: String,
    /// Of each column that was looked at, what was seen.
    cells: Vec<&'static str>,
}

impl Row {
    fn of(name: &str) -> Row {
        Row { name: name.to_owned(), cells: Vec::new() }
    }

    /// The next column is as it should be.
    fn yes(&mut self) {
        self.cells.push("yes");
    }

    /// The next column cannot be looked at.
    fn skipped(&mut self) {
        self.cells.push("skipped");
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        for (at, column) in COLUMNS.iter().enumerate() {
            let told = match self.cells.get(at) {
                Some(told) => told,
                None if failed && at == self.cells.len() => "FAILED",
                None if failed => "not reached",
                None => "skipped",
            };
            println!("CELL: engines | {} | {column} | {told}", self.name);
        }
    }
}

/// What is run in a container: each entry takes an emulated machine seconds.
const TOLD: &str = "#!/bin/sh\nPATH=/bin\ncat /proc/user_beancounters\necho ----\nrefused numfile 2>&1\n\
                    echo ----\ncat /proc/user_beancounters\n";

/// Puts what is run in it into a container's root file system.
fn furnish(root: &Path) {
    use std::os::unix::fs::PermissionsExt as _;

    common::install_example("refused", root);
    let path = root.join("bin/told");
    std::fs::write(&path, TOLD).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// What its annotations asked for is there, and refused beyond.
fn has_what_it_is_to_have(node: &Node, engine: &Engine, id: &str, row: &mut Row) {
    let refuses = common::imposes("numfile");
    // Where nothing refuses it would take its time.
    let told = engine.exec(if refuses { "/bin/told" } else { "/bin/cat /proc/user_beancounters" });
    let mut parts = told.split("----\n");
    let mut part = || parts.next().unwrap_or_default();
    let (before, said, after) = (part(), part(), part());
    assert!(before.starts_with("Version: 2.5\n") && before.contains(&format!("{id}:")), "{told}");
    row.yes();
    if !refuses {
        row.skipped();
        row.skipped();
        return;
    }
    assert_eq!(File::new(before).row("numfile")[2..], [NUMFILE, NUMFILE, 0], "{told}");
    assert!(said.contains("(os error 23)"), "{told}");
    row.yes();
    let [_, maxheld, .., failcnt] = File::new(after).row("numfile");
    assert_eq!(maxheld, NUMFILE, "{told}");
    assert!(said.trim_end().ends_with(&format!("failcnt 0 -> {failcnt}")), "{told}");
    let rows = node.json(&["show", id, "--json"])["reading"]["rows"]["numfile"].clone();
    assert_eq!(rows["failcnt"], failcnt, "{rows}");
    row.yes();
}

/// Two lives of a container, one ended by force; the daemon is killed in the other.
fn check(node: &mut Node, engine: &Engine, places: &[&Path], id: &str, row: &mut Row) {
    furnish(&engine.root());
    lives(node, engine, places, id, row);
}

fn lives(node: &mut Node, engine: &Engine, places: &[&Path], id: &str, row: &mut Row) {
    let places: Vec<&Path> = places.iter().copied().chain([engine.dir.path()]).collect();
    let before = Traces::before(node, &places);
    engine.start().unwrap();
    let traces = before.clone().of(node, id);
    has_what_it_is_to_have(node, engine, id, row);
    kill_9(&node.init(id));
    wait_until("its end", || ids(node).is_empty());
    engine.kill();
    traces.are_gone(node);
    row.yes();

    engine.start().unwrap();
    let traces = before.of(node, id);
    let init = PathBuf::from("/proc").join(node.init(id));
    node.kill_daemon();
    assert!(init.exists(), "the container has ended with the daemon");
    node.start_daemon();
    assert_eq!(ids(node), [id.parse::<u64>().unwrap()]);
    let again = engine.exec("/bin/cat /proc/user_beancounters");
    assert!(again.contains(&format!("{id}:")), "{again}");
    if common::imposes("numfile") {
        assert_eq!(File::new(&again).row("numfile")[2..4], [NUMFILE, NUMFILE], "{again}");
    }
    engine.kill();
    wait_until("its end", || ids(node).is_empty());
    traces.are_gone(node);
    row.yes();
}

fn kill_9(pid: &str) {
    common::output(Command::new("kill").args(["-9", pid]));
}

fn a_bundle(real: &str, id: &str) {
    let mut row = Row::of(real);
    if common::skip() || !installed(real) {
        return;
    }
    let mut node = Node::start();
    let engine = oci(&node, real, id);
    check(&mut node, &engine, &[], id, &mut row);
}

#[test]
fn runc_leaves_nothing_when_it_is_killed() {
    a_bundle("runc", "90001801");
}

#[test]
fn crun_leaves_nothing_when_it_is_killed() {
    a_bundle("crun", "90001802");
}

#[test]
fn youki_leaves_nothing_when_it_is_killed() {
    a_bundle("youki", "90001803");
}

#[test]
fn podman_leaves_nothing_when_it_is_killed() {
    let mut row = Row::of("podman");
    if common::skip() || !installed("podman") || !installed("crun") {
        return;
    }
    let mut node = Node::start();
    let id = "90001811";
    let engine = Engine::podman_behind(&wrapper(&node, "crun", ""), id, &annotations(id));
    check(&mut node, &engine, &[], id, &mut row);
}

#[test]
fn containerd_leaves_nothing_when_it_is_killed() {
    let mut row = Row::of("containerd");
    if common::skip() || !installed("containerd") {
        return;
    }
    let mut node = Node::start();
    let id = "90001812";
    let daemon = Daemon::containerd("disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n");
    let engine = Engine::ctr(&daemon, &wrapper(&node, "runc", ""), id, &annotations(id));
    check(&mut node, &engine, &[daemon.dir()], id, &mut row);
}

#[test]
fn a_kubelets_pod_leaves_nothing_when_it_is_killed() {
    let mut row = Row::of("Kubernetes (CRI)");
    if common::skip() || !installed("containerd") || !installed("curl") {
        return;
    }
    let node = Node::start();
    let id = "90001815";
    let mut pod = Pod::new(&wrapper(&node, "runc", ""), furnish);
    let refused = pod.start(&[("org.openvz.ubc.numfile", "many".to_owned())]).err().unwrap();
    assert!(refused.contains("annotation org.openvz.ubc.numfile"), "{refused}");
    assert_eq!(ids(&node), [0; 0]);
    pod.remove();
    let before = Traces::before(&node, &[pod.dir()]);
    let engine = pod.start(&annotations(id)).unwrap();
    // The one that holds the namespaces is nobody's.
    assert_eq!(ids(&node), [id.parse::<u64>().unwrap()]);
    let traces = before.of(&node, id);
    has_what_it_is_to_have(&node, &engine, id, &mut row);
    kill_9(&node.init(id));
    wait_until("its end", || ids(&node).is_empty());
    pod.remove();
    traces.are_gone(&node);
    row.yes();
}

#[test]
fn docker_leaves_nothing_when_it_is_killed() {
    let mut row = Row::of("docker");
    if common::skip() || !installed("dockerd") || !installed("docker") {
        return;
    }
    let mut node = Node::start();
    let id = "90001813";
    let daemon = Daemon::docker(&wrapper(&node, "runc", ""));
    let engine = Engine::docker(&daemon, id, &annotations(id));
    furnish(&engine.root());
    engine.import();
    lives(&mut node, &engine, &[daemon.dir()], id, &mut row);
}

#[test]
fn lxc_leaves_nothing_when_it_is_killed() {
    let mut row = Row::of("LXC");
    if common::skip() || !installed("lxc-start") {
        return;
    }
    let mut node = Node::start();
    let id = "90001814";
    let ubc = configured(&node, id);
    let engine = Engine::lxc_with(&ubc, id);
    check(&mut node, &engine, &[], id, &mut row);
}

#[test]
fn nspawn_leaves_nothing_when_it_is_killed() {
    let mut row = Row::of("systemd-nspawn");
    if common::skip() || !installed("systemd-nspawn") {
        return;
    }
    if !Path::new("/run/systemd/system").exists() {
        println!("SKIP: systemd is not this machine's init");
        return;
    }
    let mut node = Node::start();
    // The first number, which the name then keeps.
    let id = "10000000";
    let (_units, engine) = Nspawn::of(&configured(&node, id), "ubctest");
    check(&mut node, &engine, &[], id, &mut row);
}

//! Containers come, change and go, and nothing of them stays.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::{File, Node, output, text, wait_until};

/// The directory of a container's cgroup.
fn cgroup(id: &str) -> PathBuf {
    common::cgroup_mount().join("ubc").join(id)
}

fn assert_gone(node: &Node, id: &str) {
    assert!(!cgroup(id).exists(), "the cgroup stayed");
    assert!(!node.home(id).exists(), "its directory stayed");
    let names = std::fs::read_dir(node.dir.path().join("proc/bc")).unwrap();
    assert!(names.map(|name| name.unwrap().file_name()).all(|name| name != id));
    assert_eq!(node.ubc(&["show", id]).status.code(), Some(66));
}

#[test]
fn the_exit_code_is_the_commands_and_nothing_stays() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)] {
        // As a child: the kernel protects an init from its own signals.
        let script = format!("sh -c '{script}'; exit $?");
        let output = node.ubc(&["run", "--id", "90000201", "--", "sh", "-c", &script]);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        assert_gone(&node, "90000201");
    }
}

#[test]
fn a_command_that_is_not_there_leaves_nothing_behind() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let output = node.ubc(&["run", "--id", "90000202", "--", "/no/such/command"]);
    assert_eq!(output.status.code(), Some(71));
    let error = text(&output.stderr);
    assert!(error.contains("/no/such/command"), "{error}");
    assert_gone(&node, "90000202");
}

#[test]
fn a_container_sees_itself_and_nobody_else() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let mut one = node.container("90000203", &[]);
    let mut other = node.container("90000204", &[]);
    other.hold("ptys=5");
    for (container, id, ptys) in [(&mut one, "90000203", 0), (&mut other, "90000204", 5)] {
        let uids = container.sh("grep -o '[0-9][0-9]*:' /proc/user_beancounters");
        assert_eq!(uids, format!("{id}:"));
        assert_eq!(container.sh("ls /proc/bc"), format!("{id}\nresources"));
        assert_eq!(container.file().held("numpty"), ptys);
    }
    // The host sees both, the newer first.
    let host = std::fs::read_to_string(node.dir.path().join("proc/user_beancounters")).unwrap();
    let newer = host.find("90000204:").unwrap();
    assert!(newer < host.find("90000203:").unwrap());
}

#[test]
fn an_id_in_use_is_refused_and_its_container_left_alone() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let mut container = node.container("90000205", &[]);
    let again = node.ubc(&["run", "--id", "90000205", "--", "true"]);
    assert_eq!(again.status.code(), Some(73));
    assert!(text(&again.stderr).contains("90000205 is in use"));
    assert_eq!(container.file().held("numproc"), 2);
    // Also by another daemon, which does not know the container.
    let stranger = Node::start();
    let again = stranger.ubc(&["run", "--id", "90000205", "--", "true"]);
    assert_eq!(again.status.code(), Some(73));
    assert_eq!(container.file().held("numproc"), 2);
    assert_eq!(container.end(), Some(0));
}

#[test]
fn a_limit_is_in_the_file_only_if_something_imposes_it() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let id = "90000206";
    let doctor: serde_json::Value =
        serde_json::from_str(&output(Command::new(common::UBC).args(["doctor", "--json"])))
            .unwrap();
    let mut container = node.container(id, &["--numproc", "40", "--numfile", "500:600"]);
    node.done(&["set", id, "--numproc", "60"]);
    let shown = node.json(&["show", id, "--json"]);
    for (row, limits) in [("numproc", [60, 60]), ("numfile", [500, 600])] {
        let configured = &shown["configured"][row];
        assert_eq!([&configured["barrier"], &configured["limit"]], limits);
        let imposed = doctor["rows"][row]["enforced"].as_bool().unwrap();
        let expected = if imposed { limits } else { [i64::MAX as u64; 2] };
        assert_eq!(container.file().row(row)[2..4], expected, "{row}");
    }
    // One row can be imposed nowhere, so nothing of this may happen.
    let strict = node.ubc(&["set", id, "--strict", "--numproc", "50", "--lockedpages", "1"]);
    assert_eq!(strict.status.code(), Some(78));
    assert_eq!(node.json(&["show", id, "--json"])["configured"], shown["configured"]);
}

#[test]
fn a_killed_command_does_not_take_its_running_container_along() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let id = "90000207";
    let mut run = node
        .command(&["run", "--id", id, "--", "sh", "-c", "sleep 600; exit 5"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // In one look: the container may end between two.
    let running = || {
        let output = node.ubc(&["show", id, "--json"]);
        output.status.success() && !text(&output.stdout).contains("\"pid\":null")
    };
    wait_until("the container", running);
    wait_until("its command", || {
        let comm = std::fs::read_to_string(format!("/proc/{}/comm", node.init(id)));
        comm.is_ok_and(|name| name == "sh\n")
    });
    let init = node.init(id);
    run.kill().unwrap();
    run.wait().unwrap();
    let file = output(Command::new("nsenter").args([
        "-t",
        &init,
        "-m",
        "-p",
        "cat",
        "/proc/user_beancounters",
    ]));
    assert!(File::new(&file).held("numproc") >= 2);
    // Its end is noticed all the same.
    output(Command::new("kill").args(["-9", &init]));
    wait_until("the end", || !running());
    wait_until("the clearing up", || !node.home(id).exists());
    assert_gone(&node, id);
}

#[test]
fn signals_reach_the_command() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let id = "90000208";
    let script = "trap 'exit 42' TERM; echo ready; while :; do sleep 0.1; done";
    let mut run = node
        .command(&["run", "--id", id, "--", "sh", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(run.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    assert_eq!(line, "ready\n");
    output(Command::new("kill").args(["-TERM", &run.id().to_string()]));
    assert_eq!(run.wait().unwrap().code(), Some(42));
    assert_gone(&node, id);
}

#[test]
fn a_root_file_system_of_ones_own_is_used_and_kept() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let rootfs = tempfile::tempdir().unwrap();
    for dir in ["bin", "proc", "dev", "sys"] {
        std::fs::create_dir(rootfs.path().join(dir)).unwrap();
    }
    std::fs::copy("/bin/busybox", rootfs.path().join("bin/busybox")).unwrap();
    let path = rootfs.path().to_str().unwrap();
    let script = "cat /proc/user_beancounters; echo kept > /mark";
    let args = ["run", "--id", "90000209", "--rootfs", path, "--", "/bin/busybox", "sh", "-c"];
    let file =
        node.done(&[&args[..], &[&format!("alias cat='busybox cat'; busybox {script}")]].concat());
    File::new(&file);
    assert_eq!(std::fs::read_to_string(rootfs.path().join("mark")).unwrap(), "kept\n");
    assert_gone(&node, "90000209");
}

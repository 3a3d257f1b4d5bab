//! The view appears in containers of the runtimes that are installed, by their
//! own hooks and nothing else.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use common::engine::{Engine, hook, installed};
use common::{File, Node, UBC, text, wait_until};
use serde_json::{Value, json};

/// The hooks of a bundle.
fn hooks(dir: &Path, stage: &str) -> Value {
    json!({
        stage: [{ "path": UBC, "args": hook(dir, &[stage]) }],
        "poststop": [{ "path": UBC, "args": hook(dir, &["poststop"]) }],
    })
}

/// How many tasks are in the cgroup of a process, counted from /proc.
fn tasks(pid: &str) -> u64 {
    let cgroup = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/cgroup"));
    let own = cgroup(pid).unwrap();
    let mut count = 0;
    for entry in std::fs::read_dir("/proc").unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.parse::<u32>().is_ok() && cgroup(&name).is_ok_and(|text| text == own) {
            count += std::fs::read_dir(format!("/proc/{name}/task")).map_or(0, Iterator::count);
        }
    }
    count as u64
}

/// Whether any thread of the daemon serves a container's view.
fn is_served(node: &Node) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", node.daemon_pid())).unwrap();
    let mut names = tasks.filter_map(|task| {
        // It may end meanwhile.
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
    });
    names.any(|name| name.starts_with("ubc-view-") && name != "ubc-view-host\n")
}

/// One more process in a cgroup, which is to be the last one; it tries to fork.
fn fork_over_the_limit(cgroup: &Path, limit: impl FnOnce()) {
    let mut command = Command::new("sh");
    command.args(["-c", "read go; sleep 0; true"]).stdin(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    std::fs::write(cgroup.join("cgroup.procs"), child.id().to_string()).unwrap();
    limit();
    drop(child.stdin.take().unwrap().write_all(b"go\n"));
    assert!(!child.wait().unwrap().success(), "it could fork");
}

/// From the start of a container to its end.
fn check(node: &Node, engine: &Engine, id: &str) {
    engine.start().unwrap();
    let file = engine.exec("cat /proc/user_beancounters");
    assert!(file.starts_with("Version: 2.5\n") && file.contains(&format!("{id}:")), "{file}");
    assert!(File::new(&file).held("numproc") >= 3, "{file}");
    assert_eq!(engine.exec("cat /proc/1/comm"), "init\n");
    assert!(is_served(node));

    let pid = node.init(id);
    let shown = || node.json(&["show", id, "--json"])["reading"]["rows"]["numproc"]["held"].clone();
    wait_until("the init's children and no others", || tasks(&pid) == 3 && shown() == 3);

    // Its cgroup is the runtime's, and takes limits all the same.
    if common::imposes("numproc") {
        node.done(&["set", id, "--numproc", "30"]);
        assert_eq!(File::new(&engine.exec("cat /proc/user_beancounters")).row("numproc")[3], 30);
        let shown = node.json(&["show", id, "--json"])["cgroup"].clone();
        let cgroup = common::cgroup_mount().join(shown.as_str().unwrap());
        assert_eq!(std::fs::read_to_string(cgroup.join("pids.max")).unwrap(), "30\n");
        fork_over_the_limit(&cgroup, || drop(node.done(&["set", id, "--numproc", "4"])));
        // Runtimes need room to enter.
        node.done(&["set", id, "--numproc", "unlimited"]);
        assert_eq!(File::new(&engine.exec("cat /proc/user_beancounters")).row("numproc")[4], 1);
    }

    // Twice is once too often, whoever asks; the first stays.
    let again = node.ubc(&["view", "--attach", &pid]);
    assert_eq!(again.status.code(), Some(73), "{}", text(&again.stderr));
    assert!(engine.exec("cat /proc/user_beancounters").contains(&format!("{id}:")));

    // Let go and taken back, by hand.
    node.done(&["view", "--detach", id]);
    assert!(!engine.exec("ls /proc").contains("user_beancounters"));
    assert_eq!(node.done(&["view", "--attach", &pid, "--id", id]), format!("{id}\n"));
    assert!(engine.exec("cat /proc/user_beancounters").contains(&format!("{id}:")));

    engine.kill();
    wait_until("its end", || node.ubc(&["show", id]).status.code() == Some(66));
    wait_until("the end of its view", || !is_served(node));
    assert_eq!(node.json(&["list", "--json"]), json!([]));
}

fn oci(program: &str, id: &str, stage: &str) {
    common::stands_for("runtimes", program);
    if common::skip() || !installed(program) {
        return;
    }
    let node = Node::start();
    check(&node, &Engine::oci(program, id, hooks(node.dir.path(), stage)), id);
}

#[test]
fn runc_with_a_hook_in_its_bundle() {
    oci("runc", "90000801", "createRuntime");
}

#[test]
fn crun_with_a_hook_in_its_bundle() {
    oci("crun", "90000802", "createRuntime");
}

#[test]
fn youki_with_a_hook_in_its_bundle() {
    oci("youki", "90000809", "createRuntime");
}

#[test]
fn runc_with_the_older_prestart_hook() {
    oci("runc", "90000803", "prestart");
}

#[test]
fn podman_with_a_hooks_directory() {
    common::stands_for("runtimes", "podman");
    if common::skip() || !installed("podman") {
        return;
    }
    let node = Node::start();
    check(&node, &Engine::podman(&node, "90000804", "", None), "90000804");
}

#[test]
fn podman_with_a_user_namespace() {
    common::stands_for("runtimes", "podman --uidmap");
    if common::skip() || !installed("podman") {
        return;
    }
    let node = Node::start();
    let map = "--uidmap 0:100000:65536 --gidmap 0:100000:65536";
    let engine = Engine::podman(&node, "90000805", map, Some(100_000));
    check(&node, &engine, "90000805");
}

#[test]
fn lxc_with_a_start_host_hook() {
    common::stands_for("runtimes", "LXC");
    if common::skip() || !installed("lxc-start") {
        return;
    }
    let node = Node::start();
    check(&node, &Engine::lxc(&node, "90000806"), "90000806");
}

#[test]
fn a_container_that_runs_already_is_taken_over_by_hand_and_let_go() {
    if common::skip() || !installed("runc") {
        return;
    }
    let node = Node::start();
    let engine = Engine::oci("runc", "90000807", Value::Null);
    engine.start().unwrap();
    let pid = engine.runc_init();
    let numbered = node.done(&["view", "--attach", &pid]);
    assert_eq!(numbered, "10000000\n", "the first free number");
    assert!(engine.exec("cat /proc/user_beancounters").contains("10000000:"));
    for name in [&pid, "10000000"] {
        node.done(&["view", "--detach", name]);
        // Gone, or the kernel's own and empty.
        let left = engine.exec("sh -c cat</proc/user_beancounters||true");
        assert!(!left.contains("Version"), "{left}");
        wait_until("the end of the view", || !is_served(&node));
        let again = ["view", "--attach", &pid, "--id", "10000000"];
        assert_eq!(node.done(&again), "10000000\n");
    }
    // The end of the daemon's interest is not the end of the container.
    node.done(&["view", "--detach", "10000000"]);
    assert_eq!(engine.exec("cat /proc/1/comm"), "init\n");
}

#[test]
fn a_container_whose_init_moved_to_a_nested_cgroup_is_counted_whole() {
    if common::skip() || !installed("runc") {
        return;
    }
    let node = Node::start();
    let engine = Engine::oci("runc", "90000808", Value::Null);
    engine.configure(|config| {
        let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "cgroup");
        namespaces.push(json!({ "type": "cgroup" }));
    });
    engine.start().unwrap();
    let pid = engine.runc_init();
    // As systemd does inside.
    let nested = common::cgroup_mount().join("ubctest-90000808/init.scope");
    std::fs::create_dir(&nested).unwrap();
    std::fs::write(nested.join("cgroup.procs"), &pid).unwrap();
    node.done(&["view", "--attach", &pid, "--id", "90000808"]);
    let shown = node.json(&["show", "90000808", "--json"]);
    assert_eq!(shown["cgroup"], "ubctest-90000808");
    // Its other two processes may still be on their way.
    wait_until("all three processes", || {
        let shown = node.json(&["show", "90000808", "--json"]);
        shown["reading"]["rows"]["numproc"]["held"] == 3
    });
    node.done(&["view", "--detach", "90000808"]);
}

#[test]
fn who_may_unmount_the_view_may_unmount_the_masks_as_well() {
    if common::skip() || !installed("podman") {
        return;
    }
    let node = Node::start();
    let map = "--uidmap 0:100000:65536 --gidmap 0:100000:65536";
    // Without the right to mount: nothing of either.
    let engine = Engine::podman(&node, "90000815", map, Some(100_000));
    engine.start().unwrap();
    for path in ["/proc", "/proc/.proc", "/proc/keys", "/proc/.proc/keys"] {
        engine.try_exec(&format!("busybox umount -l {path}"));
    }
    assert!(engine.exec("cat /proc/user_beancounters").contains("90000815:"));
    let null = engine.exec("stat -L -c %t,%T /dev/null");
    assert_eq!(engine.exec("stat -L -c %t,%T /proc/keys"), null);
    assert_eq!(engine.exec("stat -L -c %t,%T /proc/.proc/keys"), null);
    engine.kill();
    wait_until("its end", || node.ubc(&["show", "90000815"]).status.code() == Some(66));
    // With it, in a user namespace that owns its mounts.
    let options = format!("{map} --cap-add SYS_ADMIN");
    let engine = Engine::podman(&node, "90000815", &options, Some(100_000));
    engine.start().unwrap();
    assert_eq!(engine.exec("stat -L -c %t,%T /proc/keys"), null);
    engine.exec("busybox umount /proc/keys");
    assert_ne!(engine.exec("stat -L -c %t,%T /proc/keys"), null);
    engine.exec("busybox umount -l /proc");
    assert!(!engine.exec("ls /proc").contains("user_beancounters"));
    engine.kill();
}

#[test]
fn the_runtimes_masks_stay_when_the_view_goes() {
    for (runtime, id) in [("runc", "90000813"), ("crun", "90000814")] {
        if common::skip() || !installed(runtime) {
            return;
        }
        let node = Node::start();
        // Its hook runs before it makes the masks.
        let engine = Engine::oci(runtime, id, hooks(node.dir.path(), "createRuntime"));
        engine.start().unwrap();
        let null = engine.exec("stat -L -c %t,%T /dev/null");
        let masked = |path: &str| engine.exec(&format!("stat -L -c %t,%T {path}"));
        assert_eq!(
            (masked("/proc/keys"), masked("/proc/.proc/keys")),
            (null.clone(), null.clone())
        );
        node.done(&["view", "--detach", id]);
        assert!(!engine.exec("ls /proc").contains("user_beancounters"));
        assert_eq!(masked("/proc/keys"), null);
        let read_only = engine.exec("grep /proc/sys /proc/self/mounts");
        assert!(read_only.contains(" ro,"), "{read_only}");
    }
}

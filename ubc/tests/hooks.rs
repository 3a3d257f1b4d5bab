//! A hook that cannot do its work says so in one line, and leaves nothing.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use common::engine::{Engine, hook, installed};
use common::{Node, UBC, text, wait_until};
use serde_json::{Value, json};

/// What the hook answers to a state.
fn told(node: &Node, args: &[&str], state: &[u8]) -> Output {
    let mut child: Child = node
        .command(&[&["hook"], args].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may refuse before it has read all.
    drop(child.stdin.take().unwrap().write_all(state));
    child.wait_with_output().unwrap()
}

fn createruntime(node: &Path, on_error: &str) -> Value {
    json!({ "createRuntime": [{ "path": UBC, "args": hook(node, &["--on-error", on_error]) }] })
}

#[test]
fn bad_states_get_one_line_and_a_code_or_a_warning() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let bundle = tempfile::tempdir().unwrap();
    let config = json!({ "root": { "path": "rootfs" } }).to_string();
    std::fs::write(bundle.path().join("config.json"), config).unwrap();
    let state = |pid: u32, bundle: &Path| {
        json!({ "id": "x", "status": "creating", "pid": pid, "bundle": bundle }).to_string()
    };
    let mut dead = Command::new("true").spawn().unwrap();
    dead.wait().unwrap();
    for (state, code, says) in [
        ("{".to_owned(), 64, "not as OCI has it"),
        (String::new(), 64, "not as OCI has it"),
        ("x".repeat(5 << 20), 64, "longer than"),
        ("{}".to_owned(), 64, "no usable \"id\""),
        (state(0, bundle.path()), 64, "no usable \"pid\""),
        (state(dead.id(), bundle.path()), 66, "no live process"),
        (state(1, Path::new("/no/such/bundle")), 66, "/no/such/bundle/config.json"),
        (state(1, Path::new("here")), 64, "no usable \"bundle\""),
        (state(std::process::id(), bundle.path()), 64, "is in no container"),
    ] {
        for (args, code) in [(&["createRuntime"][..], code), (&["--on-error=warn"], 0)] {
            let output = told(&node, args, state.as_bytes());
            let error = text(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{error}");
            assert!(error.starts_with("ubc: ") && error.contains(says), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
    assert_eq!(told(&node, &["createContainer"], b"{}").status.code(), Some(64));
    assert_eq!(told(&node, &["--lxc"], b"").status.code(), Some(64));
    // Nothing to clear up is no failure.
    let stopped = br#"{"id":"x","status":"stopped"}"#;
    assert_eq!(told(&node, &["poststop"], stopped).status.code(), Some(0));
    assert_eq!(told(&node, &[], stopped).status.code(), Some(0));
    assert_eq!(node.json(&["list", "--json"]), json!([]));
}

#[test]
fn a_container_without_proc_does_not_start_or_starts_with_a_warning() {
    if common::skip() || !installed("runc") {
        return;
    }
    let node = Node::start();
    for (id, on_error) in [("90000901", "fail"), ("90000902", "warn")] {
        let engine = Engine::oci("runc", id, createruntime(node.dir.path(), on_error));
        engine.configure(|config| {
            let mounts = config["mounts"].as_array_mut().unwrap();
            mounts.retain(|mount| mount["destination"] != "/proc");
            config["linux"].as_object_mut().unwrap().remove("maskedPaths");
            config["linux"].as_object_mut().unwrap().remove("readonlyPaths");
        });
        let started = engine.start();
        if on_error == "fail" {
            let said = started.unwrap_err();
            assert!(said.contains("is not the root of a procfs"), "{said}");
        } else if let Err(said) = started {
            // runc itself wants /proc for some of what it does.
            assert!(!said.contains("hook"), "{said}");
        }
        wait_until("nothing of it", || node.json(&["list", "--json"]) == json!([]));
    }
}

#[test]
fn a_link_for_proc_in_the_root_file_system_leads_nowhere() {
    if common::skip() || !installed("crun") {
        return;
    }
    let node = Node::start();
    let engine = Engine::oci("crun", "90000903", createruntime(node.dir.path(), "fail"));
    let root = engine.dir.path().join("rootfs");
    std::fs::remove_dir(root.join("proc")).unwrap();
    std::os::unix::fs::symlink("/sys", root.join("proc")).unwrap();
    assert!(engine.start().is_err());
    wait_until("nothing of it", || node.json(&["list", "--json"]) == json!([]));
}

#[test]
fn the_same_id_twice_is_refused_and_the_first_lives() {
    if common::skip() || !installed("runc") {
        return;
    }
    let node = Node::start();
    let hooks = || createruntime(node.dir.path(), "fail");
    let first = Engine::oci("runc", "90000904", hooks());
    first.start().unwrap();
    let second = Engine::oci("runc", "90000905", hooks());
    second.configure(|config| {
        config["annotations"]["org.openvz.ubc.ctid"] = "90000904".into();
    });
    let said = second.start().unwrap_err();
    assert!(said.contains("90000904 is in use"), "{said}");
    assert!(first.exec("cat /proc/user_beancounters").contains("90000904:"));
}

#[test]
fn a_daemon_started_by_a_hook_outlives_runc_and_holds_nothing_of_it() {
    starts_daemon("runc", "90000906");
}

#[test]
fn a_daemon_started_by_a_hook_outlives_crun_and_its_blocked_signals() {
    starts_daemon("crun", "90000910");
}

#[test]
fn a_daemon_started_by_a_hook_outlives_youki() {
    starts_daemon("youki", "90000911");
}

fn starts_daemon(program: &str, id: &str) {
    // They share a cgroup, and the last one removes it.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    if common::skip() || !installed(program) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let ubc = |args: &[&str]| {
        let output = Command::new(UBC).arg("--run-dir").arg(dir.path()).args(args).output();
        text(&output.unwrap().stdout)
    };
    // Whose mounts end with it.
    let engine = Engine::oci(program, id, createruntime(dir.path(), "fail"));
    let engine = engine.within("unshare --mount");
    engine.start().unwrap();
    assert!(ubc(&["list"]).contains(id));
    let lock = std::fs::metadata(dir.path().join("lock")).unwrap();
    let said = engine.dir.path().join("said");
    let mut daemons = 0;
    for entry in std::fs::read_dir("/proc").unwrap() {
        let process = entry.unwrap().path();
        let Ok(fds) = std::fs::read_dir(process.join("fd")) else { continue };
        let open: Vec<_> = fds.filter_map(|fd| std::fs::metadata(fd.ok()?.path()).ok()).collect();
        if !open.iter().any(|file| same(file, &lock)) {
            continue;
        }
        daemons += 1;
        let output = std::fs::metadata(&said).unwrap();
        assert!(!open.iter().any(|file| same(file, &output)), "holds the runtime's output");
        assert_eq!(std::fs::read_link(process.join("cwd")).unwrap(), Path::new("/"));
        let cgroup = std::fs::read_to_string(process.join("cgroup")).unwrap();
        assert!(cgroup.contains("0::/ubc/daemon\n"), "{cgroup}");
        // Init's may be out of reach.
        let mounts = |process: &Path| std::fs::read_link(process.join("ns/mnt"));
        if let Ok(init) = mounts(Path::new("/proc/1")) {
            assert_eq!(mounts(&process).unwrap(), init);
        }
        let pid = process.file_name().unwrap().to_str().unwrap();
        engine.kill();
        wait_until("the container's end", || !ubc(&["list"]).contains(id));
        common::output(Command::new("kill").arg(pid));
        wait_until("the daemon's end", || !process.exists());
        let cgroup = common::cgroup_mount().join("ubc/daemon");
        wait_until("the end of its cgroup", || !cgroup.exists());
    }
    assert_eq!(daemons, 1);
}

#[test]
fn a_named_container_has_its_id_again_when_daemon_and_container_were_restarted() {
    if common::skip() || !installed("runc") {
        return;
    }
    let mut node = Node::start();
    let engine = |name: &str| {
        let engine = Engine::oci("runc", name, createruntime(node.dir.path(), "fail"));
        engine.configure(|config| drop(config.as_object_mut().unwrap().remove("annotations")));
        engine
    };
    let engines = [engine("90000907"), engine("90000908"), engine("90000909")];
    let ids = |node: &Node| {
        let list = node.json(&["list", "--json"]);
        let mut ids: Vec<u64> =
            list.as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect();
        ids.sort_unstable();
        ids
    };
    for (engine, all) in engines.iter().zip([1, 2]) {
        engine.start().unwrap();
        assert_eq!(ids(&node), (10_000_000..).take(all).collect::<Vec<_>>());
    }
    for engine in &engines[..2] {
        engine.kill();
    }
    wait_until("their ends", || ids(&node).is_empty());
    node.restart_daemon();
    // Whoever comes first, and a new one does not get an id that was another's.
    engines[1].start().unwrap();
    assert_eq!(ids(&node), [10_000_001]);
    engines[2].start().unwrap();
    assert_eq!(ids(&node), [10_000_001, 10_000_002]);
    engines[0].start().unwrap();
    assert_eq!(ids(&node), [10_000_000, 10_000_001, 10_000_002]);
}

fn same(one: &std::fs::Metadata, other: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

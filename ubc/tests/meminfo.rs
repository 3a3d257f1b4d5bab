//! A container's own /proc/meminfo, as the programs that people use read it.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::path::Path;

use common::engine::{Engine, hook, installed};
use common::{Node, UBC};
use serde_json::{Value, json};

/// 256 MiB in KiB; the size that the tests give, in pages of 4 KiB.
const GIVEN: u64 = 256 * 1024;
const SIZE: &str = "pages:65536";

/// A runc container that has the host's programs, and the hook with these
/// options.
fn with_procps(node: &Node, id: &str, options: &[&str]) -> Engine {
    let args = hook(node.dir.path(), options);
    let hooks = json!({ "createRuntime": [{ "path": UBC, "args": args }] });
    let engine = Engine::oci("runc", id, hooks);
    for dir in ["usr", "lib", "lib64"] {
        let from = Path::new("/").join(dir).canonicalize().unwrap();
        std::fs::create_dir_all(engine.dir.path().join("rootfs").join(dir)).unwrap();
        engine.bind(from.to_str().unwrap(), &format!("/{dir}"));
    }
    engine
}

fn skip() -> bool {
    common::skip() || !installed("runc") || !installed("free")
}

/// The numbers of a line that begins so.
fn numbers(text: &str, start: &str) -> Vec<u64> {
    let line = text.lines().find(|line| line.starts_with(start));
    let line = line.unwrap_or_else(|| panic!("no {start} in {text}"));
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// The number of a line of a meminfo, in KiB.
fn kib(meminfo: &str, name: &str) -> u64 {
    numbers(meminfo, &format!("{name}:"))[0]
}

/// Whose meminfo it is.
fn told(node: &Node, id: &str) -> Value {
    node.json(&["show", id, "--json"])["view"]["meminfo"].clone()
}

fn host_total() -> u64 {
    kib(&std::fs::read_to_string("/proc/meminfo").unwrap(), "MemTotal")
}

/// The total that top shows, in KiB whatever the unit it chose.
fn top_total(text: &str) -> f64 {
    let line = text.lines().find(|line| line.contains(" Mem") && line.contains("total")).unwrap();
    let total = line.split([':', ',']).nth(1).unwrap().split_whitespace().next().unwrap();
    let unit = if line.starts_with("MiB") { 1024.0 } else { 1.0 };
    total.parse::<f64>().unwrap() * unit
}

#[test]
fn free_and_top_inside_show_the_memory_of_the_container() {
    if skip() {
        return;
    }
    let node = Node::start();
    let id = "90000920";
    let engine = with_procps(&node, id, &["--meminfo", SIZE]);
    engine.start().unwrap();
    assert_eq!(told(&node, id), SIZE);
    assert_eq!(kib(&engine.exec("cat /proc/meminfo"), "MemTotal"), GIVEN);
    assert_eq!(numbers(&engine.exec("/usr/bin/free -k"), "Mem:")[0], GIVEN);
    let top = top_total(&engine.exec("/usr/bin/top -b -n 1"));
    assert!((top - 262_144.0).abs() < 1024.0, "{top}");

    // A limit that is in force beats the size given.
    if common::imposes("physpages") {
        node.done(&["set", id, "--physpages", "32768"]);
        let before = engine.exec("/usr/bin/free -k");
        assert_eq!(numbers(&before, "Mem:")[0], 128 * 1024);
        assert!((top_total(&engine.exec("/usr/bin/top -b -n 1")) - 131_072.0).abs() < 1024.0);
        // What it takes is missing from what is free, and shown as shared.
        engine.exec("busybox dd if=/dev/zero of=/dev/shm/x bs=1M count=20");
        let after = engine.exec("/usr/bin/free -k");
        let column = |text: &str, index: usize| numbers(text, "Mem:")[index];
        assert!(column(&after, 2) + 18 * 1024 < column(&before, 2), "{before}{after}");
        assert!(column(&after, 3) >= 20 * 1024, "{after}");
        let own = engine.exec("cat /proc/meminfo");
        assert!(kib(&own, "MemAvailable") + 18 * 1024 < 128 * 1024, "{own}");
    }
}

#[test]
fn without_limits_the_totals_are_the_machines() {
    if skip() {
        return;
    }
    let node = Node::start();
    let engine = with_procps(&node, "90000921", &["--meminfo", "privvmpages:1"]);
    engine.start().unwrap();
    let own = engine.exec("cat /proc/meminfo");
    assert_eq!(kib(&own, "MemTotal"), host_total());
    assert!(own.lines().count() < 20, "the machine's own file: {own}");
}

#[test]
fn nobody_gets_a_meminfo_who_did_not_ask() {
    if skip() {
        return;
    }
    let node = Node::start();
    for (id, options) in [("90000922", &[][..]), ("90000923", &["--meminfo", "none"])] {
        let engine = with_procps(&node, id, options);
        engine.start().unwrap();
        assert_eq!(told(&node, id), "unchanged");
        let text = engine.exec("cat /proc/meminfo");
        assert_eq!(kib(&text, "MemTotal"), host_total());
        assert!(text.contains("HugePages_Total"), "not the kernel's: {text}");
    }
}

#[test]
fn a_running_container_gets_it_by_hand_and_loses_it_again() {
    if skip() {
        return;
    }
    let node = Node::start();
    let engine = Engine::oci("runc", "90000924", Value::Null);
    engine.start().unwrap();
    let pid = engine.runc_init();
    node.done(&["view", "--attach", &pid, "--id", "90000924", "--meminfo", SIZE]);
    assert_eq!(kib(&engine.exec("cat /proc/meminfo"), "MemTotal"), GIVEN);
    node.done(&["view", "--detach", "90000924"]);
    assert_eq!(kib(&engine.exec("cat /proc/meminfo"), "MemTotal"), host_total());
}

#[test]
fn a_container_of_run_has_it_too() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let mut container = node.container("90000925", &["--meminfo", SIZE]);
    assert_eq!(kib(&container.sh("cat /proc/meminfo"), "MemTotal"), GIVEN);
    // Of any user, and nothing more than read.
    assert_eq!(container.sh("stat -c %a /proc/meminfo"), "444");
    assert_eq!(container.file().held("numproc"), 2);
}

/// Whether lxcfs serves here.
fn lxcfs() -> bool {
    let serves = Path::new("/var/lib/lxcfs/proc/meminfo").exists();
    if !serves {
        println!("SKIP: no lxcfs serves /var/lib/lxcfs here");
    }
    serves
}

/// The mount that a file of a container belongs to.
fn kind(engine: &Engine, path: &str) -> String {
    let mounts = engine.exec("cat /proc/self/mountinfo");
    // Below procroot the names lead into the runtime's own procfs.
    let found = mounts.lines().filter(|line| {
        let point = line.split(' ').nth(4).unwrap();
        point == path || point == path.replace("/proc/", "/proc/.proc/")
    });
    let after = found.filter_map(|line| line.split_once(" - ")).next_back();
    after.map_or("none", |(_, after)| after.split(' ').next().unwrap()).to_owned()
}

#[test]
fn beside_lxcfs_each_serves_its_own_and_the_first_keeps_meminfo() {
    if skip() || !lxcfs() {
        return;
    }
    let node = Node::start();
    for (id, theirs) in [("90000926", true), ("90000927", false)] {
        let engine = with_procps(&node, id, &["--meminfo", SIZE]);
        engine.bind("/var/lib/lxcfs/proc/uptime", "/proc/uptime");
        if theirs {
            engine.bind("/var/lib/lxcfs/proc/meminfo", "/proc/meminfo");
        }
        engine.start().unwrap();
        assert_eq!(kind(&engine, "/proc/uptime"), "fuse.lxcfs");
        assert!(engine.exec("cat /proc/uptime").split_whitespace().count() == 2);
        assert!(engine.exec("cat /proc/user_beancounters").contains(&format!("{id}:")));
        let total = kib(&engine.exec("cat /proc/meminfo"), "MemTotal");
        if theirs {
            assert_eq!(kind(&engine, "/proc/meminfo"), "fuse.lxcfs");
            assert_eq!(told(&node, id), "left to the mount that covers it");
            assert_ne!(total, GIVEN);
        } else {
            assert_ne!(kind(&engine, "/proc/meminfo"), "fuse.lxcfs");
            assert_eq!((told(&node, id), total), (SIZE.into(), GIVEN));
        }
        assert_eq!(numbers(&engine.exec("/usr/bin/free -k"), "Mem:")[0], total);
    }
}

#[test]
fn lxc_with_its_own_lxcfs_hook_keeps_both_views() {
    let lxcfs_hook = "/usr/share/lxc/config/common.conf.d/00-lxcfs.conf";
    if common::skip() || !installed("lxc-start") || !lxcfs() {
        return;
    }
    assert!(Path::new(lxcfs_hook).exists());
    let node = Node::start();
    let id = "90000928";
    let engine = Engine::lxc(&node, id);
    let path = engine.dir.path().join("config");
    let config = std::fs::read_to_string(&path).unwrap();
    let config = config.replace("hook --lxc", &format!("hook --lxc --meminfo {SIZE}"));
    std::fs::write(&path, format!("lxc.include = {lxcfs_hook}\n{config}")).unwrap();
    engine.start().unwrap();
    assert_eq!(kind(&engine, "/proc/meminfo"), "fuse.lxcfs");
    assert_eq!(told(&node, id), "left to the mount that covers it");
    assert!(engine.exec("cat /proc/user_beancounters").contains(&format!("{id}:")));
    assert!(engine.exec("cat /proc/meminfo").starts_with("MemTotal:"));
}

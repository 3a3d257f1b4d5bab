//! Readers that take what they can, and never finish.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::common::{Container, Node, skip};
use crate::usage::{Guard, Usage, file_of};

/// Files that are held open. A view gives out 1024, which `ubc-procfs` tests: each
/// takes a reading, and here they would take too long.
const OPEN: usize = 400;

/// A container beside the hostile one, and the administrator.
fn go_on(node: &Node, other: &mut Container, ids: [&str; 2]) {
    for round in 0..2 {
        assert!(other.file().held("numproc") >= 1);
        let list = node.json(&["list", "--json"]);
        assert_eq!(list.as_array().unwrap().len(), ids.len(), "{list}");
        let limit = format!("{}:500", 400 + round);
        for id in ids {
            node.done(&["set", id, "--numproc", &limit]);
            let shown = node.json(&["show", id, "--json"]);
            assert_eq!(shown["configured"]["numproc"]["barrier"], 400 + round, "{shown}");
        }
        let all = std::fs::read_to_string(node.dir.path().join("proc/user_beancounters")).unwrap();
        assert_eq!(all.lines().count(), 2 + ids.len() * 24, "{all}");
    }
}

#[test]
fn readers_that_hang_stall_neither_another_container_nor_a_command() {
    if skip() {
        return;
    }
    let ids = ["90000700", "90000701"];
    let node = Node::start();
    let _guard = Guard::over(&node);
    let mut hostile = node.container(ids[0], &[]);
    let mut other = node.container(ids[1], &[]);
    // Each in the middle of one of many reads, where they are stopped; then every
    // other one is killed.
    hostile.sh("i=0; while [ $i -lt 80 ]; do
            dd if=/proc/user_beancounters of=/dev/null bs=16 2>/dev/null &
            i=$((i + 1)); done
        kill -STOP $(jobs -p); jobs -p | wc -l");
    go_on(&node, &mut other, ids);
    hostile.sh("i=0; for pid in $(jobs -p); do
            i=$((i + 1)); [ $((i % 2)) = 0 ] && kill -9 $pid; done; true");
    go_on(&node, &mut other, ids);
    // Those that remain read what they came for.
    hostile.sh("kill -CONT $(jobs -p) 2>/dev/null; wait 2>/dev/null; true");
    // Listings without end, and names that are not there.
    hostile.sh("i=0; while [ $i -lt 12 ]; do
            (while :; do ls -l /proc /proc/1 /proc/bc >/dev/null 2>&1
                cat /proc/99999999 /proc/bc/1/resources /proc/nothing 2>/dev/null; done) &
            i=$((i + 1)); done");
    go_on(&node, &mut other, ids);
    assert_eq!(hostile.end(), Some(0));
    assert_eq!(other.end(), Some(0));
}

#[test]
fn files_that_are_opened_and_never_closed_cost_the_daemon_what_is_promised_and_no_more() {
    if skip() {
        return;
    }
    let ids = ["90000702", "90000703"];
    let node = Node::start();
    let _guard = Guard::over(&node);
    let hostile = node.container(ids[0], &[]);
    let mut other = node.container(ids[1], &[]);
    let (path, daemon) = (file_of(&node, ids[0]), node.daemon_pid());
    assert!(std::fs::read(&path).is_ok());
    let before = Usage::of(daemon);
    let opened: Vec<File> = (0..OPEN).map(|_| File::open(&path).unwrap()).collect();
    // What is read in part has to be kept whole.
    for file in &opened {
        assert_eq!(file.read_at(&mut [0; 1], 0).unwrap(), 1);
    }
    go_on(&node, &mut other, ids);
    let full = Usage::of(daemon);
    assert!(full.is_within(8, 32, before), "{before:?}, then {full:?}");
    drop(opened);
    assert!(std::fs::read(&path).is_ok());
    assert_eq!(node.daemon_pid(), daemon);
    assert_eq!(hostile.end(), Some(0));
    assert_eq!(other.end(), Some(0));
}

#[test]
fn a_container_with_more_mounts_than_can_be_looked_at_hides_no_other() {
    if skip() {
        return;
    }
    let ids = ["90000704", "90000705"];
    let node = Node::start();
    let _guard = Guard::over(&node);
    let hostile = node.container(ids[0], &[]);
    let mut other = node.container(ids[1], &[]);
    // Twice as many each time, the paths longer and longer.
    let script = "mkdir -p /tmp/m && mount -t tmpfs none /tmp/m && cd /tmp/m
        i=0; while [ $i -lt 14 ]; do
            mkdir d$i && mount --rbind /tmp/m /tmp/m/d$i || exit 1
            i=$((i + 1)); done; wc -c </proc/1/mountinfo";
    let init = node.init(ids[0]);
    let mut inside = std::process::Command::new("nsenter");
    inside.args(["-t", &init, "-m", "-p", "sh", "-c", script]);
    let said = crate::common::output(&mut inside);
    assert!(said.trim().parse::<u64>().unwrap() > 1 << 20, "{said}");
    go_on(&node, &mut other, ids);
    let shown = node.json(&["show", ids[0], "--json"]);
    let by = shown["status"]["shmpages"]["metered_by"].as_str().unwrap();
    // Where there is a memory controller, or programs count, nobody looks at mounts.
    let looked = !by.contains("memory.") && !by.starts_with("bpf ");
    assert!(!looked || by.contains("too many namespaces or mounts"), "{by}");
    assert!(std::fs::read(file_of(&node, ids[0])).is_ok());
    assert_eq!(hostile.end(), Some(0));
    assert_eq!(other.end(), Some(0));
}

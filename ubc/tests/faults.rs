//! What a daemon needs fails: a disk is full, descriptors run out, a file system
//! is not there.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output};

use common::{File, Node, UBC, skip, text, wait_until};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

/// A file system of its own, unmounted at the end.
struct Disk {
    at: TempDir,
}

impl Disk {
    fn new() -> Disk {
        let at = tempfile::tempdir().unwrap();
        let options = Some(c"size=32m");
        mount("none", at.path(), "tmpfs", MountFlags::empty(), options).unwrap();
        Disk { at }
    }

    fn fill(&self) {
        let mut filler = std::fs::File::create(self.at.path().join("filler")).unwrap();
        while filler.write_all(&[1; 4096]).is_ok() {}
    }

    fn empty(&self) {
        std::fs::remove_file(self.at.path().join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = unmount(self.at.path(), UnmountFlags::DETACH);
    }
}

/// The one line of a command that failed.
fn failed(output: &Output) -> String {
    assert!(!output.status.success());
    let said = text(&output.stderr);
    assert_eq!(said.lines().filter(|line| line.starts_with("ubc: ")).count(), 1, "{said}");
    said
}

fn file_of(node: &Node, id: &str) -> std::path::PathBuf {
    format!("/proc/{}/root/proc/user_beancounters", node.init(id)).into()
}

fn kill(node: &Node) {
    let old = node.daemon_pid();
    drop(Command::new("kill").args(["-9", &old.to_string()]).status());
    wait_until("the next daemon", || node.daemon_pid() != old);
}

#[test]
fn a_full_run_directory_refuses_changes_by_name_and_ends_neither_daemon_nor_container() {
    if skip() {
        return;
    }
    let disk = Disk::new();
    let node = Node::start_in(TempDir::new_in(disk.at.path()).unwrap(), Path::new(UBC));
    let (id, other) = ("90000451", "90000452");
    let mut container = node.container(id, &["--numproc", "400:500"]);
    let file = file_of(&node, id);
    let configured = || node.json(&["show", id, "--json"])["configured"]["numproc"].clone();
    disk.fill();
    let said = failed(&node.ubc(&["set", id, "--numproc", "300:500"]));
    assert!(said.contains("nothing is changed") && said.contains("No space left"), "{said}");
    assert!(said.contains(&format!("kept/{id}.json")), "{said}");
    assert_eq!(configured()["barrier"], 400);
    // A new one cannot be made, and nothing of it stays.
    let said = failed(&node.ubc(&["run", "--id", other, "--", "true"]));
    assert!(said.contains("No space left on device"), "{said}");
    assert!(!node.home(other).exists());
    assert_eq!(node.json(&["list", "--json"]).as_array().unwrap().len(), 1);
    // The next daemon needs no room to go on.
    kill(&node);
    assert!(File::new(&std::fs::read_to_string(&file).unwrap()).held("numproc") >= 1);
    assert_eq!(configured()["barrier"], 400);
    disk.empty();
    node.done(&["set", id, "--numproc", "300:500"]);
    kill(&node);
    assert_eq!(configured()["barrier"], 300);
    let mut late = node.container(other, &[]);
    assert!(late.file().held("numproc") >= 1);
    assert_eq!(late.end(), Some(0));
    assert_eq!(container.sh("echo lives"), "lives");
    assert_eq!(container.end(), Some(0));
    // What was set aside or half written is gone with them.
    wait_until("their files' end", || {
        std::fs::read_dir(node.dir.path().join("kept")).unwrap().count() == 0
    });
}

#[test]
fn connections_that_use_up_the_descriptors_keep_no_command_and_no_reader_out() {
    if skip() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // A daemon that may not have more, as some service managers do it.
    let program = dir.path().join("ubc");
    std::fs::write(&program, format!("#!/bin/sh\nulimit -n 192\nexec {UBC} \"$@\"\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let node = Node::start_with(&program);
    let container = node.container("90000453", &[]);
    let file = file_of(&node, "90000453");
    let daemon = node.daemon_pid();
    let limits = std::fs::read_to_string(format!("/proc/{daemon}/limits")).unwrap();
    let limit = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert!(limit.contains(" 192 "), "{limit}");
    let socket = node.dir.path().join("ubc.sock");
    let silent: Vec<UnixStream> = (0..300).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    for _ in 0..3 {
        let list = node.json(&["list", "--json"]);
        let by = list[0]["status"]["numproc"]["metered_by"].as_str().unwrap();
        assert!(!by.contains("not read"), "{by}");
        assert!(File::new(&std::fs::read_to_string(&file).unwrap()).held("numproc") >= 1);
    }
    drop(silent);
    assert_eq!(node.daemon_pid(), daemon);
    assert_eq!(container.end(), Some(0));
    let said = node.said();
    assert!(said.lines().count() < 100, "{said}");
}

#[test]
fn a_machine_where_nobody_mounted_the_bpf_file_system_gets_it_mounted() {
    if skip() {
        return;
    }
    // In a mount namespace of its own; the machine's stays.
    let script = format!(
        "set -e; while umount -l /sys/fs/bpf 2>/dev/null; do :; done; {UBC} doctor --json >&2; \
         stat -f -c %t /sys/fs/bpf"
    );
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &script])
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(text(&output.stdout).trim(), "cafe4a11");
    let doctor: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(doctor["rows"]["numfile"]["measured"], true, "{said}");
}

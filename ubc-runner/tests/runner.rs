//! A container of libcontainer has beancounters like any other.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Why the runner cannot work here, if it cannot.
fn skip() -> bool {
    let why = if !Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        "the runner needs a machine with cgroup v2 only"
    } else if !Path::new("/bin/busybox").exists() {
        "the runner's container needs busybox-static"
    } else if !rustix::process::geteuid().is_root() {
        "the runner needs root"
    } else {
        return false;
    };
    println!("SKIP: {why}");
    true
}

fn run(id: &str, limits: &[&str], script: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let rootfs = dir.path().join("rootfs");
    for name in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        fs::create_dir_all(rootfs.join(name)).unwrap();
    }
    fs::copy("/bin/busybox", rootfs.join("bin/busybox")).unwrap();
    for applet in ["sh", "cat", "sleep"] {
        symlink("busybox", rootfs.join("bin").join(applet)).unwrap();
    }
    Command::new(env!("CARGO_BIN_EXE_ubc-runner"))
        .args(["--id", id, "--rootfs"])
        .arg(&rootfs)
        .args(limits)
        .args(["--", "sh", "-c", script])
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn a_container_of_libcontainer_reads_its_own_rows_and_leaves_nothing() {
    if skip() {
        return;
    }
    let output = run("90001501", &["numproc=20"], "cat /proc/user_beancounters; exit 7");
    let said = String::from_utf8(output.stdout).unwrap();
    let failed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{said}{failed}");
    assert!(said.starts_with("Version: 2.5\n") && said.contains("90001501: "), "{said}{failed}");
    let row = said.lines().find(|line| line.contains(" numproc ")).unwrap();
    let numbers: Vec<&str> = row.split_whitespace().collect();
    // The shell and its cat.
    assert_eq!(numbers[..2], ["numproc", "2"]);
    assert_eq!(numbers[3..], ["20", "20", "0"], "{row}{failed}");
    assert!(!Path::new("/sys/fs/cgroup/ubc-runner/90001501").exists(), "the cgroup stayed");
    assert!(!Path::new("/run/ubc-runner/ct90001501").exists(), "the state stayed");
}

#[test]
fn a_container_of_libcontainer_is_refused_at_its_limit() {
    if skip() {
        return;
    }
    // Two files for each pipe.
    let script = vec!["sleep 2"; 16].join(" | ");
    let output = run("90001502", &["numfile=20"], &script);
    let failed = String::from_utf8_lossy(&output.stderr);
    if failed.contains("numfile=20 is not imposed") {
        println!("SKIP: {failed}");
        return;
    }
    assert!(!output.status.success(), "{failed}");
    // Whether the runner is told, too, depends on who else listens: the kernel's queue
    // has one reader.
    assert!(failed.contains("Too many open files in system"), "{failed}");
}

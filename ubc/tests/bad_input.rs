//! Bad input gets one clear line and an exit code, and changes nothing.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::process::{Command, Output};

use common::{Node, UBC, text};

/// The one line of a refusal.
fn refused(output: &Output, code: i32) -> String {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(output.stdout.is_empty());
    error
}

#[test]
fn wrong_values_are_refused_by_name_and_change_nothing() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let id = "90000301";
    let mut container = node.container(id, &["--numfile", "100"]);
    let asked = || {
        let shown = node.json(&["show", id, "--json"]);
        [shown["configured"].clone(), shown["schedule"].clone()]
    };
    let before = asked();
    for (option, value, says) in [
        ("--numfile", "5k", "a count has no suffix"),
        ("--numfile", "5:3", "barrier 5 is above limit 3"),
        ("--kmemsize", "99999999999999999999999", "99999999999999999999999"),
        ("--numproc", "", "accepted"),
        ("--numproc", "-1", "accepted"),
        ("--numproc", "1:2:3", "accepted"),
        ("--physpages", "1.5", "accepted"),
        ("--numproc", "\u{1b}[2J", "accepted"),
        ("--cpuunits", "7", "out of range; accepted: 8 to 500000"),
        ("--cpuunits", "-8", "not a whole number"),
        ("--cpulimit", "12.5", "accepted: percent of one CPU"),
        ("--cpulimit", "25 %", "accepted"),
        ("--cpus", "\u{1b}[2J", "accepted: a number of CPUs"),
        ("--cpumask", "2-1", "accepted: a list such as 0-2,5, or all"),
        ("--nodemask", "", "accepted"),
        ("--ioprio", "8", "accepted: 0 to 7"),
        ("--iolimit", "4194304", "above 2147483647 bytes per second; accepted: megabytes"),
        ("--iopslimit", "5K", "accepted: operations per second"),
    ] {
        let good = ["--numpty=7", "--cpuunits=500"];
        let good = if option == "--cpuunits" { &good[..1] } else { &good };
        let wrong = format!("{option}={value}");
        let output = node.ubc(&[&["set", id], good, &[&wrong]].concat());
        let error = refused(&output, 64);
        assert!(error.starts_with(&format!("ubc: {option}: ")), "{error}");
        assert!(error.contains(says) && error.lines().count() == 1, "{error}");
        assert!(!error.contains('\u{1b}'), "{error:?}");
    }
    assert_eq!(asked(), before);
    assert_eq!(container.file().held("numproc"), 2);
}

#[test]
fn wrong_commands_and_ids_are_refused() {
    for (args, says) in [
        (&["set", "101", "--numprocs", "5"][..], "--numprocs"),
        (&["set", "101"], "nothing to set"),
        (&["show", "123456789"], "at most 8 digits"),
        (&["show", "x"], "at most 8 digits"),
        (&["run", "--id", "123456789", "--", "true"], "at most 8 digits"),
        (&["run", "--id", "5"], "COMMAND"),
        (&["frobnicate"], "frobnicate"),
    ] {
        let error = refused(&Command::new(UBC).args(args).output().unwrap(), 64);
        assert!(error.contains(says), "{args:?}: {error}");
        assert!(error.starts_with("ubc: ") && error.lines().count() == 1, "{error}");
    }
}

#[test]
fn containers_that_are_not_there_are_said_so() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    for args in [&["show", "90000302"][..], &["set", "90000302", "--numproc", "5"]] {
        let error = refused(&node.ubc(args), 66);
        assert_eq!(error, "ubc: there is no container 90000302\n");
    }
    let error = refused(&node.ubc(&["run", "--id", "0", "--", "true"]), 64);
    assert!(error.contains("the host"), "{error}");
    let error = refused(&node.ubc(&["run", "--id", "7", "--rootfs", "/no/dir", "--", "true"]), 64);
    assert!(error.contains("/no/dir"), "{error}");
    let error = refused(&node.ubc(&["run", "--id", "7", "--runtime", "nope", "--", "true"]), 69);
    assert!(error.contains("nope"), "{error}");
}

#[test]
fn a_cgroup_that_is_missing_or_v1_is_refused_by_name() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let run =
        |cgroup: &str| node.ubc(&["run", "--id", "90000304", "--cgroup", cgroup, "--", "true"]);
    for (cgroup, says) in [
        ("no/such/cgroup", "no/such/cgroup"),
        ("../..", "../.."),
        ("/sys/kernel", "not below the cgroup v2 mount"),
    ] {
        let error = refused(&run(cgroup), 64);
        assert!(error.starts_with("ubc: --cgroup ") && error.contains(says), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    match mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup")) {
        Some(line) => {
            let v1 = format!("{}/ubc", line.split(' ').nth(1).unwrap());
            assert!(refused(&run(&v1), 64).contains("is cgroup v1; ubc needs cgroup v2"));
            assert!(!std::path::Path::new(&v1).exists());
        }
        None => println!("SKIP: no cgroup v1 hierarchy on this machine"),
    }
    // One that is there is used.
    let name = "ubc-test-parent";
    let mount = mounts.lines().find(|line| line.contains(" cgroup2 ")).unwrap();
    let parent = std::path::Path::new(mount.split(' ').nth(1).unwrap()).join(name);
    std::fs::create_dir(&parent).unwrap();
    let inside = node.ubc(&["run", "--id", "90000304", "--cgroup", name, "--", "true"]);
    let left = std::fs::read_dir(parent.join("90000304")).is_ok();
    std::fs::remove_dir(&parent).unwrap();
    assert_eq!(inside.status.code(), Some(0), "{}", text(&inside.stderr));
    assert!(!left);
}

/// Runs ubc in a mount namespace of its own that `change` has changed.
fn elsewhere(change: &str, dir: &str, args: &str) -> Output {
    let script = format!("set -e; {change}; exec {UBC} --run-dir {dir} {args}");
    Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &script])
        .output()
        .unwrap()
}

#[test]
fn a_machine_without_cgroup_v2_or_fuse_is_told_what_it_lacks() {
    if common::skip() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().to_str().unwrap();
    // One that is started by hand: one that a command starts goes back to the
    // namespace of the machine's init.
    let run = "daemon";
    // Hidden in a private mount namespace; the machine's own stays.
    let no_cgroup2 = "umount -l /sys/fs/cgroup/unified 2>/dev/null || umount -l /sys/fs/cgroup";
    let error = refused(&elsewhere(no_cgroup2, dir, run), 69);
    assert!(error.contains("cgroup") && error.lines().count() == 1, "{error}");
    let no_fuse = "mount --bind /dev/null /dev/fuse";
    let error = refused(&elsewhere(no_fuse, dir, run), 69);
    assert!(error.contains("FUSE") || error.contains("fuse"), "{error}");
    assert!(error.lines().count() == 1, "{error}");
}

#[test]
fn without_root_it_says_so() {
    if common::skip() {
        return;
    }
    // Where another user can execute it.
    let dir = tempfile::Builder::new().tempdir_in("/tmp").unwrap();
    let copy = dir.path().join("ubc");
    std::fs::copy(UBC, &copy).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir.path(), mode).unwrap();
    for args in [&["run", "--id", "5", "--", "true"][..], &["list"], &["doctor"]] {
        let output = Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&copy)
            .args(args)
            .output()
            .unwrap();
        let error = refused(&output, 77);
        assert!(error.starts_with("ubc: needs root"), "{error}");
    }
}

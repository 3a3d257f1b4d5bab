//! The links of procfs in a view: what readlink(1) says of them, and what they
//! lead to.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::process::Command;

use common::{Container, attached, installed, skip};

/// Every link of the root, in the view and in the native procfs, as one
/// process reads them.
const ALL: &str = "/proc/self /proc/.proc/self /proc/thread-self /proc/.proc/thread-self \
                   /proc/mounts /proc/.proc/mounts /proc/net /proc/.proc/net";

#[track_caller]
fn assert_pairs(text: &str) {
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 8, "{text}");
    for pair in lines.chunks(2) {
        assert_eq!(pair[0], pair[1], "{text}");
    }
}

#[test]
fn proc_self_names_its_reader_in_the_pid_namespace_of_the_procfs() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (_view, _process) = attached(&container);
    let text = container.sh(&format!("echo $$; exec readlink {ALL}")).unwrap();
    let (pid, links) = text.split_once('\n').unwrap();
    assert_pairs(links);
    assert!(links.starts_with(&format!("{pid}\n")), "{text}");
    assert!(links.contains(&format!("{pid}/task/{pid}\n")), "{text}");
    assert!(links.ends_with("self/mounts\nself/net\nself/net\n"), "{text}");
    // In a pid namespace of its own a reader has another number there.
    let nested = format!("unshare --pid --fork sh -c 'exec readlink {ALL}'");
    let links = container.sh(&nested).unwrap();
    assert_pairs(&links);
    assert_ne!(links.lines().next(), Some("1"), "{links}");
}

#[test]
fn a_thread_is_told_from_its_process() {
    if skip() || !installed(&["python3"]) {
        return;
    }
    let container = Container::start(&[]);
    let (_view, _process) = attached(&container);
    let script = "import os, threading
def look():
    for name in ('self', 'thread-self'):
        print(os.readlink('/proc/' + name), os.readlink('/proc/.proc/' + name))
    print(threading.get_native_id(), os.getpid())
thread = threading.Thread(target=look); thread.start(); thread.join()";
    let text = container.sh(&format!("exec /usr/bin/python3 -c \"{script}\"")).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!((words[0], words[2]), (words[1], words[3]), "{text}");
    assert_eq!(words[2], format!("{}/task/{}", words[5], words[4]));
    assert_ne!(words[4], words[5]);
}

#[test]
fn who_is_not_in_the_pid_namespace_has_no_proc_self() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (_view, _process) = attached(&container);
    let outside = |path: &str| {
        let init = container.init.to_string();
        let output =
            Command::new("nsenter").args(["-t", &init, "-m", "readlink", "-v", path]).output();
        let output = output.unwrap();
        assert!(!output.status.success(), "{path}");
        String::from_utf8(output.stderr).unwrap()
    };
    let native = outside("/proc/.proc/self");
    assert!(native.contains("No such file"), "{native}");
    assert_eq!(outside("/proc/self"), native.replace("/.proc", ""));
}

#[test]
fn many_readers_at_once_each_get_their_own_answer() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (_view, _process) = attached(&container);
    // Some read the link while others walk through it.
    let script = "for i in 1 2 3 4 5 6 7 8; do
            sh -c 'for j in 1 2 3 4 5 6 7 8 9 10; do
                read -r pid rest </proc/self/stat; [ $pid = $$ ] || echo walked to $pid, not $$
            done' &
            sh -c 'echo $$; exec readlink /proc/self' >/tmp/ubc-read-$i &
        done; wait
        for i in 1 2 3 4 5 6 7 8; do uniq /tmp/ubc-read-$i | wc -l; rm /tmp/ubc-read-$i; done";
    assert_eq!(container.sh(script).unwrap(), "1\n".repeat(8));
}

#[test]
fn a_removed_program_is_what_its_exe_leads_to() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (_view, _process) = attached(&container);
    let script = "cp /bin/sleep /tmp/ubc-sleep-$$; /tmp/ubc-sleep-$$ 600 & pid=$!
        until grep -q ubc /proc/$pid/comm; do :; done
        rm /tmp/ubc-sleep-$$
        readlink /proc/$pid/exe; cmp /proc/$pid/exe /bin/sleep && kill $pid
        cmp /proc/self/exe /usr/bin/cmp || cmp /proc/self/exe /bin/cmp";
    let text = container.sh(script).unwrap();
    assert!(text.starts_with("/tmp/ubc-sleep-") && text.ends_with(" (deleted)\n"), "{text}");
}

#[test]
fn the_root_of_another_mount_namespace_leads_there() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (_view, _process) = attached(&container);
    let script = "unshare --mount sh -c 'mount -t tmpfs none /mnt; cd /mnt; echo there >only
            echo >/tmp/ubc-up-$PPID; exec sleep 600' & pid=$!
        until [ -e /tmp/ubc-up-$$ ]; do :; done; rm /tmp/ubc-up-$$
        cat /proc/$pid/root/mnt/only /proc/$pid/cwd/only
        readlink /proc/$pid/root /proc/$pid/cwd
        [ -e /mnt/only ] || echo not here; kill $pid";
    assert_eq!(container.sh(script).unwrap(), "there\nthere\n/\n/mnt\nnot here\n");
}

#[test]
fn a_process_that_ended_is_gone_at_once() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (_view, _process) = attached(&container);
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do
            sleep 600 & pid=$!
            [ -d /proc/$pid ] && stat /proc/$pid >/dev/null && cat /proc/$pid/stat >/dev/null || echo lost
            kill $pid; wait $pid
            [ -e /proc/$pid ] && echo still there
        done 2>/dev/null; true";
    assert_eq!(container.sh(script).unwrap(), "");
}

#[test]
fn systemds_programs_do_not_take_the_view_for_a_missing_proc() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (_view, _process) = attached(&container);
    // What they do, by their names.
    container.sh("mkdir /tmp/ubc-d && cp /usr/bin/stat /tmp/ubc-d/systemd-tmpfiles").unwrap();
    let error = container.sh("exec /tmp/ubc-d/systemd-tmpfiles -f /proc").unwrap_err();
    container.sh("rm -r /tmp/ubc-d").unwrap();
    assert!(error.contains("Permission denied"), "{error}");
    // Others see what it is, and nothing fails for them.
    assert_eq!(container.sh("stat -f -c '%t %b' /proc").unwrap(), "65735546 0\n");
    // The container has its host's mounts: what df says of those is theirs.
    let mut dfs = vec!["df"];
    dfs.extend(installed(&["busybox"]).then_some("busybox df"));
    for df in dfs {
        let said = container.sh(&format!("{df} 2>&1 || true")).unwrap();
        assert!(!said.lines().any(|line| line.ends_with(" /proc")), "{said}");
        assert!(!said.contains("df: /proc:"), "{said}");
    }
}

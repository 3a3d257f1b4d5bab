//! `ubc record` and `ubc replay`: what happened last night.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use common::{Node, text, wait_until};

#[test]
fn a_changed_limit_and_a_container_that_ended_are_in_the_record() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let id = "90000351";
    let record = node.record("1s");
    let events = || node.done(&["replay", "--events", id]);
    let mut container = node.container(id, &["--oomguarpages", "77:unlimited"]);
    wait_until("a reading with it", || events().contains(&format!("container {id}: came\n")));
    node.done(&["set", id, "--oomguarpages", "78:unlimited"]);
    let change = "oomguarpages limits changed from 77:unlimited to 78:unlimited\n";
    let shows = node.json(&["show", id, "--json"])["reading"]["rows"]["oomguarpages"]["barrier"]
        == serde_json::json!(78);
    if shows {
        wait_until("the change", || events().ends_with(change));
    }
    // Nothing happens any more: the newest reading is what the file says now.
    let at = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    let then = |what: &str| node.done(&["replay", "--at", "0s", what]);
    wait_until("the same rows", || {
        let file = container.sh("cat /proc/user_beancounters");
        file.lines().count() > 20
            && file.lines().zip(then(id).lines()).all(|(now, then)| {
                // How much memory is in use changes by itself.
                now.contains("pages") || now.contains("size") || now == then
            })
    });
    let course = node.done(&["replay", "--row", "numproc", id]);
    assert!(course.trim_start().starts_with("time "), "{course}");
    assert_eq!(container.end(), Some(0));
    wait_until("its end", || events().ends_with(&format!("container {id}: ended\n")));
    let output = node.ubc(&["replay", "--at", "0s", id]);
    assert_eq!(output.status.code(), Some(66), "{}", text(&output.stderr));
    assert!(events().contains(&at[..13]));
    assert_eq!(node.done(&["replay", "--to", "1h"]), "nothing was refused\n");
    drop(record);
}

#[test]
fn a_daemon_that_is_away_is_a_gap_in_the_record_and_not_its_end() {
    if common::skip() {
        return;
    }
    let mut node = Node::start();
    let mut record = node.record("1s");
    let id = "90000352";
    let container = node.container(id, &[]);
    let events = |node: &Node| node.done(&["replay", "--events"]);
    wait_until("a reading", || events(&node).contains(id));
    assert_eq!(container.end(), Some(0));
    wait_until("its end", || events(&node).contains("ended"));
    node.kill_daemon();
    wait_until("the gap", || events(&node).contains("nothing was read: no daemon runs"));
    node.start_daemon();
    let _container = node.container(id, &[]);
    wait_until("readings again", || events(&node).ends_with(&format!("container {id}: came\n")));
    assert!(!record.has_ended());

    let output = node.ubc(&["record"]);
    assert_eq!(output.status.code(), Some(73), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("another ubc record is at work"));
}

#[test]
fn what_cannot_be_recorded_or_replayed_is_said() {
    if common::skip() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().to_str().unwrap();
    let ubc = |args: &[&str]| {
        let output = std::process::Command::new(common::UBC)
            .args(["--run-dir", run])
            .args(args)
            .output()
            .unwrap();
        (output.status.code(), text(&output.stderr))
    };
    for (args, code, said) in [
        (&["replay"][..], 65, "there is no record; ubc record makes one"),
        (&["replay", "--from", "yesterday"], 64, "accepted: UTC such as"),
        (&["replay", "--row", "numfiles"], 64, "numfile"),
        (&["replay", "--events", "--row", "numfile"], 64, "cannot be used with"),
        (&["record", "--every", "0s"], 64, "accepted: 1s to 24h"),
        (&["record", "--size", "1K"], 64, "accepted: 256K to 1T"),
        (&["record", "--dir", "/proc/1/nothing"], 71, "--dir /proc/1/nothing"),
    ] {
        let (found, stderr) = ubc(args);
        assert_eq!(found, Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(said), "{args:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

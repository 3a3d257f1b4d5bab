//! Names that containers choose, on their way to terminals, logs and files.

use crate::common::{Node, cgroup_mount, skip, text, wait_until};
use crate::usage::Guard;

/// A sequence that sets the title of a terminal, one that clears it (its begin
/// in one character), what turns text around, and others of that kind.
const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\u{2066}\u{2028}\u{7f}\t\u{8}\r";

/// A line of metrics, of a log and of JSON.
const FORGED: &str = "\"} 1 # ubc: all is well,\"pid\":1";

/// A cgroup that is removed with it.
struct Parent(String);

impl Parent {
    fn new(name: &str) -> Parent {
        std::fs::create_dir(cgroup_mount().join(name)).unwrap();
        Parent(name.to_owned())
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        drop(std::fs::remove_dir(cgroup_mount().join(&self.0)));
    }
}

/// Nothing in it does anything to a terminal, or to the line it is in.
fn inert(what: &str, text: &str) {
    let active = |c: &char| {
        (c.is_control() && *c != '\n') || matches!(*c, '\u{2028}'..='\u{202e}' | '\u{2066}')
    };
    assert_eq!(text.chars().find(active), None, "{what}: {text:?}");
}

#[test]
fn a_name_that_a_container_chose_drives_no_terminal_and_forges_no_line() {
    if skip() {
        return;
    }
    let mut name = format!("ubc-test-{HOSTILE}{FORGED}");
    name.push_str(&"x".repeat(255 - name.len()));
    let parent = Parent::new(&name);
    let node = Node::start();
    let _guard = Guard::over(&node);
    let mut container = node.container("90000730", &["--cgroup", &parent.0]);
    // As long as a name of a process is, and longer than one of a machine.
    container.sh("printf '\\033]0;x\\a\\n\\t\\r\\b\\177\\233\\\\ )) S 1' >/proc/self/comm
        hostname \"$(printf '\\033[2J\\n\\177x')\" 2>/dev/null; true");
    let own = format!("{name}/90000730");
    for args in [
        &["list", "-o", "ctid,cgroup,hostname,numproc"][..],
        &["list"],
        &["show", "90000730"],
        &["export"],
    ] {
        let said = node.done(args);
        inert(&args.join(" "), &said);
    }
    let shown = node.done(&["show", "90000730"]);
    assert!(shown.lines().next().unwrap().contains("\\u{9b}2J\\u{202e}"), "{shown}");
    for args in [&["list", "--json"][..], &["show", "90000730", "--json"]] {
        let said = node.done(args);
        inert(&args.join(" "), &said);
        assert_eq!(said.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&said).unwrap();
        let container = if value.is_array() { &value[0] } else { &value };
        // As it is, all the same.
        assert_eq!(container["cgroup"], own);
    }
    assert!(container.file().held("numproc") >= 1);
    // Refusals that repeat a name.
    let missing = format!("{name}x");
    for args in [
        &["run", "--id", "90000731", "--cgroup", &missing, "--", "true"][..],
        &["show", HOSTILE],
        &["list", "-o", HOSTILE],
    ] {
        let output = node.ubc(args);
        assert!(!output.status.success());
        let error = text(&output.stderr);
        inert(&args.join(" "), &error);
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    // The next daemon knows it by the same name.
    let old = node.daemon_pid();
    drop(std::process::Command::new("kill").args(["-9", &old.to_string()]).status());
    wait_until("the next daemon", || node.daemon_pid() != old);
    assert_eq!(node.json(&["list", "--json"])[0]["cgroup"], own);
    inert("the log", &node.said());
    assert_eq!(container.end(), Some(0));
}

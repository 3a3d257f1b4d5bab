//! Processes that the container's procfs hides stay hidden behind the view,
//! and no others are.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use common::{Container, attached, installed, skip};

/// Whether each process is listed, found and looked into. The processes are
/// those of root, of two users, of a user in a namespace of root's, and what
/// runs this.
const LOOK: &str = r#"
import errno, os, sys
def attempt(what, *path):
    try:
        return what("/proc/" + "/".join(path))
    except OSError as error:
        return errno.errorcode[error.errno]
own = str(os.getpid())
for pid in ["1"] + open("/tmp/ubc-pids").read().split() + [own]:
    print("own" if pid == own else pid,
        "listed" if pid in os.listdir("/proc") else "unlisted",
        attempt(lambda path: os.stat(path).st_uid, pid),
        attempt(lambda path: "comm" in os.listdir(path), pid),
        attempt(lambda path: open(path).read().strip(), pid, "comm"),
        attempt(os.readlink, pid, "exe"),
        attempt(lambda path: os.path.isdir(path), pid, "root"))
"#;

const START: &str = "setpriv --reuid 1234 --regid 1234 --clear-groups sleep 600 >/dev/null 2>&1 &
    a=$!
    setpriv --reuid 1235 --regid 1234 --clear-groups sleep 600 >/dev/null 2>&1 & b=$!
    unshare --user --map-user 7 sleep 600 >/dev/null 2>&1 & c=$!
    echo $a $b $c >/tmp/ubc-pids
    until [ $(grep -cx sleep /proc/$a/comm /proc/$b/comm /proc/$c/comm | grep -c :1) = 3 ]; do :; done";

/// Who looks.
const WHO: [(&str, &str); 6] = [
    ("root", ""),
    ("root without the right to trace", "setpriv --bounding-set -sys_ptrace "),
    ("a user", "setpriv --reuid 1234 --regid 1234 --clear-groups "),
    ("a user in the group", "setpriv --reuid 1236 --regid 1236 --groups 5,77 "),
    ("a user of the group", "setpriv --reuid 1236 --regid 77 --clear-groups "),
    ("root of a namespace", "unshare --user --map-root-user "),
];

fn look(container: &Container, who: &str) -> String {
    container.sh(&format!("exec {who}/usr/bin/python3 -c '{LOOK}'")).unwrap()
}

#[test]
fn what_the_procfs_hides_stays_hidden_and_nothing_else() {
    if skip() || !installed(&["python3"]) {
        return;
    }
    for options in ["hidepid=0", "hidepid=1", "hidepid=2,gid=77", "hidepid=ptraceable,gid=77"] {
        let container = Container::start(&[]);
        container.sh(START).unwrap();
        container.sh(&format!("mount -o remount,{options} /proc")).unwrap();
        let native: Vec<String> = WHO.iter().map(|(_, who)| look(&container, who)).collect();
        let (_view, _process) = attached(&container);
        for ((name, who), native) in WHO.iter().zip(native) {
            let shown = look(&container, who);
            // Which of the two it is depends, with this option, on whether the
            // kernel remembers the name.
            let either = options.contains("ptraceable");
            let plain = |text: &str| {
                if either { text.replace("EPERM", "ENOENT") } else { text.to_owned() }
            };
            assert_eq!(plain(&shown), plain(&native), "{options}, {name}");
        }
        // Nobody else's look is remembered.
        let pid = container.sh("cut -d' ' -f2 /tmp/ubc-pids").unwrap();
        if options == "hidepid=2,gid=77" {
            let user = "setpriv --reuid 1234 --regid 1234 --clear-groups";
            let script =
                format!("p={}; stat /proc/$p >/dev/null && exec {user} stat /proc/$p", pid.trim());
            let error = container.sh(&script).unwrap_err();
            assert!(error.contains("No such file"), "{error}");
        }
        container.sh("rm /tmp/ubc-pids").unwrap();
    }
}

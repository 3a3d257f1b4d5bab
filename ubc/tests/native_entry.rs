//! The view by the native entry: with the kernel module, built here by DKMS.
//!
//! Only in a machine of the testbed, which nothing outlives: nobody's own
//! kernel gets a module from a test.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::path::Path;
use std::process::Command;

use common::engine::{Engine, hook, installed};
use common::{File, Node, UBC, output, text, wait_until};
use serde_json::{Value, json};

const ENTRY: &str = "/proc/user_beancounters";

/// What DKMS gets, below /usr/src.
const SOURCES: [(&str, &str); 4] = [
    ("Kbuild", include_str!("../../module/Kbuild")),
    ("Makefile", include_str!("../../module/Makefile")),
    ("dkms.conf", include_str!("../../module/dkms.conf")),
    ("ubc_entry.c", include_str!("../../module/ubc_entry.c")),
];

fn skip() -> bool {
    let testbed = std::fs::read_to_string("/etc/hostname").is_ok_and(|name| name == "ubc-vm\n");
    if !testbed {
        println!("SKIP: not a machine of the testbed: it loads a kernel module");
    }
    !testbed || common::skip() || !installed("dkms")
}

fn run(program: &str, args: &[&str]) -> String {
    output(Command::new(program).args(args))
}

/// The module, loaded; unloaded on drop, but left installed.
struct Module;

impl Module {
    /// Adds it to DKMS, builds, installs and loads it.
    fn install() -> Module {
        let sources = Path::new("/usr/src/ubc-entry-0.1.0");
        std::fs::create_dir_all(sources).unwrap();
        for (name, text) in SOURCES {
            std::fs::write(sources.join(name), text).unwrap();
        }
        for verb in ["add", "build", "install"] {
            run("dkms", &[verb, "ubc-entry/0.1.0"]);
        }
        let status = run("dkms", &["status", "ubc-entry/0.1.0"]);
        assert!(status.contains("installed"), "{status}");
        run("modprobe", &["ubc_entry"]);
        Module
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        drop(Command::new("rmmod").arg("ubc_entry").output());
    }
}

#[test]
fn containers_of_every_maker_get_the_file_on_the_name_the_kernel_has() {
    if skip() {
        return;
    }
    assert!(!Path::new(ENTRY).exists(), "a module is loaded already");
    let module = Module::install();
    the_bare_entry_is_empty_everywhere();
    assert!(run(UBC, &["doctor"]).contains("view         native entry"));
    let node = Node::start();
    a_container_of_run(&node);
    nothing_else_of_proc_changes(&node);
    a_user_namespace(&node);
    taken_over_and_let_go(&node);
    the_name_may_go_under_a_view(&node, module);
}

fn the_bare_entry_is_empty_everywhere() {
    let new = ["--pid", "--mount", "--fork", "--mount-proc"];
    for words in [&["env"][..], &[&["unshare"], &new[..]].concat()] {
        let (program, args) = (words[0], &words[1..]);
        let said = run(program, &[args, &["stat", "-c", "%a %u %F", ENTRY]].concat());
        assert_eq!(said, "400 0 regular empty file\n");
        assert_eq!(run(program, &[args, &["cat", ENTRY]].concat()), "");
    }
}

/// The mounts of a container that are views.
const VIEWS: &str = "grep ' fuse.ubc ' /proc/self/mountinfo | cut -d ' ' -f 5";

fn a_container_of_run(node: &Node) {
    let id = "90000940";
    let mut container = node.container(id, &["--meminfo", "pages:65536"]);
    assert!(container.sh("head -n 3 /proc/user_beancounters").contains(&format!("{id}:")));
    assert!(container.file().held("numproc") >= 2);
    assert_eq!(container.sh(VIEWS), format!("{ENTRY}\n/proc/meminfo"));
    // Its size is known, so that readers by sendfile(2) get all of it.
    let size = container.sh("cat /proc/user_beancounters | wc -c");
    assert_eq!(container.sh("stat -c '%s %a %u' /proc/user_beancounters"), format!("{size} 400 0"));
    assert!(container.sh("head -n 1 /proc/meminfo").ends_with(" 262144 kB"));
    // Every process of it, those that join later and those that leave again.
    let init = node.init(id);
    let joined = run("nsenter", &["-t", &init, "-m", "-p", "cat", ENTRY]);
    assert!(joined.contains(&format!("{id}:")));
    // Its root may not mount, and nobody but root may read.
    container.sh("umount /proc/user_beancounters; umount -l /proc/user_beancounters");
    assert!(container.file().held("numproc") >= 2);
    assert_eq!(container.sh("cat /proc/user_beancounters > /tmp/x; wc -l < /tmp/x"), "26");
    let denied = container.sh("su -s /bin/sh nobody -c 'cat /proc/user_beancounters' 2>&1");
    assert!(denied.contains("Permission denied"), "{denied}");

    let shown = node.json(&["show", id, "--json"])["view"].clone();
    assert!(shown["way"].as_str().unwrap().starts_with("native entry"), "{shown}");
    assert!(node.done(&["show", id]).contains("view by native entry"));
    assert_eq!(container.end(), Some(0));
    wait_until("its end", || node.ubc(&["show", id]).status.code() == Some(66));
    // The kernel's own is as it was.
    assert_eq!(std::fs::read_to_string(ENTRY).unwrap(), "");
}

fn nothing_else_of_proc_changes(node: &Node) {
    let id = "90000941";
    let args = hook(node.dir.path(), &[]);
    let hooks = json!({ "createRuntime": [{ "path": UBC, "args": args }] });
    let engine = Engine::oci("runc", id, hooks);
    engine.start().unwrap();
    assert!(engine.exec("cat /proc/user_beancounters").contains(&format!("{id}:")));
    // What procroot cannot do.
    assert_eq!(engine.exec("stat -f -c %T /proc"), "proc\n");
    assert!(engine.exec("busybox readlink /proc/self").trim().parse::<u32>().is_ok());
    // The runtime's masks and what it made read-only.
    let mounts = engine.exec("cat /proc/self/mountinfo");
    for place in ["/proc/sys", "/proc/kcore", "/proc/timer_list"] {
        assert!(mounts.contains(&format!(" {place} ")), "{place}: {mounts}");
    }
    assert_eq!(engine.exec("stat -c %F /proc/kcore"), "character special file\n");
    let refused = engine.exec("sh -c echo>/proc/sys/kernel/hostname||cat</proc/self/comm");
    assert_eq!(refused, "cat\n", "wrote to a read-only /proc/sys");
    engine.kill();
}

fn a_user_namespace(node: &Node) {
    let id = "90000942";
    if !installed("podman") {
        return;
    }
    let map = "--uidmap 0:100000:65536 --gidmap 0:100000:65536";
    let engine = Engine::podman(node, id, map, Some(100_000));
    engine.start().unwrap();
    assert!(engine.exec("cat /proc/user_beancounters").contains(&format!("{id}:")));
    assert_eq!(engine.exec("stat -c %u /proc/user_beancounters"), "0\n");
    // Its root may not mount, as podman made it.
    let script = format!("busybox umount -l {ENTRY} && echo uncovered; cat {ENTRY}");
    std::fs::write(engine.dir.path().join("rootfs/try"), &script).unwrap();
    let said = engine.exec("sh /try");
    assert!(said.contains(&format!("{id}:")) && !said.contains("uncovered"), "{said}");
    // Nor may that of a namespace inside, which may mount what it likes.
    let init = node.init(id);
    let root = ["-t", &init, "-U", "-m", "-p", "-S", "0", "/bin/busybox"];
    let nested = [&root[..], &["unshare", "-Urm", "sh", "/try"]].concat();
    let said = run("nsenter", &nested);
    assert!(said.contains(&format!("{id}:")) && !said.contains("uncovered"), "{said}");
    engine.kill();
}

fn taken_over_and_let_go(node: &Node) {
    let id = "90000943";
    let engine = Engine::oci("runc", id, Value::Null);
    engine.start().unwrap();
    let pid = engine.runc_init();
    for _ in 0..2 {
        node.done(&["view", "--attach", &pid, "--id", id, "--meminfo", "pages:65536"]);
        File::new(&engine.exec("cat /proc/user_beancounters"));
        assert!(engine.exec("cat /proc/meminfo").contains(" 262144 kB"));
        let again = node.ubc(&["view", "--attach", &pid]);
        assert_eq!(again.status.code(), Some(73), "{}", text(&again.stderr));
        node.done(&["view", "--detach", id]);
        assert_eq!(engine.exec("cat /proc/user_beancounters"), "");
        assert!(!engine.exec("cat /proc/self/mountinfo").contains("fuse.ubc"));
    }
    engine.kill();
}

/// Last: it unloads the module.
fn the_name_may_go_under_a_view(node: &Node, module: Module) {
    let id = "90000944";
    let mut container = node.container(id, &[]);
    container.file();
    drop(module);
    assert!(!Path::new(ENTRY).exists());
    assert_eq!(container.sh("test -e /proc/user_beancounters || echo gone"), "gone");
    assert!(!container.sh("cat /proc/self/mountinfo").contains("fuse.ubc"));
    // The container and its rows live on.
    assert!(node.done(&["show", id]).contains("numproc"));
    assert_eq!(container.end(), Some(0));
    let mut next = node.container("90000945", &[]);
    next.file();
    assert!(node.done(&["show", "90000945"]).contains("view by procroot"));
}

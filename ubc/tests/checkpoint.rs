//! `ubc runtime checkpoint` and `restore`, with a runtime that writes nothing down in the place
//! of the real one: what is there to find, and what is put back.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::engine::behind::{ids, oci, wrapper};
use common::engine::installed;
use common::engine::lives::{INIT, executable, goes_on, has_counted, view};
use common::engine::traces::{Traces, nothing_is_kept};
use common::{Node, wait_until};

/// A runtime that has runc do everything but what takes CRIU, and tells what it saw: the
/// container is killed instead of written down, and started anew instead of restored.
fn without_criu(dir: &Path) -> PathBuf {
    let path = dir.join("recorded");
    let script = r#"#!/bin/sh
dir=$(dirname "$0")
for word; do last=$word; done
before=
verb=
for word; do
    case $word in
        checkpoint|restore) verb=$word; break ;;
        *) before="$before $word" ;;
    esac
done
case $verb in
checkpoint)
    echo "$*" >>"$dir/asked"
    pid=$(runc $before state "$last" | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')
    cat "/proc/$pid/root/proc/user_beancounters" >>"$dir/seen" 2>&1
    grep -c fuse "/proc/$pid/mountinfo" >>"$dir/fuse"
    [ ! -e "$dir/fails" ] || exit 3
    case $* in *--leave-running*|*--pre-dump*) exit 0 ;; esac
    runc $before delete --force "$last"
    ;;
restore)
    echo "$*" >>"$dir/asked"
    bundle=$(echo "$*" | sed 's/.*--bundle \([^ ]*\).*/\1/')
    cp "$bundle/config.json" "$dir/config.json"
    exec runc $before run --detach --bundle "$bundle" "$last"
    ;;
*) exec runc "$@" ;;
esac
"#;
    executable(&path, script);
    path
}

#[test]
fn whoever_writes_a_container_down_finds_no_view_and_what_it_counted_is_kept() {
    if common::skip() || !installed("runc") {
        return;
    }
    let node = Node::start();
    let id = "90001821";
    let runtime = without_criu(node.dir.path());
    let engine = oci(&node, "runc", id).behind(&behind(&node, &runtime));
    executable(&engine.root().join("init"), INIT);
    let before = Traces::before(&node, &[engine.dir.path()]);
    engine.start().unwrap();
    let traces = before.of(&node, id);
    let peak = has_counted(&node, &engine, id);
    let told = |name: &str| std::fs::read_to_string(node.dir.path().join(name)).unwrap_or_default();
    let images = node.dir.path().join("images");
    std::fs::create_dir(&images).unwrap();
    let verb = |verb: &str| format!("{verb} --image-path {} ct{id}", images.display());

    // It runs on, because it was to or because it had to: the view is back.
    engine.start_by(&verb("checkpoint --leave-running")).unwrap();
    assert_eq!(told("fuse"), "0\n");
    assert!(!told("seen").contains("Version"), "{}", told("seen"));
    view(&engine, id);
    engine.start_by(&verb("checkpoint --pre-dump")).unwrap();
    std::fs::write(node.dir.path().join("fails"), "").unwrap();
    engine.start_by(&verb("checkpoint")).unwrap_err();
    view(&engine, id);
    std::fs::remove_file(node.dir.path().join("fails")).unwrap();

    engine.start_by(&verb("checkpoint --work-path /w")).unwrap();
    wait_until("its end", || ids(&node).is_empty());
    traces.are_gone(&node);
    nothing_is_kept(&node);
    assert_eq!(told("fuse"), "0\n0\n0\n0\n");
    assert!(told("asked").ends_with(&format!("--image-path {} ct{id}\n", images.display())));
    let mode = images.join("ubc.json").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let bundle = engine.dir.path().display().to_string();
    let restore = format!("restore --detach --bundle {bundle} --image-path {}", images.display());
    // A record that makes no sense is told before anything starts.
    let record = std::fs::read(images.join("ubc.json")).unwrap();
    std::fs::write(images.join("ubc.json"), "{}").unwrap();
    let said = engine.start_by(&format!("{restore} ct{id}")).unwrap_err();
    assert!(said.contains("ubc.json: missing field `version`"), "{said}");
    let said = engine.start_by(&verb(&format!("restore --bundle {bundle}"))).unwrap_err();
    assert!(said.contains("accepted: restore --detach"), "{said}");
    assert!(!told("asked").contains("restore"), "{}", told("asked"));
    std::fs::write(images.join("ubc.json"), record).unwrap();

    engine.start_by(&format!("{restore} ct{id}")).unwrap();
    goes_on(&node, &engine, id, peak);
    // Runtimes run it at a restore before there is a /proc.
    let config: serde_json::Value = serde_json::from_str(&told("config.json")).unwrap();
    assert_eq!(config["hooks"]["createRuntime"], serde_json::json!([]), "{config}");
    assert_eq!(config["hooks"]["poststop"].as_array().unwrap().len(), 1);
}

/// `ubc runtime` before a runtime that is no command in PATH.
fn behind(node: &Node, runtime: &Path) -> PathBuf {
    let name = wrapper(node, "recorded", "");
    let conf = node.dir.path().join("recorded.conf");
    std::fs::write(conf, format!("RUNTIME={}\n", runtime.display())).unwrap();
    name
}

#[test]
fn the_view_comes_back_when_the_one_who_had_it_taken_away_is_killed() {
    if common::skip() || !installed("runc") {
        return;
    }
    let mut node = Node::start();
    let id = "90001822";
    let runtime = without_criu(node.dir.path());
    let engine = oci(&node, "runc", id).behind(&behind(&node, &runtime));
    engine.start().unwrap();
    let request = format!("{{\"op\":\"uncover\",\"name\":\"ct{id}\"}}\n");
    let talk = || {
        use std::io::{BufRead, BufReader, Write};
        let stream = std::os::unix::net::UnixStream::connect(node.dir.path().join("ubc.sock"));
        let mut stream = BufReader::new(stream.unwrap());
        let mut line = String::new();
        for request in ["{\"op\":\"hello\",\"version\":6}\n", &request] {
            line.clear();
            stream.get_mut().write_all(request.as_bytes()).unwrap();
            stream.read_line(&mut line).unwrap();
        }
        assert!(line.contains("\"saved\":{"), "{line}");
        stream
    };
    let held = talk();
    assert!(!engine.exec("ls /proc").contains("user_beancounters"));
    drop(held);
    let file = "cat /proc/user_beancounters";
    wait_until("the view", || engine.try_exec(file).contains(&format!("{id}:")));
    // And when the daemon is.
    let held = talk();
    node.restart_daemon();
    drop(held);
    view(&engine, id);
}

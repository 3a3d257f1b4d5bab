//! `ubc runtime` in the place of a container runtime: what annotations ask for is
//! there from the first moment, nobody sees a changed bundle, and nothing is left.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::engine::behind::{ids, mounts, oci, wrapper};
use common::engine::{Engine, installed};
use common::{File, Node, UBC, wait_until};
use serde_json::{Value, json};

/// The file that a runtime reads, and what else is in its directory.
fn bundle(dir: &Path) -> (Vec<u8>, u64, Vec<std::ffi::OsString>) {
    let config = dir.join("config.json");
    let mut names: Vec<_> =
        dir.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    // What the test itself and its runtime write.
    names.retain(|name| name != "said" && name != "state");
    names.sort();
    (std::fs::read(&config).unwrap(), config.metadata().unwrap().ino(), names)
}

/// Whether anything has the container's root.
fn runs(engine: &Engine) -> bool {
    let root = engine.root().metadata().unwrap();
    let same = |at: PathBuf| {
        at.metadata().is_ok_and(|its| (its.dev(), its.ino()) == (root.dev(), root.ino()))
    };
    let processes = std::fs::read_dir("/proc").unwrap();
    processes.filter_map(Result::ok).any(|process| same(process.path().join("root")))
}

#[test]
fn the_bundle_stays_as_it_is_in_the_eyes_of_everybody_else() {
    if common::skip() || !installed("runc") {
        return;
    }
    let node = Node::start();
    let engine = oci(&node, "runc", "90001804");
    let dir = engine.dir.path().to_owned();
    let before = bundle(&dir);
    engine.start().unwrap();
    assert_eq!(bundle(&dir), before);
    engine.kill();
    assert_eq!(bundle(&dir), before);
    let left: Vec<_> = node.dir.path().read_dir().unwrap().map(|e| e.unwrap().path()).collect();
    assert!(left.iter().all(|path| !path.to_string_lossy().contains("config")), "{left:?}");
}

#[test]
fn a_container_that_is_removed_while_no_daemon_runs_leaves_nothing() {
    if common::skip() || !installed("runc") {
        return;
    }
    let mut node = Node::start();
    let engine = oci(&node, "runc", "90001810");
    engine.start().unwrap();
    let init = PathBuf::from("/proc").join(node.init("90001810"));
    node.kill_daemon();
    engine.kill();
    wait_until(&format!("the end of its init {}", init.display()), || !init.exists());
    node.start_daemon();
    assert_eq!(ids(&node), [0; 0]);
    assert_eq!(mounts(engine.dir.path()), [""; 0]);
    engine.start().unwrap();
    assert_eq!(ids(&node), [90_001_810]);
    engine.kill();
    wait_until("its end", || ids(&node).is_empty());
}

#[test]
fn what_is_wrong_in_an_annotation_is_told_and_nothing_starts() {
    if common::skip() || !installed("runc") {
        return;
    }
    let node = Node::start();
    let engine = oci(&node, "runc", "90001805");
    for (name, value, says) in [
        ("numfile", "many", "annotation org.openvz.ubc.numfile: \"many\": "),
        ("numfiles", "5", "annotation org.openvz.ubc.numfiles=\"5\": no such name; accepted: "),
        ("ctid", "0", "annotation org.openvz.ubc.ctid=0; accepted: 1 to 99999999"),
        ("profile", "../101", "annotation org.openvz.ubc.profile: "),
    ] {
        let mut old = Value::Null;
        engine.configure(|config| {
            let annotations = &mut config["annotations"];
            old = annotations.clone();
            annotations[format!("org.openvz.ubc.{name}")] = value.into();
        });
        let said = engine.start().unwrap_err();
        assert!(said.starts_with("ubc: /") && said.contains(says), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!runs(&engine));
        assert_eq!((mounts(engine.dir.path()), ids(&node)), (vec![], vec![]));
        engine.configure(|config| config["annotations"] = old);
    }
    // Whoever says so has the container without.
    let engine = engine.behind(&wrapper(&node, "runc", "ON_ERROR=warn\n"));
    engine.configure(|config| config["annotations"]["org.openvz.ubc.numfile"] = "many".into());
    engine.start().unwrap();
    assert_eq!(engine.exec("cat /proc/1/comm"), "init\n");
    assert!(!engine.exec("ls /proc").contains("user_beancounters"));
    assert_eq!(ids(&node), [0; 0]);
}

#[test]
fn broken_settings_keep_nobody_from_killing_a_container() {
    if common::skip() || !installed("runc") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (link, conf) = (dir.path().join("ubc-runc"), dir.path().join("runtime.conf"));
    std::os::unix::fs::symlink(UBC, &link).unwrap();
    std::fs::write(&conf, "PROFIEL=light\n").unwrap();
    let ask = |words: &[&str]| {
        let mut command = Command::new(&link);
        command.env("UBC_RUNTIME_CONF", &conf).args(words).output().unwrap()
    };
    let version = ask(&["--version"]);
    assert!(common::text(&version.stdout).starts_with("runc version "), "{version:?}");
    let log = dir.path().join("log");
    let log = log.to_str().unwrap();
    let made = ask(&["--log", log, "--log-format", "json", "create", "--bundle", "/b", "web"]);
    assert_eq!(made.status.code(), Some(65), "{made:?}");
    let says = format!("{}, line 1: PROFIEL: no such setting; accepted: ", conf.display());
    assert!(common::text(&made.stderr).starts_with(&format!("ubc: {says}")), "{made:?}");
    // Engines look there.
    let last: Value = serde_json::from_slice(&std::fs::read(log).unwrap()).unwrap();
    assert_eq!(last["level"], "error");
    assert!(last["msg"].as_str().unwrap().starts_with(&format!("ubc: {says}")), "{last}");
}

#[test]
fn the_runtime_is_found_by_an_engine_that_clears_the_environment() {
    for real in ["runc", "crun"].into_iter().filter(|real| installed(real)) {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join(format!("ubc-{real}"));
        std::os::unix::fs::symlink(UBC, &link).unwrap();
        let version = common::output(Command::new(&link).env_clear().arg("--version"));
        assert!(version.starts_with(&format!("{real} version ")), "{version}");
    }
}

#[test]
fn a_container_gets_its_file_or_else_the_profile_of_the_settings() {
    if common::skip() || !installed("runc") || !common::imposes("numfile") {
        return;
    }
    let node = Node::start();
    let etc = node.dir.path().join("etc");
    std::fs::create_dir_all(etc.join("conf")).unwrap();
    std::fs::write(etc.join("conf/90001806.conf"), "NUMFILE=\"700:700\"\n").unwrap();
    std::fs::write(etc.join("conf/ve-small.conf-sample"), "NUMFILE=\"800:800\"\n").unwrap();
    let settings = format!("PROFILE=small\nCONFIG_DIR={}\n", etc.display());
    for (id, limit) in [("90001806", 700), ("90001807", 800)] {
        let engine = oci(&node, "runc", id).behind(&wrapper(&node, "runc", &settings));
        engine.configure(|config| {
            config["annotations"] = json!({ "org.openvz.ubc.ctid": id });
        });
        engine.start().unwrap();
        let file = File::new(&engine.exec("cat /proc/user_beancounters"));
        assert_eq!(file.row("numfile")[3], limit);
    }
}

#[test]
fn what_is_mounted_in_a_shared_volume_reaches_the_host_as_with_the_runtime_alone() {
    if common::skip() || !installed("runc") {
        return;
    }
    if !Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        println!("SKIP: cgroup v2 is mounted for the runtime alone, and nothing it mounts is seen");
        return;
    }
    let node = Node::start();
    // The bundle is on the mount that the volume is from.
    let shared = tempfile::tempdir().unwrap();
    let shared = Tmpfs::on(shared);
    let volume = shared.0.path().join("volume");
    let inner = volume.join("inner");
    std::fs::create_dir_all(&inner).unwrap();
    let alone = Engine::oci("runc", "90001808", Value::Null);
    for (engine, at) in [(alone, "alone"), (oci(&node, "runc", "90001809"), "behind")] {
        let bundle = shared.0.path().join(at);
        std::fs::create_dir(&bundle).unwrap();
        std::fs::copy(engine.dir.path().join("config.json"), bundle.join("config.json")).unwrap();
        // Elsewhere: runc takes the mount that holds it from its peers.
        let root = engine.root();
        let engine = engine.bundle_at(&bundle);
        engine.configure(|config| {
            config["root"]["path"] = root.to_str().into();
            config["linux"]["rootfsPropagation"] = "rshared".into();
            config["mounts"].as_array_mut().unwrap().push(json!({
                "source": volume, "destination": "/volume", "type": "bind",
                "options": ["rbind", "rshared"],
            }));
            for kind in ["bounding", "effective", "permitted"] {
                let all = config["process"]["capabilities"][kind].as_array_mut().unwrap();
                all.push("CAP_SYS_ADMIN".into());
            }
        });
        engine.start().unwrap();
        engine.exec("/bin/busybox mount -t tmpfs within /volume/inner");
        assert_eq!(mounts(&inner).len(), 1, "{at}");
        engine.kill();
        common::output(Command::new("umount").arg(&inner));
    }
}

/// A file system of its own that is shared with all that see it.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn on(dir: tempfile::TempDir) -> Tmpfs {
        common::output(Command::new("mount").args(["-t", "tmpfs", "ubctest"]).arg(dir.path()));
        common::output(Command::new("mount").arg("--make-shared").arg(dir.path()));
        Tmpfs(dir)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        drop(Command::new("umount").args(["-R", "-l"]).arg(self.0.path()).output());
    }
}

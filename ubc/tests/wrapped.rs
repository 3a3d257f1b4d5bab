//! `ubc runtime` in the place of a container runtime: what annotations ask for is
//! there from the first moment, nobody sees a changed bundle, and nothing is left.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::engine::cri::Pod;
use common::engine::daemons::{Daemon, Nspawn};
use common::engine::{Engine, installed};
use common::{File, Node, UBC, wait_until};
use serde_json::{Value, json};

/// Enough for a runtime to enter a container, and soon used up.
const NUMFILE: u64 = 300;

/// One row of the table of runtimes: what was shown of it when its test ended.
struct Shown {
    row: String,
    what: Vec<&'static str>,
}

impl Shown {
    fn of(row: &str) -> Shown {
        Shown { row: row.to_owned(), what: Vec::new() }
    }

    fn add(&mut self, what: &'static str) {
        self.what.push(what);
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let shown = self.what.join(", ");
        let text = match (std::thread::panicking(), shown.as_str()) {
            (true, "") => "FAILED".to_owned(),
            (true, _) => format!("{shown}; then FAILED"),
            (false, "") => "skipped".to_owned(),
            (false, _) => shown,
        };
        println!("FACT: runtimes | {} | {text}", self.row);
    }
}

/// `ubc runtime` before this runtime, as engines want it: one path.
fn wrapper(node: &Node, real: &str, settings: &str) -> PathBuf {
    let dir = node.dir.path();
    let conf = dir.join(format!("{real}.conf"));
    std::fs::write(&conf, format!("RUNTIME={real}\n{settings}")).unwrap();
    let path = dir.join(format!("ubc-{real}"));
    let (conf, run) = (conf.display(), dir.display());
    let line = format!("UBC_RUNTIME_CONF={conf} exec {UBC} --run-dir {run} runtime \"$@\"");
    std::fs::write(&path, format!("#!/bin/sh\n{line}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A bundle without hooks, whose annotations say it all.
fn oci(node: &Node, real: &str, id: &str) -> Engine {
    let engine = Engine::oci(real, id, Value::Null).behind(&wrapper(node, real, ""));
    engine.configure(|config| {
        config["annotations"]["org.openvz.ubc.numfile"] = format!("{NUMFILE}:{NUMFILE}").into();
    });
    engine
}

fn ids(node: &Node) -> Vec<u64> {
    let list = node.json(&["list", "--json"]);
    list.as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect()
}

/// The mounts at or below a directory, in this process's mount namespace.
fn mounts(below: &Path) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let place =
        |line: &&str| line.split(' ').nth(1).is_some_and(|at| Path::new(at).starts_with(below));
    table.lines().filter(place).map(str::to_owned).collect()
}

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

/// What is run in a container: each entry takes an emulated machine seconds.
const TOLD: &str = "#!/bin/sh\nPATH=/bin\ncat /proc/user_beancounters\necho ----\nrefused numfile 2>&1\n\
                    echo ----\ncat /proc/user_beancounters\n";

/// Puts what is run in it into a container's root file system.
fn furnish(root: &Path) {
    common::install_example("refused", root);
    let path = root.join("bin/told");
    std::fs::write(&path, TOLD).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// What its annotations asked for is there, and refused beyond.
fn has_what_it_is_to_have(node: &Node, engine: &Engine, id: &str, shown: &mut Shown) {
    let refuses = common::imposes("numfile");
    // Where nothing refuses it would take its time.
    let told = engine.exec(if refuses { "/bin/told" } else { "/bin/cat /proc/user_beancounters" });
    let mut parts = told.split("----\n");
    let mut part = || parts.next().unwrap_or_default();
    let (before, said, after) = (part(), part(), part());
    assert!(before.starts_with("Version: 2.5\n") && before.contains(&format!("{id}:")), "{told}");
    shown.add("view");
    if refuses {
        assert_eq!(File::new(before).row("numfile")[2..], [NUMFILE, NUMFILE, 0], "{told}");
        assert!(said.contains("(os error 23)"), "{told}");
        let [_, maxheld, .., failcnt] = File::new(after).row("numfile");
        assert_eq!(maxheld, NUMFILE, "{told}");
        shown.add("limit refused");
        assert!(said.trim_end().ends_with(&format!("failcnt 0 -> {failcnt}")), "{told}");
        let rows = node.json(&["show", id, "--json"])["reading"]["rows"]["numfile"].clone();
        assert_eq!(rows["failcnt"], failcnt, "{rows}");
        shown.add("failcnt");
    }
}

/// From the start of a container to its end, by force.
fn check(node: &mut Node, engine: &Engine, id: &str, shown: &mut Shown) {
    furnish(&engine.root());
    let unmounted = || assert_eq!(mounts(engine.dir.path()), [""; 0]);
    engine.start().unwrap();
    has_what_it_is_to_have(node, engine, id, shown);
    let seen = mounts(engine.dir.path());
    assert!(!seen.iter().any(|line| line.contains("/config.json")), "{seen:?}");

    kill_9(&node.init(id));
    wait_until("its end", || ids(node).is_empty());
    engine.kill();
    unmounted();
    shown.add("init killed");

    // It can be made again; then the daemon dies first.
    engine.start().unwrap();
    let init = PathBuf::from("/proc").join(node.init(id));
    node.kill_daemon();
    engine.kill();
    wait_until(&format!("the end of its init {}", init.display()), || !init.exists());
    node.start_daemon();
    assert_eq!(ids(node), [0; 0]);
    unmounted();
    shown.add("daemon killed");
    engine.start().unwrap();
    assert_eq!(ids(node), [id.parse::<u64>().unwrap()]);
    engine.kill();
    wait_until("its end", || ids(node).is_empty());
    unmounted();
    shown.add("removed");
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

fn kill_9(pid: &str) {
    common::output(Command::new("kill").args(["-9", pid]));
}

fn a_bundle(real: &str, id: &str) {
    let mut shown = Shown::of(&format!("{real} behind ubc runtime"));
    if common::skip() || !installed(real) {
        return;
    }
    let mut node = Node::start();
    let engine = oci(&node, real, id);
    check(&mut node, &engine, id, &mut shown);
}

#[test]
fn runc_leaves_nothing_when_it_is_killed() {
    a_bundle("runc", "90001801");
}

#[test]
fn crun_leaves_nothing_when_it_is_killed() {
    a_bundle("crun", "90001802");
}

#[test]
fn youki_leaves_nothing_when_it_is_killed() {
    a_bundle("youki", "90001803");
}

/// What `oci` has in its bundle.
fn annotations(id: &str) -> [(&'static str, String); 2] {
    [
        ("org.openvz.ubc.ctid", id.to_owned()),
        ("org.openvz.ubc.numfile", format!("{NUMFILE}:{NUMFILE}")),
    ]
}

#[test]
fn podman_leaves_nothing_when_it_is_killed() {
    let mut shown = Shown::of("podman --runtime");
    if common::skip() || !installed("podman") || !installed("crun") {
        return;
    }
    let mut node = Node::start();
    let id = "90001811";
    let engine = Engine::podman_behind(&wrapper(&node, "crun", ""), id, &annotations(id));
    check(&mut node, &engine, id, &mut shown);
}

#[test]
fn containerd_leaves_nothing_when_it_is_killed() {
    let mut shown = Shown::of("containerd, ctr --runc-binary");
    if common::skip() || !installed("containerd") {
        return;
    }
    let mut node = Node::start();
    let id = "90001812";
    let daemon = Daemon::containerd("disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n");
    let engine = Engine::ctr(&daemon, &wrapper(&node, "runc", ""), id, &annotations(id));
    check(&mut node, &engine, id, &mut shown);
}

#[test]
fn a_kubelets_pod_leaves_nothing_when_it_is_killed() {
    let mut shown = Shown::of("Kubernetes, containerd's CRI");
    if common::skip() || !installed("containerd") || !installed("curl") {
        return;
    }
    let node = Node::start();
    let id = "90001815";
    let mut pod = Pod::new(&wrapper(&node, "runc", ""), furnish);
    let refused = pod.start(&[("org.openvz.ubc.numfile", "many".to_owned())]).err().unwrap();
    assert!(refused.contains("annotation org.openvz.ubc.numfile"), "{refused}");
    assert_eq!(ids(&node), [0; 0]);
    shown.add("bad annotation refused");
    pod.remove();
    let engine = pod.start(&annotations(id)).unwrap();
    // The one that holds the namespaces is nobody's.
    assert_eq!(ids(&node), [id.parse::<u64>().unwrap()]);
    has_what_it_is_to_have(&node, &engine, id, &mut shown);
    kill_9(&node.init(id));
    wait_until("its end", || ids(&node).is_empty());
    shown.add("init killed");
    pod.remove();
    shown.add("removed");
}

#[test]
fn docker_leaves_nothing_when_it_is_killed() {
    let mut shown = Shown::of("docker --runtime");
    if common::skip() || !installed("dockerd") || !installed("docker") {
        return;
    }
    let mut node = Node::start();
    let id = "90001813";
    let daemon = Daemon::docker(&wrapper(&node, "runc", ""));
    let engine = Engine::docker(&daemon, id, &annotations(id));
    furnish(&engine.root());
    engine.import();
    check(&mut node, &engine, id, &mut shown);
}

/// Files of configuration that give a container what annotations give others.
fn configured(node: &Node, id: &str) -> String {
    let etc = node.dir.path().join("etc");
    std::fs::create_dir_all(etc.join("conf")).unwrap();
    let text = format!("NUMFILE=\"{NUMFILE}:{NUMFILE}\"\n");
    std::fs::write(etc.join(format!("conf/{id}.conf")), text).unwrap();
    format!("{UBC} --run-dir {} --config-dir {}", node.dir.path().display(), etc.display())
}

#[test]
fn lxc_leaves_nothing_when_it_is_killed() {
    let mut shown = Shown::of("LXC, lxc.hook.start-host");
    if common::skip() || !installed("lxc-start") {
        return;
    }
    let mut node = Node::start();
    let id = "90001814";
    let ubc = configured(&node, id);
    let engine = Engine::lxc_with(&ubc, id);
    check(&mut node, &engine, id, &mut shown);
}

#[test]
fn nspawn_leaves_nothing_when_it_is_killed() {
    let mut shown = Shown::of("systemd-nspawn, a drop-in");
    if common::skip() || !installed("systemd-nspawn") {
        return;
    }
    if !Path::new("/run/systemd/system").exists() {
        println!("SKIP: systemd is not this machine's init");
        return;
    }
    let mut node = Node::start();
    // The first number, which the name then keeps.
    let id = "10000000";
    let (_units, engine) = Nspawn::of(&configured(&node, id), "ubctest");
    check(&mut node, &engine, id, &mut shown);
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

//! The daemon ends in every way it can while containers are being read.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::{Container, File, Node, UBC, skip, wait_until};

const IDS: [&str; 3] = ["90000971", "90000972", "90000973"];

/// How often the daemon is killed; `UBC_KILLS` asks for more.
const KILLS: u64 = 6;

fn kills() -> u64 {
    std::env::var("UBC_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS)
}

/// Different moments in each round, the same in each run.
struct Moments(u64);

impl Moments {
    fn next(&mut self) -> Duration {
        // xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // As often while it starts as while it serves.
        Duration::from_micros(self.0 % 1_500_000)
    }
}

/// Lets readers end, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn signal(pid: u32, name: &str) {
    drop(Command::new("kill").args([name, &pid.to_string()]).stderr(Stdio::null()).status());
}

/// The file of a container, as its processes see it.
fn file_of(node: &Node, id: &str) -> PathBuf {
    format!("/proc/{}/root/proc/user_beancounters", node.init(id)).into()
}

/// Reads until told to stop, with no failure and no count that falls; how
/// often.
fn read_on(path: &Path, stop: &AtomicBool) -> u64 {
    let (mut last, mut done): (Option<File>, u64) = (None, 0);
    while !stop.load(Ordering::Relaxed) {
        let file = File::new(&std::fs::read_to_string(path).unwrap());
        for row in ["numproc", "numfile", "privvmpages", "physpages", "kmemsize"] {
            let [_, maxheld, _, _, failcnt] = file.row(row);
            let [_, before, _, _, failed] = last.as_ref().map_or([0; 5], |last| last.row(row));
            assert!(maxheld >= before, "{row}: maxheld {before}, then {maxheld}");
            assert!(failcnt >= failed, "{row}: failcnt {failed}, then {failcnt}");
        }
        last = Some(file);
        done += 1;
    }
    done
}

/// The same by a program inside.
fn start_reader(container: &mut Container) {
    container.sh("while [ ! -e /tmp/stop ]; do
            lines=$(cat /proc/user_beancounters | wc -l)
            [ \"$lines\" = 26 ] || echo \"$lines\" >>/tmp/bad
            cat /proc/1/comm /proc/self/status >/dev/null || echo comm >>/tmp/bad
            echo >>/tmp/good
        done &");
}

fn check_reader(container: &mut Container) {
    container.sh("touch /tmp/stop");
    assert_eq!(container.sh("cat /tmp/bad 2>/dev/null"), "");
    assert_ne!(container.sh("wc -l </tmp/good"), "0");
}

/// A peak that only our own counts know of: the kernel remembers none.
fn reach_a_peak(container: &mut Container, path: &Path) -> u64 {
    container.sh("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 600 & done");
    let peak = File::new(&std::fs::read_to_string(path).unwrap()).row("numfile")[1];
    container.sh("kill $(jobs -p); wait 2>/dev/null");
    peak
}

#[test]
fn killing_the_daemon_at_any_moment_fails_no_read_and_loses_no_count_or_limit() {
    if skip() {
        return;
    }
    let node = Node::start();
    let mut containers: Vec<Container> =
        IDS.iter().map(|id| node.container(id, &["--numproc", "400:500"])).collect();
    let files: Vec<PathBuf> = IDS.iter().map(|id| file_of(&node, id)).collect();
    let peaks: Vec<u64> = containers
        .iter_mut()
        .zip(&files)
        .map(|(container, file)| reach_a_peak(container, file))
        .collect();
    containers.iter_mut().for_each(start_reader);
    let stop = AtomicBool::new(false);
    let done = AtomicU64::new(0);
    let host = node.dir.path().join("proc/user_beancounters");
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        for path in &files {
            let (stop, done) = (&stop, &done);
            scope.spawn(move || done.fetch_add(read_on(path, stop), Ordering::Relaxed));
        }
        let (stop_host, host) = (&stop, &host);
        scope.spawn(move || {
            while !stop_host.load(Ordering::Relaxed) {
                let text = std::fs::read_to_string(host).unwrap();
                assert_eq!(text.lines().count(), 2 + 3 * 24, "{text}");
            }
        });
        let mut moments = Moments(0x9E37_79B9_7F4A_7C15);
        for round in 0..kills() {
            signal(node.daemon_pid(), "-9");
            std::thread::sleep(moments.next());
            if round % 3 == 0 {
                // Commands wait as readers do.
                let barrier = 401 + round % 90;
                let limit = format!("{barrier}:500");
                node.done(&["set", IDS[1], "--numproc", &limit]);
                let shown = node.json(&["show", IDS[1], "--json"]);
                assert_eq!(shown["configured"]["numproc"]["barrier"], barrier, "{shown}");
            }
        }
        assert_eq!(node.json(&["list", "--json"]).as_array().unwrap().len(), 3);
    });
    println!("{} files read over {} kills", done.into_inner(), kills());
    for (container, (peak, path)) in containers.iter_mut().zip(peaks.iter().zip(&files)) {
        check_reader(container);
        let file = File::new(&std::fs::read_to_string(path).unwrap());
        assert!(file.row("numfile")[1] >= *peak, "{} < {peak}", file.row("numfile")[1]);
    }
    let configured = |id: &str| node.json(&["show", id, "--json"])["configured"]["numproc"].clone();
    assert_eq!(configured(IDS[0]), serde_json::json!({"barrier": 400, "limit": 500}));
    for container in containers {
        assert_eq!(container.end(), Some(0));
    }
    wait_until("their ends", || node.json(&["list", "--json"]) == serde_json::json!([]));
    for id in IDS {
        wait_until("its directory's end", || !node.home(id).exists());
    }
    assert_eq!(std::fs::read_dir(node.dir.path().join("kept")).unwrap().count(), 0);
}

#[test]
fn an_upgrade_a_restart_and_an_abort_are_not_noticed_by_readers() {
    if skip() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("ubc");
    std::fs::copy(UBC, &program).unwrap();
    let node = Node::start_with(&program);
    let mut container = node.container("90000982", &[]);
    start_reader(&mut container);
    let file = file_of(&node, "90000982");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        let (file, stop) = (&file, &stop);
        scope.spawn(move || assert!(read_on(file, stop) > 0));
        let runs = |pid: u32| std::fs::metadata(format!("/proc/{pid}/exe")).unwrap().ino();
        let old = node.daemon_pid();
        let successor = |old: u32| {
            wait_until("the next daemon", || node.daemon_pid() != old);
            node.done(&["list"]);
            node.daemon_pid()
        };
        // As a package manager does: another file under the same name.
        let new = dir.path().join("ubc.new");
        std::fs::copy(UBC, &new).unwrap();
        std::fs::rename(&new, &program).unwrap();
        let upgraded = std::fs::metadata(&program).unwrap().ino();
        assert_ne!(runs(old), upgraded);
        signal(old, "-HUP");
        let next = successor(old);
        assert_eq!(runs(next), upgraded);
        signal(next, "-ABRT");
        let next = successor(next);
        signal(next, "-HUP");
        successor(next);
    });
    check_reader(&mut container);
    assert_eq!(container.end(), Some(0));
}

#[test]
fn a_daemon_that_is_stopped_leaves_a_native_proc_and_the_next_one_brings_the_view_back() {
    if skip() {
        return;
    }
    let mut node = Node::start();
    let mut container = node.container("90000984", &["--numproc", "400:500"]);
    let peak = reach_a_peak(&mut container, &file_of(&node, "90000984"));
    node.stop_daemon();
    assert_eq!(container.sh("ls /proc/user_beancounters 2>/dev/null"), "");
    assert_eq!(container.sh("cat /proc/1/comm"), "sh");
    node.start_daemon();
    assert!(container.file().row("numfile")[1] >= peak);
    // Nobody held anything, and the view it left is dead.
    node.kill_daemon();
    node.start_daemon();
    assert!(container.file().row("numfile")[1] >= peak);
    assert_eq!(container.sh("cat /proc/1/comm"), "sh");
    let shown = node.json(&["show", "90000984", "--json"]);
    assert_eq!(shown["configured"]["numproc"]["limit"], 500);
    assert_eq!(container.end(), Some(0));
}

#[test]
fn what_is_stale_or_damaged_is_said_and_does_not_stop_the_daemon() {
    if skip() {
        return;
    }
    let mut node = Node::start();
    let mut ended = node.container("90000986", &[]);
    let mut lives = node.container("90000987", &[]);
    ended.sh("true");
    let init = node.init("90000986");
    node.kill_daemon();
    signal(init.parse().unwrap(), "-9");
    let kept = node.dir.path().join("kept");
    std::fs::write(kept.join("90000996.json"), "{\"version\":1,\"bo").unwrap();
    std::fs::write(kept.join(format!("{}.counts", "90000987")), "").unwrap();
    let other = std::fs::read_to_string(kept.join(format!("{}.json", "90000987"))).unwrap();
    let other = other.replace("90000987", "90000997").replace("\"boot\":\"", "\"boot\":\"not ");
    std::fs::write(kept.join("90000997.json"), other).unwrap();
    node.start_daemon();
    let list = node.json(&["list", "--json"]);
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list[0]["id"], 90_000_987);
    assert_eq!(lives.file().row("numproc")[0], 2);
    let said = node.said();
    let says = |what: &str| assert!(said.contains(what), "{what}: {said}");
    says("90000996.json.damaged");
    says("container 90000997: not resumed: it is from before the machine was started");
    says("has ended meanwhile");
    assert_eq!(ended.end(), Some(137));
    assert_eq!(lives.end(), Some(0));
}

/// Removes all that is not mounted somewhere, as a careless script does.
fn wipe(node: &Node) {
    for name in ["kept", "ubc.sock", "serving", "notify", "lock", "starting"] {
        let path = node.dir.path().join(name);
        drop(std::fs::remove_dir_all(&path));
        drop(std::fs::remove_file(&path));
    }
}

#[test]
fn a_run_directory_that_was_wiped_is_made_again() {
    if skip() {
        return;
    }
    let node = Node::start();
    let mut container = node.container("90000988", &[]);
    let old = node.daemon_pid();
    wipe(&node);
    signal(old, "-9");
    wait_until("the next daemon", || node.daemon_pid() != old);
    wait_until("its socket", || node.dir.path().join("ubc.sock").exists());
    // It knows nothing of the container, which runs on with its own /proc.
    assert_eq!(node.json(&["list", "--json"]), serde_json::json!([]));
    assert_eq!(container.sh("echo lives"), "lives");
    container.end();
}

#[test]
fn a_run_directory_that_is_wiped_under_a_daemon_costs_neither_the_daemon_nor_its_containers() {
    if skip() {
        return;
    }
    let node = Node::start();
    let mut container = node.container("90000991", &["--numproc", "400:500"]);
    let file = file_of(&node, "90000991");
    let peak = reach_a_peak(&mut container, &file);
    let old = node.daemon_pid();
    wipe(&node);
    // Both of them look every few seconds, and not at the same time.
    let has = |name: &str| node.dir.path().join(name).exists();
    wait_until("their files", || has("ubc.sock") && has("notify") && has("lock"));
    assert_eq!(node.json(&["list", "--json"])[0]["id"], 90_000_991);
    let second = node.ubc(&["daemon"]);
    assert!(String::from_utf8_lossy(&second.stderr).contains("runs already"), "{second:?}");
    assert_eq!(node.daemon_pid(), old);
    // And the next one finds everything that this one knew.
    signal(old, "-9");
    wait_until("the next daemon", || node.daemon_pid() != old);
    let shown = node.json(&["show", "90000991", "--json"]);
    assert_eq!(shown["configured"]["numproc"]["barrier"], 400, "{shown}");
    assert!(File::new(&std::fs::read_to_string(&file).unwrap()).row("numfile")[1] >= peak);
    node.done(&["set", "90000991", "--numproc", "401:500"]);
    // Of what was held nothing is lost, so a view can still be made.
    let mut other = node.container("90000992", &[]);
    assert!(other.file().held("numproc") >= 1);
    assert_eq!(other.end(), Some(0));
    // Its home was made for the old directory, and is the same.
    assert_eq!(container.end(), Some(0));
}

#[test]
fn a_reader_fails_rather_than_waits_for_ever_when_the_parent_is_gone_too() {
    if skip() {
        return;
    }
    let mut node = Node::start();
    let container = node.container("90000990", &[]);
    let file = file_of(&node, "90000990");
    assert!(std::fs::read(&file).is_ok());
    node.kill_daemon();
    assert!(std::fs::read(&file).is_err());
    let mut waited: Child = Command::new("cat").arg(&file).stderr(Stdio::null()).spawn().unwrap();
    assert!(!waited.wait().unwrap().success());
    node.start_daemon();
    assert!(std::fs::read(&file).is_ok());
    assert_eq!(container.end(), Some(0));
}

//! The CPU and I/O schedulers through the command: what is asked is in the
//! kernel's files, does something, and can be changed and taken back.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::{Node, applies, text};

/// A file of a container's cgroup.
fn file(id: &str, name: &str) -> String {
    let path = common::cgroup_mount().join("ubc").join(id).join(name);
    let text = std::fs::read_to_string(&path);
    text.unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim().to_owned()
}

/// CPU time a container has used, in microseconds.
fn used(id: &str) -> u64 {
    let stat = file(id, "cpu.stat");
    let line = stat.lines().find_map(|line| line.strip_prefix("usage_usec ")).unwrap();
    line.parse().unwrap()
}

/// CPU time of each of these containers while some of it passes.
#[expect(clippy::cast_precision_loss, reason = "seconds of microseconds")]
fn work<const N: usize>(ids: [&str; N]) -> [f64; N] {
    let (start, before) = (Instant::now(), ids.map(used));
    std::thread::sleep(Duration::from_secs(4));
    let mut n = 0;
    let wall = start.elapsed().as_micros() as f64;
    ids.map(|id| {
        n += 1;
        (used(id) - before[n - 1]) as f64 / wall
    })
}

/// Measures until it comes out right, three times at most: others on the
/// machine can spoil a ratio of work, but not make an effect that is not there
/// look right.
fn settles(mut measure: impl FnMut() -> Result<(), String>) {
    let mut wrong = Vec::new();
    for _ in 0..3 {
        match measure() {
            Ok(()) => return,
            Err(why) => wrong.push(why),
        }
    }
    panic!("{wrong:?}");
}

fn within(holds: bool, what: String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what) }
}

const LOOP: &str = "while :; do :; done &";

/// One measure at a time: they all want the CPUs.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn what_is_asked_is_in_the_files_and_can_be_changed_and_taken_back() {
    if common::skip() || !applies("cpuunits") || !applies("cpumask") || !applies("iolimit") {
        return;
    }
    let node = Node::start();
    let id = "90000501";
    let asked = ["--cpuunits", "3000", "--cpulimit", "25", "--cpumask", "0", "--nodemask", "0"];
    let mut container = node.container(id, &[&asked[..], &["--numproc", "40"]].concat());
    let is = |expected: [(&str, &str); 5]| {
        for (name, value) in expected {
            assert_eq!(file(id, name), value, "{name}");
        }
    };
    is([
        ("cpu.weight", "300"),
        ("cpu.max", "25000 100000"),
        ("cpuset.cpus", "0"),
        ("cpuset.mems", "0"),
        ("pids.max", "40"),
    ]);
    assert_eq!(container.sh("grep Cpus_allowed_list /proc/self/status"), "Cpus_allowed_list:\t0");
    let shown = node.json(&["show", id, "--json"])["schedule"]["cpulimit"].clone();
    assert_eq!((&shown["configured"], &shown["in_force"]), (&"25".into(), &"25000 100000".into()));
    assert_eq!((&shown["applied"], &shown["applied_by"]), (&true.into(), &"cpu.max".into()));

    // cpus and cpulimit share a file; the lower one counts.
    node.done(&["set", id, "--cpus", "1", "--cpulimit", "50%", "--cpuunits", "500"]);
    is([
        ("cpu.weight", "50"),
        ("cpu.max", "100000 100000"),
        ("cpuset.cpus", "0"),
        ("cpuset.mems", "0"),
        ("pids.max", "40"),
    ]);
    node.done(&["set", id, "--iolimit", "4M", "--iopslimit", "100"]);
    for line in file(id, "io.max").lines() {
        assert!(line.ends_with(" rbps=4194304 wbps=4194304 riops=100 wiops=100"), "{line}");
    }
    let table = node.done(&["show", id]);
    let line = |name: &str| {
        let found = table.lines().find(|line| line.starts_with(name)).unwrap();
        found.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(line("iolimit").starts_with("iolimit 4M ") && line("iolimit").contains("rbps=4194304"));
    assert!(!line("iolimit").contains("riops"), "{table}");
    assert_eq!(line("cpuunits "), "cpuunits 500 50 cpu.weight (untested)");
    assert_eq!(line("ioprio").split(' ').nth(1), Some("-"));

    let reset =
        ["--cpulimit", "0", "--cpus", "unlimited", "--cpuunits", "1000", "--cpumask", "all"];
    node.done(
        &[&["set", id], &reset[..], &["--iolimit", "0", "--iopslimit", "unlimited"]].concat(),
    );
    let all = std::fs::read_to_string("/sys/devices/system/cpu/possible").unwrap();
    is([
        ("cpu.weight", "100"),
        ("cpu.max", "max 100000"),
        // A cpuset with tasks in it cannot be emptied again.
        ("cpuset.cpus", all.trim()),
        ("io.max", ""),
        ("pids.max", "40"),
    ]);
}

#[test]
fn a_knob_that_fails_leaves_limits_and_knobs_as_they_were() {
    if common::skip() || !applies("cpumask") || !common::imposes("numproc") {
        return;
    }
    let node = Node::start();
    let id = "90000502";
    let mut container = node.container(id, &["--numproc", "40", "--cpuunits", "3000"]);
    let before = node.json(&["show", id, "--json"]);
    let all = ["set", id, "--numproc", "50", "--cpuunits", "500", "--cpumask", "4000"];
    let failed = node.ubc(&all);
    let error = text(&failed.stderr);
    assert_eq!(failed.status.code(), Some(78), "{error}");
    assert!(error.contains("cpumask: ") && error.lines().count() == 1, "{error}");
    assert_eq!((file(id, "pids.max"), file(id, "cpu.weight")), ("40".into(), "300".into()));
    let after = node.json(&["show", id, "--json"]);
    for what in ["configured", "schedule", "set_by"] {
        assert_eq!(after[what], before[what], "{what}");
    }
    assert_eq!(container.file().row("numproc")[2..4], [40, 40]);
    // At the start nothing is left of the container.
    let run = ["run", "--id", "90000503", "--numproc", "9", "--cpumask", "4000", "--", "true"];
    assert_eq!(node.ubc(&run).status.code(), Some(78));
    assert!(!common::cgroup_mount().join("ubc/90000503").exists());
}

#[test]
fn a_knob_nobody_heeds_is_kept_and_told_and_refused_when_strict() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let id = "90000504";
    let doctor = node.json(&["doctor", "--json"])["schedulers"].clone();
    if doctor["ioprio"]["applied"] == true {
        println!("SKIP: something heeds ioprio here");
        return;
    }
    let _container = node.container(id, &[]);
    let set = node.ubc(&["set", id, "--ioprio", "7"]);
    let warning = text(&set.stderr);
    assert!(set.status.success(), "{warning}");
    assert!(warning.contains("ioprio: 7 is kept, but not imposed here: "), "{warning}");
    let shown = node.json(&["show", id, "--json"])["schedule"]["ioprio"].clone();
    assert_eq!((&shown["configured"], &shown["applied"]), (&"7".into(), &false.into()));
    let strict = node.ubc(&["set", id, "--strict", "--ioprio", "3", "--cpuunits", "1000"]);
    assert_eq!(strict.status.code(), Some(78));
    assert!(text(&strict.stderr).starts_with("ubc: ioprio cannot be limited here: "));
    let after = node.json(&["show", id, "--json"])["schedule"].clone();
    assert_eq!((&after["ioprio"], &after["cpuunits"]["configured"]), (&shown, &().into()));
    // The default needs nobody.
    let default = node.ubc(&["set", id, "--strict", "--ioprio", "4"]);
    assert_eq!(text(&default.stderr), "");
}

#[test]
fn doctor_says_of_no_knob_that_it_is_proven_without_having_seen_it() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let doctor = node.json(&["doctor", "--json"])["schedulers"].clone();
    let said = |knob: &str| doctor[knob]["applied_by"].as_str().unwrap().to_owned();
    let has = |name: &str| PathBuf::from("/sys/fs/cgroup").join(name).exists();
    if !has("cgroup.controllers") {
        println!("SKIP: no machine with all controllers in cgroup v2");
        assert_eq!(said("cpuunits"), "not applied: cpu controller is not in cgroup v2 here");
        return;
    }
    for (knob, by) in [
        ("cpuunits", "cpu.weight (untested)"),
        ("cpulimit", "cpu.max"),
        ("cpus", "cpu.max"),
        ("iolimit", "io.max (untested)"),
        ("iopslimit", "io.max (untested)"),
    ] {
        assert_eq!(said(knob), by, "{knob}");
    }
    let one = |file| std::fs::read_to_string(file).unwrap().trim() == "0";
    for (knob, file, online) in [
        ("cpumask", "cpuset.cpus", "/sys/devices/system/cpu/online"),
        ("nodemask", "cpuset.mems", "/sys/devices/system/node/online"),
    ] {
        let proof = if one(online) { format!("{file} (untested)") } else { file.to_owned() };
        assert_eq!(said(knob), proof, "{knob}");
    }
}

#[test]
fn cpuunits_divide_a_cpu_between_two_containers() {
    if common::skip() || !applies("cpuunits") || !applies("cpumask") {
        return;
    }
    let node = Node::start();
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (a, b) = ("90000505", "90000506");
    let mut first = node.container(a, &["--cpumask", "0", "--cpuunits", "1000"]);
    let mut second = node.container(b, &["--cpumask", "0", "--cpuunits", "3000"]);
    first.sh(LOOP);
    second.sh(LOOP);
    settles(|| {
        node.done(&["set", b, "--cpuunits", "3000"]);
        let [of_a, of_b] = work([a, b]);
        println!("MEASURED: cpuunits 1000:3000 on one CPU: 1:{:.2}", of_b / of_a);
        let three = of_b / of_a;
        node.done(&["set", b, "--cpuunits", "1000"]);
        let [of_a, of_b] = work([a, b]);
        println!("MEASURED: cpuunits 1000:1000 on one CPU: 1:{:.2}", of_b / of_a);
        let one = of_b / of_a;
        within((2.0..4.5).contains(&three), format!("1:{three} at 1000:3000"))?;
        within((0.6..1.6).contains(&one), format!("1:{one} at 1000:1000"))
    });
    first.sh("kill $!");
    second.sh("kill $!");
}

#[test]
fn cpulimit_holds_from_the_start_and_is_lifted_by_set() {
    if common::skip() || !applies("cpulimit") {
        return;
    }
    let node = Node::start();
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let id = "90000507";
    let mut container = node.container(id, &["--cpulimit", "20"]);
    container.sh(LOOP);
    settles(|| {
        node.done(&["set", id, "--cpulimit", "20"]);
        let [limited] = work([id]);
        node.done(&["set", id, "--cpulimit", "unlimited"]);
        let [free] = work([id]);
        println!("MEASURED: cpulimit 20: {limited:.2} CPUs; without: {free:.2}");
        within((0.05..0.3).contains(&limited), format!("{limited} at 20 %"))?;
        within(free > 2.0 * limited, format!("{free} without a limit"))
    });
    container.sh("kill $!");
}

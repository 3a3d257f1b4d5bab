//! `ubc bench`, with programs where the kernel takes them.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::{UBC, skip, text};

fn bench(args: &[&str]) -> Output {
    Command::new(UBC).arg("bench").args(args).output().unwrap()
}

/// Nothing may stay behind that only measuring needed.
fn no_cgroup_is_left() {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = mounts.lines().find_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        (words[2] == "cgroup2").then(|| words[1].to_owned())
    });
    let left = std::fs::read_dir(Path::new(&mount.unwrap())).unwrap();
    let left: Vec<_> = left
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with("ubc-bench-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_figure_is_of_the_command_and_what_cannot_be_measured_is_said() {
    if skip() {
        return;
    }
    let busy = [
        "--rounds",
        "2",
        "--json",
        "--",
        "sh",
        "-c",
        "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done",
    ];
    let output = bench(&busy);
    let said = text(&output.stderr);
    no_cgroup_is_left();
    if output.status.code() == Some(69) {
        assert!(said.contains("nothing to measure: no program refuses here ("), "{said}");
        return;
    }
    assert!(output.status.success(), "{said}");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let places = told["places"].as_array().unwrap();
    let names: Vec<&str> = places.iter().map(|one| one["place"].as_str().unwrap()).collect();
    // In the machines of the suite a daemon runs, whose programs stay.
    let all = ["no programs in the kernel", "in no container", "in a container"];
    assert!(names == all || (names == all[1..] && said.contains("ubc unload")), "{told} {said}");
    for place in places {
        for figure in ["processor", "elapsed"] {
            assert!(place[figure]["median"].as_f64().unwrap() > 0.0, "{told}");
        }
    }
    assert_eq!(places[0]["ratio"], 1.0);
}

#[test]
fn a_command_that_fails_gives_no_figures() {
    if skip() {
        return;
    }
    let output = bench(&["--rounds", "1", "--", "false"]);
    let said = text(&output.stderr);
    assert!(output.stdout.is_empty());
    match output.status.code() {
        Some(69) => {}
        code => {
            assert_eq!(code, Some(71), "{said}");
            assert!(said.contains("false ended with exit status: 1"), "{said}");
        }
    }
    no_cgroup_is_left();
    let output = bench(&["--rounds", "0", "--", "true"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("accepted: 1 to 1000"), "{}", text(&output.stderr));
}

//! `ubc bench`, with programs where the kernel takes them.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::{UBC, skip, text};

/// Runs it to its end. Nothing may stay behind that only measuring needed.
fn bench(args: &[&str]) -> Output {
    let mut command = Command::new(UBC);
    command.arg("bench").args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let scratch = format!("ubc-bench-{}", child.id());
    let output = child.wait_with_output().unwrap();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mount = mounts.find(|words| words[2] == "cgroup2").unwrap()[1].to_owned();
    assert!(!Path::new(&mount).join(&scratch).exists(), "{scratch}");
    output
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
    let output = bench(&["--rounds", "0", "--", "true"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("accepted: 1 to 1000"), "{}", text(&output.stderr));
}

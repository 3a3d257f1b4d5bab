//! Configuration files: what is read from them, what is saved to them, and
//! what a broken one does.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::path::PathBuf;
use std::process::{Command, Output};

use common::engine::{Engine, installed};
use common::{Node, UBC, text};
use tempfile::TempDir;

/// A directory laid out as /etc/vz.
struct Etc(TempDir);

impl Etc {
    fn new() -> Etc {
        let etc = Etc(tempfile::tempdir().unwrap());
        std::fs::create_dir(etc.0.path().join("conf")).unwrap();
        etc
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn option(&self) -> String {
        format!("--config-dir={}", self.0.path().display())
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Without a daemon.
    fn ubc(&self, args: &[&str]) -> Output {
        let run = self.0.path().join("run");
        let mut command = Command::new(UBC);
        command.arg("--run-dir").arg(run).arg(self.option()).args(args).output().unwrap()
    }

    fn done(&self, args: &[&str]) -> String {
        let output = self.ubc(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn refused(&self, args: &[&str], code: i32) -> String {
        let output = self.ubc(args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
        error
    }
}

fn is_root() -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    println!("SKIP: needs root");
    false
}

#[test]
fn a_container_that_does_not_run_can_be_configured_and_its_file_stays_its_owners() {
    if !is_root() {
        return;
    }
    let etc = Etc::new();
    etc.write("conf/101.conf", "# web\nHOSTNAME='web'\nNUMPROC=240   # enough\nMINE=1\n");
    let error = etc.refused(&["set", "101", "--numproc", "300"], 66);
    assert!(error.contains("there is no container 101"), "{error}");
    etc.done(&["set", "101", "-p", "300", "-n", "512:512", "--cpuunits", "3000", "--save"]);
    assert_eq!(
        etc.read("conf/101.conf"),
        "# web\nHOSTNAME='web'\nNUMPROC=\"300\"   # enough\nMINE=1\nNUMFILE=\"512\"\n\
         CPUUNITS=\"3000\"\n"
    );
    etc.done(&[
        "set",
        "102",
        "--ram",
        "256M",
        "--swap",
        "512M",
        "--vm_overcommit",
        "1.5",
        "--save",
    ]);
    let page = rustix::param::page_size() as u64;
    assert_eq!(
        etc.read("conf/102.conf"),
        format!(
            "PHYSPAGES=\"0:{}\"\nSWAPPAGES=\"0:{}\"\nVM_OVERCOMMIT=\"1.5\"\n",
            (256 << 20) / page,
            (512 << 20) / page
        )
    );
    // One size of two keeps the other.
    etc.done(&["set", "102", "--swap", "1G", "--save"]);
    assert!(etc.read("conf/102.conf").contains(&format!("SWAPPAGES=\"0:{}\"", (1 << 30) / page)));
    assert!(etc.read("conf/102.conf").contains(&format!("PHYSPAGES=\"0:{}\"", (256 << 20) / page)));
}

#[test]
fn a_sample_replaces_the_limits_and_not_who_the_container_is() {
    if !is_root() {
        return;
    }
    let etc = Etc::new();
    etc.write("conf/101.conf", "HOSTNAME=\"web\"\nNUMPROC=\"1\"\nDISKSPACE=\"9G\"\n# end\n");
    etc.write("conf/ve-mine.conf-sample", "HOSTNAME=\"x\"\nNUMFILE=\"5\"\nDISKSPACE=\"1G\"\n");
    etc.done(&["set", "101", "--applyconfig", "mine", "--numpty", "7", "--save"]);
    assert_eq!(
        etc.read("conf/101.conf"),
        "HOSTNAME=\"web\"\nDISKSPACE=\"1G\"\n# end\nNUMFILE=\"5\"\nORIGIN_SAMPLE=\"mine\"\n\
         NUMPTY=\"7\"\n"
    );
    etc.done(&["set", "101", "--applyconfig", "basic", "--save"]);
    let basic = etc.read("conf/101.conf");
    assert!(basic.contains("KMEMSIZE=\"14372700:14790164\"\n"), "{basic}");
    assert!(!basic.contains("NUMPTY=\"7\""), "{basic}");
    // One size beside a sample keeps the sample's other one.
    let page = rustix::param::page_size() as u64;
    let swap = ["set", "102", "--applyconfig", "ve-vswap-1g", "--swap", "4G", "--save"];
    etc.done(&swap);
    let sized = etc.read("conf/102.conf");
    assert!(sized.contains(&format!("SWAPPAGES=\"0:{}\"\n", (4_u64 << 30) / page)), "{sized}");
    assert!(sized.contains(&format!("PHYSPAGES=\"0:{}\"\n", (1 << 30) / page)), "{sized}");
    let error = etc.refused(&["set", "101", "--applyconfig", "nope", "--save"], 64);
    assert!(error.contains("accepted: basic, light, mine, vswap-1024m"), "{error}");
    assert_eq!(etc.read("conf/101.conf"), basic);
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_saved() {
    if !is_root() {
        return;
    }
    let etc = Etc::new();
    let broken = "NUMPROC=\"240\"\n\nNUMFILE=\"5k\"\n";
    etc.write("conf/101.conf", broken);
    let path = etc.path("conf/101.conf").display().to_string();
    let named =
        format!("ubc: {path}, line 3: NUMFILE: \"5k\": a count has no suffix 'k'; accepted: ");
    for args in [
        &["set", "101", "--numpty", "5", "--save"][..],
        &["run", "--id", "101", "--", "true"],
        &["check", "101"],
    ] {
        let error = etc.refused(args, 65);
        assert!(error.starts_with(&named) && error.lines().count() == 1, "{error}");
    }
    for (args, says) in [
        (&["set", "101", "--numproc", "5:3", "--save"][..], "barrier 5 is above limit 3"),
        (&["set", "101", "--save"], "nothing to set"),
        (&["set", "101", "--reset_ub", "--numproc", "5"], "cannot be used with"),
        (&["set", "101", "--avnumproc", "5"], "--save"),
        (&["set", "0", "--numproc", "5", "--save"], "the host"),
        (&["set", "103", "--swap", "1G", "--save"], "--ram"),
    ] {
        let error = etc.refused(args, 64);
        assert!(error.contains(says) && error.lines().count() == 1, "{args:?}: {error}");
    }
    assert_eq!(etc.read("conf/101.conf"), broken);
    // The broken line itself can be set right.
    etc.done(&["set", "101", "--numfile", "5", "--save"]);
    assert_eq!(etc.read("conf/101.conf"), "NUMPROC=\"240\"\n\nNUMFILE=\"5\"\n");
}

#[test]
fn a_new_container_has_what_its_file_and_the_command_line_say() {
    if common::skip() {
        return;
    }
    let (node, etc) = (Node::start(), Etc::new());
    let (id, option) = ("90000321", etc.option());
    etc.write("vz.conf", "VERBOSE=0\nNUMFLOCK=\"77\"\nNUMPTY=\"9\"\n");
    etc.write(&format!("conf/{id}.conf"), "NUMPTY=\"8\"\nNUMFILE=\"500\"\nCPUUNITS=\"500\"\n");
    let mut container = node.container(id, &[&option, "--numfile", "400"]);
    let asked = || {
        let shown = node.json(&["show", id, "--json"]);
        let limit = |row: &str| shown["configured"][row]["limit"].as_u64();
        (
            limit("numpty"),
            limit("numfile"),
            limit("numflock"),
            limit("numproc"),
            shown["schedule"]["cpuunits"]["configured"].as_str().map(str::to_owned),
        )
    };
    assert_eq!(asked(), (Some(8), Some(400), Some(77), None, Some("500".to_owned())));

    // Saved and applied, or neither.
    node.done(&["set", id, &option, "--numpty", "6", "--save"]);
    assert_eq!(asked().0, Some(6));
    let saved = etc.read(&format!("conf/{id}.conf"));
    assert_eq!(saved, "NUMPTY=\"6\"\nNUMFILE=\"500\"\nCPUUNITS=\"500\"\n");
    node.done(&["set", id, &option, "--numproc", "1000"]);
    assert_eq!(etc.read(&format!("conf/{id}.conf")), saved);

    // The file again: what it does not say is unlimited.
    node.done(&["set", id, &option, "--reset_ub"]);
    let unlimited = Some(i64::MAX.unsigned_abs());
    let reset = asked();
    assert_eq!((reset.1, reset.3), (Some(500), unlimited));

    node.done(&["set", id, &option, "--applyconfig", "light", "--numproc", "50", "--save"]);
    let applied = asked();
    assert_eq!((applied.0, applied.1, applied.3), (Some(4), Some(512), Some(50)));
    assert!(etc.read(&format!("conf/{id}.conf")).contains("NUMPROC=\"50\"\n"));
    assert_eq!(container.sh("echo lives"), "lives");
    assert_eq!(container.end(), Some(0));
}

#[test]
fn a_container_made_of_a_sample_has_its_limits_and_no_files() {
    if common::skip() {
        return;
    }
    let (node, etc) = (Node::start(), Etc::new());
    let (id, option) = ("90000322", etc.option());
    etc.write(&format!("conf/{id}.conf"), "NUMPTY=\"8\"\nNUMPROC=\"x\"\n");
    let container = node.container(id, &[&option, "--config", "vswap-256m"]);
    let shown = node.json(&["show", id, "--json"]);
    let page = rustix::param::page_size() as u64;
    assert_eq!(shown["configured"]["physpages"]["limit"], (256 << 20) / page);
    assert_eq!(shown["configured"]["vmguarpages"]["barrier"], 3 * (256 << 20) / page);
    assert_eq!(shown["configured"]["numpty"], serde_json::Value::Null);
    assert_eq!(container.end(), Some(0));
}

#[test]
fn a_container_taken_over_has_what_its_file_says_or_is_left_alone() {
    if common::skip() || !installed("runc") {
        return;
    }
    let (node, etc) = (Node::start(), Etc::new());
    let (id, option) = ("90000323", etc.option());
    let engine = Engine::oci("runc", id, serde_json::Value::Null);
    engine.start().unwrap();
    let init = engine.runc_init();
    let attach = |more: &[&str]| node.ubc(&[&[&option, "view", "--attach", &init], more].concat());
    etc.write(&format!("conf/{id}.conf"), "NUMPTY=\"8\"\nCPUUNITS=\"500\"\n");
    let output = attach(&["--id", id]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = node.json(&["show", id, "--json"]);
    assert_eq!(shown["configured"]["numpty"]["limit"], 8);
    assert_eq!(shown["schedule"]["cpuunits"]["configured"], "500");
    node.done(&["view", "--detach", id]);

    // Whether its id is known before or chosen for it.
    for (chosen, args) in [(id, &["--id", id][..]), ("10000000", &[])] {
        let path = format!("conf/{chosen}.conf");
        etc.write(&path, "NUMPTY=\"x\"\n");
        let output = attach(args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(65), "{error}");
        assert!(error.contains(&format!("{path}, line 1: NUMPTY: ")), "{error}");
        assert_eq!(node.done(&["list", "-1"]), "");
    }
    assert!(engine.exec("cat /proc/version").starts_with("Linux"), "it runs on");
}

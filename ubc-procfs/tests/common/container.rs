//! Containers to put a view into: new pid and mount namespaces made by
//! util-linux' unshare(1), looked at through nsenter(1).
#![allow(dead_code, clippy::unwrap_used, reason = "each user takes its part; a panic is a report")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A container of one `sleep`, killed on drop.
pub(crate) struct Container {
    outer: Child,
    /// Its init's pid on the host.
    pub(crate) init: u32,
}

impl Container {
    /// With these options of unshare(1) besides.
    pub(crate) fn start(extra: &[&str]) -> Container {
        let outer = Command::new("unshare")
            .args(["--pid", "--mount", "--fork", "--mount-proc", "--kill-child"])
            .args(extra)
            .args(["sleep", "600"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let children = format!("/proc/{0}/task/{0}/children", outer.id());
        let started = Instant::now();
        let init = loop {
            let text = std::fs::read_to_string(&children).unwrap();
            let child = text.split_whitespace().next().map(str::to_owned);
            let is_sleep = |pid: &String| {
                std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c == "sleep\n")
            };
            if let Some(pid) = child.filter(is_sleep) {
                break pid.parse().unwrap();
            }
            assert!(started.elapsed() < Duration::from_mins(1), "the container did not start");
            std::thread::sleep(Duration::from_millis(5));
        };
        Container { outer, init }
    }

    /// Runs a command inside; its output, or its error text.
    pub(crate) fn sh(&self, script: &str) -> Result<String, String> {
        let output = Command::new("nsenter")
            .args(["-t", &self.init.to_string(), "-p", "-m", "sh", "-c", script])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.outer.kill().unwrap();
        self.outer.wait().unwrap();
    }
}

/// Why a test with containers cannot run here, if it cannot.
pub(crate) fn skip() -> bool {
    let why = if !rustix::process::geteuid().is_root() {
        "needs root"
    } else if !Path::new("/dev/fuse").exists() {
        "needs /dev/fuse"
    } else {
        return false;
    };
    eprintln!("SKIP: {why}");
    true
}

/// Whether the programs are installed; says so if one is not.
pub(crate) fn installed(programs: &[&str]) -> bool {
    let dirs = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let is_there = |name: &&&str| dirs.iter().any(|dir| Path::new(dir).join(name).is_file());
    match programs.iter().find(|name| !is_there(name)) {
        Some(name) => {
            println!("SKIP: {name} is not installed");
            false
        }
        None => true,
    }
}

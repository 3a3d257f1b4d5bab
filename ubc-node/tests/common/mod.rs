//! A node of the test's own, and what the examples say.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use ubc_node::{ErrorKind, Node, Options};

/// An open node; `None`, with the reason printed, where the test cannot run.
pub(crate) fn node() -> Option<Arc<Node>> {
    match Node::open(Options::default()) {
        Ok(node) => Some(node),
        Err(error) if matches!(error.kind(), ErrorKind::NoPermission | ErrorKind::Unavailable) => {
            skip(error);
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Says why a test did not run.
pub(crate) fn skip(why: impl std::fmt::Display) {
    println!("SKIP: {why}");
}

/// Where an example of this crate was built: beside the test.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(path.is_file(), "{}: cargo test builds it", path.display());
    path
}

/// Where cgroup v2 is mounted.
pub(crate) fn cgroup_mount() -> PathBuf {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = mounts.lines().find(|line| line.contains(" cgroup2 ")).unwrap();
    PathBuf::from(mount.split(' ').nth(1).unwrap())
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The numbers of a row of a beancounter file.
pub(crate) fn rows(file: &str, name: &str) -> Vec<u64> {
    let line = file.lines().find(|line| line.split_whitespace().any(|word| word == name)).unwrap();
    let numbers = line.split_whitespace().skip_while(|word| *word != name).skip(1);
    numbers.map(|number| number.parse().unwrap()).collect()
}

/// A process that waits inside a cgroup until it is killed or dropped.
pub(crate) struct Sleeper(std::process::Child);

impl Sleeper {
    pub(crate) fn inside(cgroup: &std::path::Path) -> Sleeper {
        let enter = "echo $$ >\"$0/cgroup.procs\" && exec sleep 600";
        let child = Command::new("sh").args(["-c", enter]).arg(cgroup).spawn().unwrap();
        let sleeper = Sleeper(child);
        let procs = cgroup.join("cgroup.procs");
        let pid = sleeper.pid().to_string();
        while !std::fs::read_to_string(&procs).unwrap().lines().any(|line| line == pid) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        sleeper
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.0.kill());
        drop(self.0.wait());
        drop(std::io::stdout().flush());
    }
}

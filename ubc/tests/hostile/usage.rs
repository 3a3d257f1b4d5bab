//! What a daemon takes of the machine, and an end for a test that hangs.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::common::Node;

/// Longest a test may take before what it waits for is ended.
const HANGS: Duration = Duration::from_mins(4);

/// How much of each a process has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    /// Resident, in KiB.
    pub(crate) memory: u64,
}

impl Usage {
    pub(crate) fn of(pid: u32) -> Usage {
        let entries = |name: &str| std::fs::read_dir(format!("/proc/{pid}/{name}")).unwrap();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Usage {
            descriptors: entries("fd").count(),
            threads: entries("task").count(),
            memory: memory.trim().trim_end_matches(" kB").parse().unwrap(),
        }
    }

    /// With no more than so many more descriptors, threads and MiB.
    pub(crate) fn is_within(self, more: usize, mebibytes: u64, of: Usage) -> bool {
        self.descriptors <= of.descriptors + more
            && self.threads <= of.threads + more
            && self.memory <= of.memory + mebibytes * 1024
    }
}

/// Ends the daemon when a test takes too long: whoever waits for it gets an
/// error then, and the test fails.
pub(crate) struct Guard {
    _alive: Sender<()>,
}

impl Guard {
    pub(crate) fn over(node: &Node) -> Guard {
        let serving = node.daemon_pid();
        let status = std::fs::read_to_string(format!("/proc/{serving}/status")).unwrap();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:\t")).unwrap();
        let pids = [parent.to_owned(), serving.to_string()];
        let (alive, over) = channel::<()>();
        std::thread::spawn(move || {
            if over.recv_timeout(HANGS) == Err(RecvTimeoutError::Timeout) {
                eprintln!("the test hangs: its daemon is killed");
                drop(Command::new("kill").arg("-9").args(pids).stderr(Stdio::null()).status());
            }
        });
        Guard { _alive: alive }
    }
}

/// The /proc of a container, from outside.
pub(crate) fn proc_of(node: &Node, id: &str) -> PathBuf {
    format!("/proc/{}/root/proc", node.init(id)).into()
}

/// The file of a container, by the view that its processes have.
pub(crate) fn file_of(node: &Node, id: &str) -> PathBuf {
    proc_of(node, id).join("user_beancounters")
}

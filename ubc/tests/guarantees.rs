//! When memory runs out, who is above the guarantee dies before who is not.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::engine::{Engine, installed};
use common::{Container, Node, wait_until};
use serde_json::Value;

/// A cgroup whose memory runs out before the machine's does.
struct Parent(PathBuf);

impl Parent {
    fn new(name: &str, mib: u64) -> Parent {
        let parent = Parent(common::cgroup_mount().join(name));
        fs::create_dir(&parent.0).unwrap();
        fs::write(parent.0.join("memory.max"), (mib << 20).to_string()).unwrap();
        fs::write(parent.0.join("memory.swap.max"), "0").unwrap();
        parent
    }

    fn name(&self) -> &str {
        self.0.file_name().unwrap().to_str().unwrap()
    }

    /// Reads files in it until stopped: page cache that is taken back at once.
    fn churn(&self) -> Churn {
        let cgroup = self.0.join("churn");
        fs::create_dir(&cgroup).unwrap();
        let script = "echo $$ >$0/cgroup.procs; \
                      while :; do find /usr -xdev -type f -exec cat {} + >/dev/null; done";
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(&cgroup).stdin(Stdio::null());
        Churn { cgroup, child: command.spawn().unwrap() }
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        wait_until("the end of its children", || fs::remove_dir(&self.0).is_ok());
    }
}

struct Churn {
    cgroup: PathBuf,
    child: Child,
}

impl Drop for Churn {
    fn drop(&mut self) {
        fs::write(self.cgroup.join("cgroup.kill"), "1").unwrap();
        self.child.wait().unwrap();
        wait_until("its end", || fs::remove_dir(&self.cgroup).is_ok());
    }
}

/// A container with a guarantee, below a parent.
struct Guaranteed<'n> {
    node: &'n Node,
    parent: &'n Parent,
    id: &'n str,
    container: Container,
}

impl<'n> Guaranteed<'n> {
    fn new(node: &'n Node, parent: &'n Parent, id: &'n str, mib: u64) -> Self {
        let guarantee = format!("{mib}M:unlimited");
        let container =
            node.container(id, &["--cgroup", parent.name(), "--oomguarpages", &guarantee]);
        container.install_hold();
        Guaranteed { node, parent, id, container }
    }

    /// Starts one more process that touches so many MiB and keeps them. It may
    /// be killed, or another one instead of it.
    fn grow(&mut self, mib: u64) {
        let out = self.node.home(self.id).join("rootfs/tmp/held");
        let _ = fs::remove_file(&out);
        let before = self.events();
        self.container.sh(&format!(
            "[ -p /tmp/input ] || {{ mkfifo /tmp/input; exec 9<>/tmp/input; }}; \
             hold kib={} <&9 >/tmp/held 2>/dev/null &",
            mib << 10
        ));
        let holds = || fs::read(&out).is_ok_and(|said| !said.is_empty());
        wait_until("more memory or a kill", || holds() || self.events() > before);
    }

    /// How many of those there are.
    fn alive(&self) -> usize {
        let procs = self.parent.0.join(self.id).join("cgroup.procs");
        let comm = |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm"));
        let procs = fs::read_to_string(procs).unwrap();
        procs.lines().filter(|pid| comm(pid).is_ok_and(|name| name == "hold\n")).count()
    }

    /// Kills, as the kernel tells.
    fn events(&self) -> u64 {
        let text = fs::read_to_string(self.parent.0.join(self.id).join("memory.events")).unwrap();
        let kills = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.unwrap().parse().unwrap()
    }

    /// Kills, as the container tells.
    fn failcnt(&mut self) -> u64 {
        self.container.file().row("oomguarpages")[4]
    }

    fn score(&self) -> i32 {
        score(&self.node.init(self.id))
    }
}

fn score(pid: &str) -> i32 {
    fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim().parse().unwrap()
}

#[test]
fn the_largest_process_outlives_small_overdrawn_ones_within_its_guarantee() {
    if common::skip() || !common::imposes("physpages") {
        return;
    }
    let node = Node::start();
    let parent = Parent::new("ubctest-order", 132);
    let mut within = Guaranteed::new(&node, &parent, "90000410", 80);
    let mut above = Guaranteed::new(&node, &parent, "90000411", 4);
    within.grow(60);
    for _ in 0..3 {
        above.grow(20);
    }
    assert_eq!([within.failcnt(), above.failcnt()], [0, 0], "60 and 3 x 20 fit into 132");
    // 144 do not.
    above.grow(20);
    wait_until("a kill", || above.events() > 0);
    assert_eq!((within.failcnt(), within.alive()), (0, 1));
    // A busy machine kills once more before the first one's memory is back.
    let (failed, alive) = (above.failcnt(), above.alive());
    assert!((1..=3).contains(&failed), "{failed} killed");
    assert!(alive >= 1 && alive <= 4 - usize::try_from(failed).unwrap(), "{alive} of {failed}");
}

#[test]
fn a_container_that_outgrew_its_guarantee_unseen_is_placed_first_as_memory_gets_scarce() {
    if common::skip() || !common::imposes("physpages") {
        return;
    }
    if fs::read("/proc/pressure/memory").is_err() {
        println!("SKIP: the kernel does not tell of memory pressure");
        return;
    }
    let node = Node::start();
    let parent = Parent::new("ubctest-outgrown", 132);
    let mut within = Guaranteed::new(&node, &parent, "90000412", 80);
    let mut grows = Guaranteed::new(&node, &parent, "90000413", 30);
    assert!(within.score() < 0 && grows.score() < 0, "both are within");
    let [first, second] = [&within, &grows].map(|one| node.init(one.id));
    within.grow(60);
    for _ in 0..3 {
        grows.grow(20);
    }
    // On a slow machine that alone may have been pressure.
    let churn = parent.churn();
    wait_until("its place", || score(&second) == 1000);
    assert!(score(&first) < 0);
    drop(churn);
    grows.grow(20);
    wait_until("a kill", || grows.events() > 0);
    assert_eq!([within.failcnt(), grows.failcnt()], [0, 1]);
    assert_eq!([within.alive(), grows.alive()], [1, 3]);
    // Below its guarantee again, as the next reading shows, it is safe again.
    grows.container.sh("killall hold");
    wait_until("its new place", || grows.failcnt() == 1 && score(&second) < 0);
}

#[test]
fn processes_of_a_container_that_is_let_go_get_back_what_they_had() {
    if common::skip() || !common::imposes("physpages") || !installed("runc") {
        return;
    }
    let node = Node::start();
    let engine = Engine::oci("runc", "90000414", Value::Null);
    engine.start().unwrap();
    let init = engine.runc_init();
    let path = format!("/proc/{init}/task/{init}/children");
    let mut children: Vec<String> = Vec::new();
    wait_until("the init's two children", || {
        let text = fs::read_to_string(&path).unwrap();
        children = text.split_whitespace().map(str::to_owned).collect();
        children.len() == 2
    });
    let base = score(&init);
    for (pid, score) in children.iter().zip(["-1000", "300"]) {
        fs::write(Path::new("/proc").join(pid).join("oom_score_adj"), score).unwrap();
    }
    node.done(&["view", "--attach", &init, "--id", "90000414"]);
    children.insert(0, init);
    let scores = || children.iter().map(|pid| score(pid)).collect::<Vec<_>>();
    assert_eq!(scores(), [base, -1000, 300], "without a guarantee nothing is touched");
    node.done(&["set", "90000414", "--oomguarpages", "0:unlimited"]);
    assert_eq!(scores(), [1000, -1000, 1000], "no guarantee at all is always overdrawn");
    node.done(&["set", "90000414", "--oomguarpages", "100T:unlimited"]);
    assert_eq!(scores(), [-999, -1000, -999]);
    node.done(&["set", "90000414", "--oomguarpages", "unlimited"]);
    assert_eq!(scores(), [base, -1000, 300]);
    node.done(&["set", "90000414", "--oomguarpages", "0:unlimited"]);
    node.done(&["view", "--detach", "90000414"]);
    assert_eq!(scores(), [base, -1000, 300]);
}

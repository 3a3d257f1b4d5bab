//! Calls to the kernel fail that never do: one at a time, wherever the daemon or a command
//! makes them.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use common::engine::installed;
use common::{File, Node, UBC, skip, text, wait_until};

/// What fails, and how: what their man pages say of a machine in trouble.
const FAULTS: [(&str, &str); 46] = [
    ("accept4", "EMFILE"),
    ("bpf", "ENOMEM"),
    ("clone3", "EAGAIN"),
    ("epoll_create1", "EMFILE"),
    ("epoll_ctl", "ENOMEM"),
    ("eventfd2", "EMFILE"),
    ("fdatasync", "EIO"),
    ("fsconfig", "ENOMEM"),
    ("fsmount", "EMFILE"),
    ("fsopen", "EMFILE"),
    ("fstat", "EIO"),
    ("fsync", "EIO"),
    ("ftruncate", "ENOSPC"),
    ("getdents64", "EIO"),
    ("inotify_add_watch", "ENOSPC"),
    ("ioctl", "EIO"),
    ("linkat", "ENOSPC"),
    ("lseek", "EIO"),
    ("memfd_create", "EMFILE"),
    ("mkdir", "ENOSPC"),
    ("mmap", "ENOMEM"),
    ("mount", "ENOMEM"),
    ("move_mount", "ENOMEM"),
    ("newfstatat", "EIO"),
    ("open_tree", "ENOMEM"),
    ("openat", "EMFILE"),
    ("openat2", "EMFILE"),
    ("pidfd_open", "EMFILE"),
    ("pipe2", "EMFILE"),
    ("pread64", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("read", "EIO"),
    ("readlink", "EIO"),
    ("readlinkat", "EIO"),
    ("rename", "EIO"),
    ("rmdir", "EIO"),
    ("sendmsg", "ENOBUFS"),
    ("setns", "ENOMEM"),
    ("socket", "ENFILE"),
    ("splice", "ENOMEM"),
    ("statx", "EIO"),
    ("tee", "ENOMEM"),
    ("unshare", "ENOMEM"),
    ("unlink", "EIO"),
    ("write", "ENOSPC"),
    ("writev", "EIO"),
];

/// How many of these, seeded, in a run; `UBC_FAULTS` asks for more, `UBC_CALLS` for some calls
/// only, separated by commas.
const SOME: usize = 10;

/// Seconds a command may take while something fails.
const LIMIT: &str = "60";

/// One call that fails.
#[derive(Clone, Debug)]
struct Fault {
    call: &'static str,
    error: &'static str,
    /// Which one of its thread, from 1 on.
    nth: usize,
}

impl Fault {
    fn injection(&self) -> String {
        format!("--inject={}:error={}:when={}", self.call, self.error, self.nth)
    }
}

/// All faults for which a trace has calls.
fn faults(trace: &str) -> Vec<Fault> {
    let mut most: BTreeMap<&str, usize> = BTreeMap::new();
    let mut each: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let Some((name, _)) = call.trim_start().split_once('(') else { continue };
        let count = each.entry((thread, name)).or_default();
        *count += 1;
        let most = most.entry(name).or_default();
        *most = (*most).max(*count);
    }
    let of = |&(call, error)| {
        let calls = most.get(call).copied().unwrap_or_default();
        (1..=calls).map(move |nth| Fault { call, error, nth })
    };
    let only = std::env::var("UBC_CALLS").ok();
    let wanted = |(call, _): &&(&str, &str)| {
        only.as_ref().is_none_or(|only| only.split(',').any(|name| name == *call))
    };
    FAULTS.iter().filter(wanted).flat_map(of).collect()
}

/// As many of them as are asked for, different ones, the same in each run.
fn chosen(mut all: Vec<Fault>) -> Vec<Fault> {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse().ok());
    let wanted = number("UBC_FAULTS").unwrap_or(SOME);
    let seed = number("UBC_SEED").unwrap_or(20_261_123);
    println!("{} faults, {wanted} wanted, seed {seed}", all.len());
    // xorshift64.
    let mut state = seed as u64 | 1;
    let mut picked = Vec::new();
    while picked.len() < wanted && !all.is_empty() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        picked.push(all.swap_remove(usize::try_from(state % all.len() as u64).unwrap()));
    }
    picked
}

/// `strace` on a running process, ended on drop; the process goes on.
struct Tracer(Child);

impl Tracer {
    fn attach(pid: u32, log: &Path, options: &[String]) -> Tracer {
        let mut command = Command::new("strace");
        command.args(["-f", "-p", &pid.to_string(), "-o"]).arg(log).args(options);
        let mut strace = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(strace.stderr.take().unwrap()).lines();
        let first = said.next().unwrap().unwrap();
        assert!(first.contains("attached"), "{first}");
        std::thread::spawn(move || said.for_each(drop));
        Tracer(strace)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        drop(Command::new("kill").args(["-INT", &self.0.id().to_string()]).status());
        drop(self.0.wait());
    }
}

/// A daemon with a container that stays, and what is done with it.
struct Scene {
    node: Node,
    container: common::Container,
    file: PathBuf,
    /// What numfile's barrier is at present.
    barrier: u64,
    last: File,
}

const STAYS: &str = "90000461";
const COMES: &str = "90000462";

/// How the commands of a scene ended.
struct Ended {
    set: Output,
    run: Output,
    read: Output,
    list: Output,
}

impl Scene {
    fn new() -> Scene {
        let node = Node::start();
        let container = node.container(STAYS, &["--numfile", "400:500"]);
        let file = PathBuf::from(format!("/proc/{}/root/proc/user_beancounters", node.init(STAYS)));
        let last = File::new(&std::fs::read_to_string(&file).unwrap());
        Scene { node, container, file, barrier: 400, last }
    }

    /// A change, a reading, a list, and a container that comes and goes.
    fn play(&self, barrier: u64) -> Ended {
        let set = self.ubc(&["set", STAYS, "--numfile", &format!("{barrier}:500")]);
        let read = limited("cat").arg(&self.file).output().unwrap();
        let run = ["run", "--id", COMES, "--numproc", "40:50", "--", "cat"];
        let run = self.ubc(&[&run[..], &["/proc/user_beancounters"]].concat());
        Ended { set, run, read, list: self.ubc(&["list", "--json"]) }
    }

    fn ubc(&self, args: &[&str]) -> Output {
        let mut command = limited(UBC);
        command.arg("--run-dir").arg(self.node.dir.path()).args(args);
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Whatever happened: what was said is so, and the next who comes finds all in order.
    fn is_right(&mut self, ended: &Ended, barrier: u64) {
        for (what, output) in [("set", &ended.set), ("run", &ended.run), ("list", &ended.list)] {
            let said = text(&output.stderr);
            assert_ne!(output.status.code(), Some(124), "{what} hangs");
            let is_error =
                |line: &&str| line.starts_with("ubc: ") && !line.starts_with("ubc: warn: ");
            let lines = said.lines().filter(is_error).count();
            // Or the runtime says it, or the container's own program, of its file.
            let others = said.lines().any(|line| !line.starts_with("ubc: "));
            let told = lines == 1 || what == "run" && lines == 0 && others;
            assert!(output.status.success() || told, "{what}: {said:?}");
            assert!(!said.contains("panicked"), "{what}: {said}");
        }
        assert_ne!(ended.read.status.code(), Some(124), "a reader hangs");
        if ended.set.status.success() {
            self.barrier = barrier;
        }
        let shown = self.node.json(&["show", STAYS, "--json"]);
        assert_eq!(shown["configured"]["numfile"]["barrier"], self.barrier, "{}", self.node.said());
        let now = File::new(&std::fs::read_to_string(&self.file).unwrap());
        // A limit that nothing applies is not shown.
        if shown["status"]["numfile"]["enforced"] == true {
            assert_eq!(now.row("numfile")[2], self.barrier, "{}", self.node.said());
        }
        for row in ["numproc", "numfile", "privvmpages", "kmemsize"] {
            let ([_, before, .., failed], [_, maxheld, .., failcnt]) =
                (self.last.row(row), now.row(row));
            assert!(maxheld >= before && failcnt >= failed, "{row} fell");
        }
        self.last = now;
        // What came has gone and can come again. What could not be taken away then goes with it.
        wait_until("the end of the other one", || {
            self.node.json(&["list", "--json"]).as_array().unwrap().len() == 1
        });
        let again = self.node.done(&["run", "--id", COMES, "--", "cat", "/proc/user_beancounters"]);
        assert!(again.contains(&format!("{COMES}:")), "{again}");
        let home = self.node.home(COMES);
        wait_until("the end of its directory", || !home.exists());
    }
}

/// A program that has an end.
fn limited(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args([LIMIT, program]);
    command
}

/// What a daemon has that grows when something is forgotten.
fn holdings(node: &Node) -> [usize; 3] {
    let daemon = node.daemon_pid();
    let count = |what: &str| std::fs::read_dir(format!("/proc/{daemon}/{what}")).unwrap().count();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
    [count("fd"), count("task"), mounts]
}

#[test]
fn a_call_that_fails_in_the_daemon_is_said_and_leaves_nothing_wrong_or_forgotten() {
    if skip() || !installed("strace") {
        return;
    }
    let mut scene = Scene::new();
    let log = scene.node.dir.path().join("trace");
    // Once before, so that what is made at first use is there.
    for barrier in [401, 402] {
        let ended = scene.play(barrier);
        scene.is_right(&ended, barrier);
    }
    let tracer = Tracer::attach(scene.node.daemon_pid(), &log, &[]);
    let ended = scene.play(403);
    drop(tracer);
    scene.is_right(&ended, 403);
    assert!(ended.run.status.success() && ended.set.status.success());
    let trace = std::fs::read_to_string(&log).unwrap();
    let (mut daemon, mut before) = (scene.node.daemon_pid(), holdings(&scene.node));
    let mut hit = 0;
    for (round, fault) in chosen(faults(&trace)).iter().enumerate() {
        println!("{fault:?}");
        let barrier = 404 + round as u64 % 90;
        let tracer = Tracer::attach(scene.node.daemon_pid(), &log, &[fault.injection()]);
        let ended = scene.play(barrier);
        drop(tracer);
        hit += usize::from(std::fs::read_to_string(&log).unwrap().contains("(INJECTED)"));
        scene.is_right(&ended, barrier);
        let serving = scene.node.daemon_pid();
        if serving != daemon {
            // Rust's allocator and its threads do not live without memory; the next goes on.
            assert_eq!(fault.call, "mmap", "the daemon ended: {}", scene.node.said());
            (daemon, before) = (serving, holdings(&scene.node));
        }
        // It had more where a connection was just ending.
        wait_until("what was forgotten", || {
            let now = holdings(&scene.node);
            now.iter().zip(before).all(|(now, before)| *now <= before)
        });
    }
    assert!(hit > 0, "nothing failed");
    println!("{hit} calls failed");
    assert_eq!(scene.container.sh("echo lives"), "lives");
    assert_eq!(scene.container.end(), Some(0));
}

//! Calls to the kernel fail that never do: one at a time, wherever the daemon or a command
//! makes them.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::engine::installed;
use common::{File, Node, UBC, signal, skip, text, wait_until};

/// What fails, and how: what their man pages say of a machine in trouble.
const FAULTS: [(&str, &str); 51] = [
    ("accept4", "EMFILE"),
    ("bpf", "ENOMEM"),
    ("clone", "EAGAIN"),
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
    ("ppoll", "ENOMEM"),
    ("pread64", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("read", "EIO"),
    ("readlink", "EIO"),
    ("readlinkat", "EIO"),
    ("recvmsg", "ENOMEM"),
    ("rename", "EIO"),
    ("rmdir", "EIO"),
    ("sendmsg", "ENOBUFS"),
    ("setns", "ENOMEM"),
    ("socket", "ENFILE"),
    ("socketpair", "EMFILE"),
    ("splice", "ENOMEM"),
    ("statx", "EIO"),
    ("tee", "ENOMEM"),
    ("unshare", "ENOMEM"),
    ("unlink", "EIO"),
    ("vfork", "EAGAIN"),
    ("write", "ENOSPC"),
    ("writev", "EIO"),
];

/// How many of these, seeded, in a run; `UBC_FAULTS` asks for more, `UBC_CALLS` for some calls
/// only, separated by commas.
const SOME: usize = 6;

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

/// As many of them as are asked for, different ones, the same in each run: of each kind of call
/// as many, though there be a thousand of one and one of another.
fn chosen(all: Vec<Fault>) -> Vec<Fault> {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse().ok());
    let wanted = number("UBC_FAULTS").unwrap_or(SOME);
    let seed = number("UBC_SEED").unwrap_or(20_261_123);
    println!("{} faults, {wanted} wanted, seed {seed}", all.len());
    let mut kinds: BTreeMap<&str, Vec<Fault>> = BTreeMap::new();
    for fault in all {
        kinds.entry(fault.call).or_default().push(fault);
    }
    let mut kinds: Vec<Vec<Fault>> = kinds.into_values().collect();
    // xorshift64.
    let mut state = seed as u64 | 1;
    let mut below = |most: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % most as u64).unwrap()
    };
    let mut picked = Vec::new();
    while picked.len() < wanted && !kinds.is_empty() {
        let kind = below(kinds.len());
        let nth = below(kinds[kind].len());
        picked.push(kinds[kind].swap_remove(nth));
        if kinds[kind].is_empty() {
            kinds.swap_remove(kind);
        }
    }
    picked
}

/// How long `strace` may take to let go.
const LETS_GO: Duration = Duration::from_secs(5);

/// `strace` on a running process, ended on drop; the process goes on.
struct Tracer(Child);

impl Tracer {
    /// With all its threads, and what it starts.
    fn attach(pid: u32, log: &Path, options: &[String]) -> Tracer {
        Self::attach_to(pid, log, &[&["-f".to_owned()], options].concat())
    }

    /// Its first thread alone.
    fn attach_to(pid: u32, log: &Path, options: &[String]) -> Tracer {
        let mut command = Command::new("strace");
        command.args(["-p", &pid.to_string(), "-o"]).arg(log).args(options);
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
        let told = Instant::now();
        while let Ok(None) = self.0.try_wait() {
            // It may wait for ever for threads of a process that was just ending.
            if told.elapsed() > LETS_GO {
                drop(self.0.kill());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// One scene at a time: their containers have the same ids.
static ALONE: Mutex<()> = Mutex::new(());

/// A daemon with a container that stays, and what is done with it.
struct Scene {
    node: Node,
    container: common::Container,
    file: PathBuf,
    /// What numfile's barrier is at present.
    barrier: u64,
    last: File,
    /// The last to go.
    _alone: MutexGuard<'static, ()>,
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
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let node = Node::start();
        let container = node.container(STAYS, &["--numfile", "400:500"]);
        let file = PathBuf::from(format!("/proc/{}/root/proc/user_beancounters", node.init(STAYS)));
        let last = File::new(&std::fs::read_to_string(&file).unwrap());
        Scene { node, container, file, barrier: 400, last, _alone: alone }
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

    /// The daemon is killed while somebody reads, who gets an answer from the next one. It is
    /// traced until then, or until that is `enough`.
    fn dies(&mut self, tracer: Tracer, enough: impl Fn() -> bool) {
        let daemon = self.node.daemon_pid();
        signal("KILL", daemon);
        let mut reader = limited("cat");
        reader.arg(&self.file).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut reader = reader.spawn().unwrap();
        wait_until("an answer", || reader.try_wait().unwrap().is_some() || enough());
        drop(tracer);
        let mut read = reader.wait_with_output().unwrap();
        // What its own answer met is told to a reader; it does not lose the view.
        if text(&read.stderr).contains("Input/output error") {
            read = limited("cat").arg(&self.file).output().unwrap();
        }
        assert!(read.status.success(), "{}: {}", text(&read.stderr), self.node.said());
        wait_until("the next daemon", || self.node.daemon_pid() != daemon);
        let now = File::new(&text(&read.stdout));
        assert!(now.row("numproc")[1] >= self.last.row("numproc")[1], "it fell");
        self.last = now;
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

/// What keeps readers waiting between two daemons must not fail with the first call that does.
#[test]
fn a_call_that_fails_in_the_holder_delays_the_next_daemon_and_loses_no_reader() {
    if skip() || !installed("strace") {
        return;
    }
    let mut scene = Scene::new();
    let log = scene.node.dir.path().join("trace");
    let dies = |scene: &mut Scene, options: &[String]| {
        let tracer = Tracer::attach_to(scene.node.holder_pid(), &log, options);
        scene.dies(tracer, || false);
    };
    dies(&mut scene, &[]);
    // One thread, which strace does not name then.
    let trace = std::fs::read_to_string(&log).unwrap().replace('\n', "\nholder ");
    let mut hit = 0;
    for fault in chosen(faults(&trace)) {
        println!("{fault:?}");
        dies(&mut scene, &[fault.injection()]);
        hit += usize::from(std::fs::read_to_string(&log).unwrap().contains("(INJECTED)"));
    }
    assert!(hit > 0, "nothing failed");
    println!("{hit} calls failed");
    assert_eq!(scene.container.sh("echo lives"), "lives");
    assert_eq!(scene.container.end(), Some(0));
}

/// It goes on without, or the next one begins anew: either way with all there is.
#[test]
fn a_call_that_fails_while_a_daemon_takes_over_loses_no_reader_and_no_container() {
    if skip() || !installed("strace") {
        return;
    }
    let mut scene = Scene::new();
    let log = scene.node.dir.path().join("trace");
    let was_hit = || std::fs::read_to_string(&log).unwrap_or_default().contains("(INJECTED)");
    let dies = |scene: &mut Scene, options: &[String]| {
        drop(std::fs::remove_file(&log));
        let tracer = Tracer::attach(scene.node.holder_pid(), &log, options);
        // It would hit each daemon after that as well.
        scene.dies(tracer, was_hit);
    };
    dies(&mut scene, &[]);
    let trace = std::fs::read_to_string(&log).unwrap();
    let mut hit = 0;
    for fault in chosen(faults(&trace)) {
        println!("{fault:?}");
        dies(&mut scene, &[fault.injection()]);
        hit += usize::from(was_hit());
        let shown = scene.node.json(&["show", STAYS, "--json"]);
        assert_eq!(shown["configured"]["numfile"]["barrier"], 400, "{}", scene.node.said());
    }
    assert!(hit > 0, "nothing failed");
    println!("{hit} calls failed");
    assert_eq!(scene.container.sh("echo lives"), "lives");
    assert_eq!(scene.container.end(), Some(0));
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

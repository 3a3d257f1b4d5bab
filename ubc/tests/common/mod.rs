//! A daemon of its own for a test, and containers in it.
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod engine;
pub(crate) mod pty;
mod rootfs;

use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) const UBC: &str = env!("CARGO_BIN_EXE_ubc");

/// Longest wait for anything that should happen at once, in an emulated
/// machine on a busy one.
const PATIENCE: Duration = Duration::from_secs(90);

/// What `ubc doctor` says of this machine, or why it cannot have containers.
/// It tests its claims, which takes a while: once is enough.
fn doctor() -> &'static Result<serde_json::Value, String> {
    static SAID: OnceLock<Result<serde_json::Value, String>> = OnceLock::new();
    SAID.get_or_init(|| {
        let doctor = Command::new(UBC).args(["doctor", "--json"]).output().unwrap();
        if doctor.status.success() {
            Ok(serde_json::from_slice(&doctor.stdout).unwrap())
        } else {
            Err(text(&doctor.stderr).trim().to_owned())
        }
    })
}

/// Why a test with real containers cannot run here, if it cannot.
pub(crate) fn skip() -> bool {
    let Err(why) = doctor() else { return false };
    println!("SKIP: {why}");
    true
}

/// Whether something here imposes limits of this row; says so if not.
pub(crate) fn imposes(row: &str) -> bool {
    let status = &doctor().as_ref().unwrap()["rows"][row];
    if status["enforced"] == true {
        return true;
    }
    println!("SKIP: {row}: {}", status["enforced_by"].as_str().unwrap());
    false
}

/// Whether something here acts on this scheduler knob; says so if not.
pub(crate) fn applies(knob: &str) -> bool {
    let status = &doctor().as_ref().unwrap()["schedulers"][knob];
    if status["applied"] == true {
        return true;
    }
    println!("SKIP: {knob}: {}", status["applied_by"].as_str().unwrap());
    false
}

/// Tells the outcome of this test for a table that `cargo xtask test` prints in
/// the end. First thing in the test, so that no failure comes before it.
pub(crate) fn stands_for(table: &str, row: &str) {
    println!("FACT: {table} | {row}");
}

/// Where cgroup v2 is mounted.
pub(crate) fn cgroup_mount() -> PathBuf {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = mounts.lines().find(|line| line.contains(" cgroup2 ")).unwrap();
    PathBuf::from(mount.split(' ').nth(1).unwrap())
}

pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "waited too long for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(status.unwrap().success(), "{name} to {pid}");
}

fn spawn_daemon(program: &Path, dir: &Path) -> Child {
    let mut command = Command::new(program);
    command.arg("--run-dir").arg(dir).arg("daemon").stdout(Stdio::null());
    let said = std::fs::File::options().create(true).append(true).open(said(dir)).unwrap();
    command.stderr(said).spawn().unwrap()
}

/// What daemons in this directory had to say.
fn said(dir: &Path) -> PathBuf {
    dir.join("said")
}

/// Starts it as a service manager does, and waits until it says that its work has begun.
pub(crate) fn started(command: &mut Command) -> Child {
    let dir = tempfile::tempdir().unwrap();
    let address = dir.path().join("notify");
    let manager = UnixDatagram::bind(&address).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let service = command.env("NOTIFY_SOCKET", &address).spawn().unwrap();
    let mut said = [0; 4096];
    let length = manager.recv(&mut said).expect("it never says that it has begun");
    assert_eq!(text(&said[..length]).trim_end(), "READY=1");
    service
}

/// A daemon in a directory of its own, ended on drop.
pub(crate) struct Node {
    pub(crate) dir: TempDir,
    /// None: somebody else starts it.
    daemon: Option<Child>,
}

impl Node {
    pub(crate) fn start() -> Node {
        Node::start_with(Path::new(UBC))
    }

    /// With a daemon that somebody else starts there, and ends.
    pub(crate) fn of(dir: TempDir) -> Node {
        Node { dir, daemon: None }
    }

    /// With a daemon by this program.
    pub(crate) fn start_with(program: &Path) -> Node {
        Node::start_in(tempfile::tempdir().unwrap(), program)
    }

    /// With a daemon by this program, in this directory.
    pub(crate) fn start_in(dir: TempDir, program: &Path) -> Node {
        let daemon = spawn_daemon(program, dir.path());
        // From here on it ends with the test, whatever happens.
        let node = Node { dir, daemon: Some(daemon) };
        node.wait_for_daemon();
        node
    }

    /// Kills the daemon and starts another one in the same directory.
    pub(crate) fn restart_daemon(&mut self) {
        self.kill_daemon();
        self.start_daemon();
    }

    /// After it was stopped or killed.
    pub(crate) fn start_daemon(&mut self) {
        self.daemon = Some(spawn_daemon(Path::new(UBC), self.dir.path()));
        self.wait_for_daemon();
    }

    /// What the daemons said so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(said(self.dir.path())).unwrap_or_default()
    }

    /// Tells it to end, and waits for that.
    pub(crate) fn stop_daemon(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        drop(Command::new("kill").args(["-TERM", &daemon.id().to_string()]).status());
        assert!(daemon.wait().unwrap().success());
    }

    fn wait_for_daemon(&self) {
        let socket = self.dir.path().join("ubc.sock");
        wait_until("the daemon", || UnixStream::connect(&socket).is_ok());
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(UBC);
        command.arg("--run-dir").arg(self.dir.path()).args(args);
        command
    }

    /// Runs the command to its end.
    pub(crate) fn ubc(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Its output; it must succeed.
    pub(crate) fn done(&self, args: &[&str]) -> String {
        let output = self.ubc(args);
        assert!(output.status.success(), "ubc {args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.done(args)).unwrap()
    }

    /// A container with a shell inside.
    pub(crate) fn container(&self, id: &str, limits: &[&str]) -> Container {
        let args = [&["run", "--id", id], limits, &["--", "sh"]].concat();
        let mut ubc = self
            .command(&args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = ubc.stdin.take();
        let lines = BufReader::new(ubc.stdout.take().unwrap()).lines();
        let mut container = Container { ubc, stdin, lines, home: self.home(id) };
        assert_eq!(container.sh("echo started"), "started");
        container
    }

    /// A recorder at work, ended on drop.
    pub(crate) fn record(&self, every: &str) -> Recorder {
        let mut recorder =
            self.command(&["record", "--every", every]).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(recorder.stderr.take().unwrap()).lines();
        let first = said.next().unwrap().unwrap();
        assert!(first.contains("recording into "), "{first}");
        // It must not end because nobody listens.
        std::thread::spawn(move || said.for_each(drop));
        Recorder(recorder)
    }

    pub(crate) fn home(&self, id: &str) -> PathBuf {
        self.dir.path().join("containers").join(id)
    }

    /// The pid of a container's init on the host.
    pub(crate) fn init(&self, id: &str) -> String {
        self.json(&["show", id, "--json"])["pid"].to_string()
    }

    /// The process that serves: the child of the one that was started here,
    /// which starts another one when it ends.
    pub(crate) fn daemon_pid(&self) -> u32 {
        let mut pid = None;
        wait_until("a daemon that serves", || {
            pid = self.serving();
            pid.is_some()
        });
        pid.unwrap()
    }

    /// Who begins the next daemon when that one ends.
    pub(crate) fn holder_pid(&self) -> u32 {
        self.daemon.as_ref().unwrap().id()
    }

    fn serving(&self) -> Option<u32> {
        let parent = self.daemon.as_ref()?.id();
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        children.ok()?.split_whitespace().next()?.parse().ok()
    }

    /// Kills the daemon and the one that would start another.
    pub(crate) fn kill_daemon(&mut self) {
        let serving = self.serving();
        let mut daemon = self.daemon.take().unwrap();
        daemon.kill().unwrap();
        daemon.wait().unwrap();
        if let Some(pid) = serving {
            drop(Command::new("kill").args(["-9", &pid.to_string()]).output());
            wait_until("its end", || !Path::new(&format!("/proc/{pid}")).exists());
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("The daemon said:\n{}", self.said());
        }
        // After a failure containers may still run.
        let list = self.ubc(&["list", "--json"]).stdout;
        let list = serde_json::from_slice::<serde_json::Value>(&list).unwrap_or_default();
        for container in list.as_array().into_iter().flatten() {
            drop(Command::new("kill").args(["-9", &container["pid"].to_string()]).output());
        }
        if let Some(daemon) = &mut self.daemon {
            let pid = daemon.id().to_string();
            let asked = Command::new("kill").args(["-TERM", &pid]).status();
            if asked.is_ok_and(|status| status.success()) {
                drop(daemon.wait());
            }
        }
        drop(Command::new("umount").arg("-l").arg(self.dir.path().join("proc")).output());
    }
}

/// A running `ubc record`. Its drop waits until all is written.
pub(crate) struct Recorder(Child);

impl Recorder {
    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        drop(Command::new("kill").arg(self.0.id().to_string()).status());
        drop(self.0.wait());
    }
}

/// A running `ubc run` with a shell inside that does as it is told.
pub(crate) struct Container {
    pub(crate) ubc: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    home: PathBuf,
}

const END: &str = "--end--";

impl Container {
    /// Runs a command inside; what it printed.
    pub(crate) fn sh(&mut self, command: &str) -> String {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{command}\necho {END}").unwrap();
        let mut said = Vec::new();
        for line in &mut self.lines {
            let line = line.unwrap();
            if line == END {
                return said.join("\n");
            }
            said.push(line);
        }
        let mut stderr = String::new();
        if let Some(mut pipe) = self.ubc.stderr.take() {
            drop(std::io::Read::read_to_string(&mut pipe, &mut stderr));
        }
        panic!("the container ended: {said:?}; {stderr}");
    }

    /// The file as the container reads it.
    pub(crate) fn file(&mut self) -> File {
        File::new(&self.sh("cat /proc/user_beancounters"))
    }

    /// Puts the example program `hold` inside.
    pub(crate) fn install_hold(&self) {
        self.install("hold");
    }

    /// Puts an example program inside.
    pub(crate) fn install(&self, name: &str) {
        self.install_program(&example(name));
    }

    /// Puts a program of the host inside.
    pub(crate) fn install_program(&self, program: &Path) {
        install(program, &self.home.join("rootfs"));
    }

    /// Starts the example program `hold` inside, holding these.
    pub(crate) fn hold(&mut self, what: &str) {
        self.install_hold();
        // Its input stays open as long as the shell's descriptor 9 does.
        self.sh("mkfifo /tmp/input; exec 9<>/tmp/input");
        self.sh(&format!("hold {what} <&9 >/tmp/held &"));
        assert_eq!(
            self.sh("i=0; until [ -s /tmp/held ] || [ $i = 600 ]; do usleep 50000; \
                     i=$((i + 1)); done; cat /tmp/held"),
            "holding"
        );
    }

    /// Ends the shell, and with it the container; its exit code.
    pub(crate) fn end(mut self) -> Option<i32> {
        drop(self.stdin.take());
        self.ubc.wait().unwrap().code()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(self.stdin.take());
        drop(self.ubc.wait());
    }
}

/// The held, maxheld, barrier, limit and failcnt of each row of a file.
pub(crate) struct File(Vec<(String, [u64; 5])>);

impl File {
    pub(crate) fn new(text: &str) -> File {
        let mut rows = Vec::new();
        for line in text.lines().skip(2) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let first = words.len() - 6;
            let numbers: Vec<u64> =
                words[first + 1..].iter().map(|word| word.parse().unwrap()).collect();
            rows.push((words[first].to_owned(), numbers.try_into().unwrap()));
        }
        assert_eq!(rows.len(), 24, "{text}");
        File(rows)
    }

    pub(crate) fn row(&self, name: &str) -> [u64; 5] {
        self.0.iter().find(|row| row.0 == name).unwrap().1
    }

    pub(crate) fn held(&self, name: &str) -> u64 {
        self.row(name)[0]
    }
}

/// Puts an example program into a root file system, as /bin/NAME.
pub(crate) fn install_example(name: &str, rootfs: &Path) {
    install(&example(name), rootfs);
}

/// An example program that cargo built along with the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(UBC).parent().unwrap().join("examples").join(name)
}

/// Copies a program and the libraries it is linked with into a root file
/// system, as /bin/NAME.
fn install(program: &Path, rootfs: &Path) {
    let name = program.file_name().unwrap();
    std::fs::copy(program, rootfs.join("bin").join(name)).unwrap();
    let libraries = output(Command::new("ldd").arg(program));
    for path in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        let to = rootfs.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(path, to).unwrap();
    }
}

/// What a program prints; it must succeed.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

//! One container takes what it can of one thing after the other:
//! it stops at its limit, and neither the host nor a neighbour has less to work
//! with.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::fs::File;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Container, Node, example, imposes, skip};

/// What is thrown, and where it has to stop.
struct Bomb {
    name: &'static str,
    row: &'static str,
    /// Room for some, above what a container has by itself.
    limit: u64,
    /// What a shell runs; it has to end when /tmp/stop is there.
    script: &'static str,
}

const BOMBS: [Bomb; 3] = [
    Bomb { name: "fork", row: "numproc", limit: 24, script: "bomb fork /tmp/stop" },
    Bomb {
        name: "open",
        row: "numfile",
        limit: 256,
        script: "bomb numfile /tmp/stop & bomb numfile /tmp/stop",
    },
    Bomb {
        name: "half-open TCP",
        row: "numtcpsock",
        limit: 48,
        script: "bomb half-open /tmp/stop",
    },
];

/// How long the neighbour is watched at a time.
const WINDOW: Duration = Duration::from_millis(1500);

/// How long the kernel may take to free what nobody holds any more.
const FREED: Duration = Duration::from_secs(10);

/// The hostile container, its neighbour, and the host between them.
struct Scene {
    node: Node,
    hostile: Container,
    _neighbour: Container,
    /// Below which the hostile one sees its files.
    root: PathBuf,
    neighbours: Work,
    hosts: Work,
}

const IDS: [&str; 2] = ["90001001", "90001002"];

/// A program that counts what it does.
struct Work {
    file: PathBuf,
    /// None: it runs in a container, and ends with that.
    process: Option<Child>,
}

impl Work {
    /// How often it has done it.
    fn done(&self) -> u64 {
        let failed = std::fs::read_to_string(self.file.with_extension("failed"));
        assert!(failed.is_err(), "{}: {failed:?}", self.file.display());
        std::fs::read_to_string(&self.file).unwrap_or_default().parse().unwrap_or(0)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill());
            drop(process.wait());
        }
    }
}

impl Scene {
    fn new() -> Scene {
        let node = Node::start();
        let mut hostile = node.container(IDS[0], &[]);
        let mut neighbour = node.container(IDS[1], &[]);
        for container in [&hostile, &neighbour] {
            container.install("bomb");
        }
        neighbour.sh("bomb work /tmp/work 0 >/dev/null 2>&1 &");
        hostile.sh(": >/tmp/stop");
        let root = |id: &str| PathBuf::from(format!("/proc/{}/root", node.init(id)));
        let neighbours = Work { file: root(IDS[1]).join("tmp/work"), process: None };
        let file = node.dir.path().join("work");
        let mut command = Command::new(example("bomb"));
        command.arg("work").arg(&file).arg("20").stdout(Stdio::null());
        let hosts = Work { file, process: Some(command.spawn().unwrap()) };
        common::wait_until("work", || neighbours.done() > 0 && hosts.done() > 0);
        let root = root(IDS[0]);
        Scene { node, hostile, _neighbour: neighbour, root, neighbours, hosts }
    }

    /// Held, maxheld and failcnt of a row of the hostile one.
    fn row(&self, row: &str) -> [u64; 3] {
        let shown = self.node.json(&["show", IDS[0], "--json"]);
        let row = &shown["reading"]["rows"][row];
        ["held", "maxheld", "failcnt"].map(|name| row[name].as_u64().unwrap())
    }

    /// Goes on as if nothing were the matter, and tells how much the neighbour did
    /// in a second. The row never holds more than it may.
    fn watch(&self, bomb: &Bomb) -> f64 {
        let (started, neighbours, hosts) =
            (Instant::now(), self.neighbours.done(), self.hosts.done());
        let mut looks = 0;
        while started.elapsed() < WINDOW || looks < 2 {
            host_works(self.node.dir.path());
            let [held, ..] = self.row(bomb.row);
            assert!(held <= bomb.limit, "{}: {held} of {}", bomb.name, bomb.limit);
            looks += 1;
        }
        let list = self.node.json(&["list", "--json"]);
        assert_eq!(list.as_array().unwrap().len(), 2, "{}: {list}", bomb.name);
        let done = u32::try_from(self.neighbours.done() - neighbours).unwrap();
        assert!(done > 0, "{}: the neighbour stands still", bomb.name);
        assert!(self.hosts.done() > hosts, "{}: the host stands still", bomb.name);
        f64::from(done) / started.elapsed().as_secs_f64()
    }

    fn limit(&self, row: &str, limit: &str) {
        self.node.done(&["set", IDS[0], &format!("--{row}"), limit]);
    }

    /// The neighbour's work without the bomb, and with it.
    fn throw(&mut self, bomb: &Bomb) -> (f64, f64) {
        let name = bomb.name;
        self.limit(bomb.row, &bomb.limit.to_string());
        // Its runtime may have had more, before there was a limit.
        let [before, had, none] = self.row(bomb.row);
        let most = bomb.limit.max(had);
        let calm = self.watch(bomb);
        let stop = self.root.join("tmp/stop");
        std::fs::remove_file(&stop).unwrap();
        self.hostile.sh(&format!("({}) >/dev/null 2>&1 &", bomb.script));
        common::wait_until("a refusal", || self.row(bomb.row)[2] > none);
        let raging = self.watch(bomb);
        // From outside: inside there may be no descriptor and no process left for it.
        std::fs::write(&stop, "").unwrap();
        self.hostile.sh("wait");
        let started = Instant::now();
        while self.row(bomb.row)[0] > before && started.elapsed() < FREED {
            std::thread::sleep(Duration::from_millis(50));
        }
        let [held, maxheld, failcnt] = self.row(bomb.row);
        assert!(held <= before, "{name}: {held} are held that nobody has ({before} before)");
        assert!(failcnt > none, "{name}: {failcnt} refusals");
        assert_eq!(maxheld, most, "{name}");
        println!("{name}: {} {maxheld} of {}, refused {}", bomb.row, bomb.limit, failcnt - none);
        self.limit(bomb.row, "unlimited");
        (calm, raging)
    }
}

/// What an administrator does: a program, files, sockets, memory, a terminal.
fn host_works(dir: &Path) {
    assert!(Command::new("true").status().unwrap().success());
    let files: Vec<File> = (0..300).map(|_| File::open("/dev/null").unwrap()).collect();
    let sockets: Vec<UdpSocket> =
        (0..60).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let terminals: Vec<File> = (0..8).map(|_| File::open("/dev/ptmx").unwrap()).collect();
    let locks: Vec<File> = (0..40)
        .map(|at| {
            let file = File::create(dir.join(format!("lock-{at}"))).unwrap();
            file.try_lock().unwrap();
            file
        })
        .collect();
    let memory = vec![7_u8; 4 << 20];
    assert!(memory.iter().all(|byte| *byte == 7));
    drop((files, sockets, terminals, locks));
}

#[test]
fn a_bomb_in_a_container_stops_at_its_limit_and_takes_nothing_from_anybody_else() {
    if skip() {
        return;
    }
    let bombs: Vec<&Bomb> = BOMBS.iter().filter(|bomb| imposes(bomb.row)).collect();
    if bombs.is_empty() {
        return;
    }
    let mut scene = Scene::new();
    let works: Vec<(f64, f64)> = bombs.iter().map(|bomb| scene.throw(bomb)).collect();
    for (at, (bomb, (calm, raging))) in bombs.iter().zip(&works).enumerate() {
        // Of what it did before and after: a machine is not always as fast.
        let after = works.get(at + 1).map_or(*calm, |(after, _)| *after);
        let share = 100.0 * raging / f64::midpoint(*calm, after);
        println!("FACT: bombs: a neighbour's work, of that without | {} | {share:.0} %", bomb.name);
    }
    // And with all of them behind it the container is as any other.
    assert_eq!(scene.hostile.sh("cat /proc/1/comm"), "sh");
}

//! The hostile container, its neighbour, and the host between them.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Bomb;
use super::common::{self, Container, File, Node, example};
use super::work::{Work, host_works};

/// How long the neighbour is watched at a time.
const WINDOW: Duration = Duration::from_millis(1500);

/// How long the kernel may take to free what nobody holds any more.
const FREED: Duration = Duration::from_mins(1);

/// The limit of locked pages, fewer than are locked: it stops nobody, and that is seen.
pub(crate) const LOCKED: u64 = 16;

const IDS: [&str; 2] = ["90001001", "90001002"];

pub(crate) struct Scene {
    node: Node,
    pub(crate) hostile: Container,
    _neighbour: Container,
    /// Below which the hostile one sees its files.
    root: PathBuf,
    neighbours: Work,
    hosts: Work,
    /// The row that has a limit now, which the next one takes off: commands are programs.
    limited: Option<&'static str>,
}

impl Scene {
    pub(crate) fn new() -> Scene {
        let node = Node::start();
        let mut hostile = node.container(IDS[0], &["--lockedpages", &LOCKED.to_string()]);
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
        Scene { node, hostile, _neighbour: neighbour, root, neighbours, hosts, limited: None }
    }

    /// Held, maxheld and failcnt of a row of the hostile one, as it reads them itself: no
    /// program has to be started for it, which takes long where a machine is emulated.
    pub(crate) fn row(&self, row: &str) -> [u64; 3] {
        let text = std::fs::read_to_string(self.root.join("proc/user_beancounters")).unwrap();
        let [held, maxheld, _, _, failcnt] = File::new(&text).row(row);
        [held, maxheld, failcnt]
    }

    /// Gives the hostile one this limit, and none of the last row any more.
    fn limit(&mut self, row: &'static str, limit: u64) {
        let on = format!("--{row}={limit}");
        let last = self.limited.replace(row).filter(|last| *last != row);
        let off = last.map(|last| format!("--{last}=unlimited"));
        let words: Vec<&str> = off.iter().chain([&on]).map(String::as_str).collect();
        self.node.done(&[&["set", IDS[0]], &words[..]].concat());
    }

    /// Has the hostile one do that in some processes, from now until it is told to stop.
    fn start(&mut self, what: &str, processes: usize) {
        std::fs::remove_file(self.root.join("tmp/stop")).unwrap();
        let all = format!("bomb {what} /tmp/stop & ").repeat(processes);
        self.hostile.sh(&format!("({all} wait) >/dev/null 2>&1 &"));
    }

    fn stop(&mut self) {
        // From outside: inside there may be no descriptor and no process left for it.
        std::fs::write(self.root.join("tmp/stop"), "").unwrap();
        self.hostile.sh("wait");
    }

    /// Goes on as if nothing were the matter, looks again and again, and tells how much
    /// the neighbour did in a second.
    fn watch(&self, name: &str, mut look: impl FnMut()) -> f64 {
        let (started, neighbours, hosts) =
            (Instant::now(), self.neighbours.done(), self.hosts.done());
        let mut looks = 0;
        while started.elapsed() < WINDOW || looks < 2 {
            host_works(self.node.dir.path());
            look();
            looks += 1;
        }
        let done = u32::try_from(self.neighbours.done() - neighbours).unwrap();
        assert!(done > 0, "{name}: the neighbour stands still");
        assert!(self.hosts.done() > hosts, "{name}: the host stands still");
        f64::from(done) / started.elapsed().as_secs_f64()
    }

    /// The neighbour's work beside programs that take nothing but time.
    pub(crate) fn be_busy(&mut self) -> f64 {
        let [before, ..] = self.row("numproc");
        self.start("busy", 2);
        common::wait_until("two programs", || self.row("numproc")[0] > before + 2);
        let rate = self.watch("busy", || {
            self.row("numproc");
        });
        self.stop();
        rate
    }

    /// The neighbour's work beside a bomb, which gets as much as it may and no more.
    pub(crate) fn throw(&mut self, bomb: &Bomb) -> f64 {
        let (name, row) = (bomb.name, bomb.row);
        let began = Instant::now();
        // More than there was by now, so that the most there is will be its own.
        let [before, had, none] = self.row(row);
        let limit = if bomb.keeps { before } else { had } + bomb.room;
        self.limit(row, limit);
        self.start(bomb.takes, bomb.processes);
        common::wait_until("a refusal", || self.row(row)[2] > none);
        let mut most = 0;
        let rate = self.watch(name, || {
            let [held, ..] = self.row(row);
            assert!(held <= limit, "{name}: {held} of {limit}");
            most = most.max(held);
        });
        // The daemon answers, too.
        let list = self.node.json(&["list", "--json"]);
        assert_eq!(list.as_array().unwrap().len(), IDS.len(), "{name}: {list}");
        self.stop();
        let started = Instant::now();
        while self.row(row)[0] > before && started.elapsed() < FREED {
            std::thread::sleep(Duration::from_millis(50));
        }
        let [held, maxheld, failcnt] = self.row(row);
        assert!(held <= before, "{name}: {held} are held that nobody has ({before} before)");
        assert!(failcnt > none, "{name}: {failcnt} refusals");
        assert_eq!(if bomb.keeps { most } else { maxheld }, limit, "{name}");
        let (refused, seconds) = (failcnt - none, began.elapsed().as_secs_f64());
        println!("{name}: {row} {most} of {limit} seen, refused {refused}, {seconds:.1} s");
        rate
    }
}

//! A view outlives the processes that serve it, as long as somebody holds its
//! descriptors.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::fs::File;
use std::io::{Read, Seek};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::{Container, Server, serve_if_asked, skip};

/// How often a server is killed; `UBC_KILLS` asks for more.
const KILLS: u64 = 25;

fn kills() -> u64 {
    std::env::var("UBC_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS)
}

/// Different moments in each round, the same in each run.
struct Moments(u64);

impl Moments {
    fn next(&mut self) -> Duration {
        // xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_micros(self.0 % 30_000)
    }
}

fn is_whole(text: &str) -> bool {
    text.starts_with("Version: 2.5\n") && text.lines().count() == 26 && text.ends_with('\n')
}

/// Reads until told to stop; how many files.
fn read_whole(path: &PathBuf, piece: usize, stop: &AtomicBool) -> u64 {
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut file = File::open(path).unwrap();
        let mut text = Vec::new();
        let mut buffer = vec![0; piece];
        loop {
            match file.read(&mut buffer).unwrap() {
                0 => break,
                len => text.extend_from_slice(&buffer[..len]),
            }
        }
        let text = String::from_utf8(text).unwrap();
        assert!(is_whole(&text), "{text}");
        done += 1;
    }
    done
}

/// One open file, rewound again and again.
fn reread(path: &PathBuf, stop: &AtomicBool) -> u64 {
    let mut file = File::open(path).unwrap();
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert!(is_whole(&text), "{text}");
        done += 1;
    }
    done
}

/// Everything else of a /proc.
fn look_around(proc: &PathBuf, stop: &AtomicBool) -> u64 {
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        let names = std::fs::read_dir(proc).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert!(names.iter().any(|name| name == "user_beancounters"), "{names:?}");
        assert_eq!(std::fs::read_to_string(proc.join("1/comm")).unwrap(), "sleep\n");
        assert!(std::fs::read_to_string(proc.join("1/status")).unwrap().contains("\nPid:\t"));
        assert!(std::fs::read_link(proc.join("1/exe")).unwrap().ends_with("sleep"));
        assert_eq!(std::fs::read_to_string(proc.join("sys/kernel/ostype")).unwrap(), "Linux\n");
        let meminfo = std::fs::read_to_string(proc.join("meminfo")).unwrap();
        // Of a container without memory: the host's own says something else.
        assert!(meminfo.starts_with("MemTotal:              0 kB\n"), "{meminfo}");
        done += 1;
    }
    done
}

#[test]
fn no_read_fails_or_is_torn_when_servers_are_killed_at_any_moment() {
    const NAME: &str = "no_read_fails_or_is_torn_when_servers_are_killed_at_any_moment";
    serve_if_asked();
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (server, held) = Server::attach(NAME, container.init);
    let mut server = Some(server);
    let proc = PathBuf::from(format!("/proc/{}/root/proc", container.init));
    let file = proc.join("user_beancounters");
    // Closing asks the server too, until one has said that it need not be asked.
    // The next server is started by this process, whose copies of open files are
    // closed on the way, so it would wait for itself.
    assert!(is_whole(&std::fs::read_to_string(&file).unwrap()));
    let stop = AtomicBool::new(false);
    let done = AtomicU64::new(0);
    let count = |files: u64| {
        assert!(files > 0);
        done.fetch_add(files, Ordering::Relaxed);
    };
    std::thread::scope(|scope| {
        for piece in [64, 700, 65536] {
            let (file, stop, count) = (&file, &stop, &count);
            scope.spawn(move || count(read_whole(file, piece, stop)));
        }
        scope.spawn(|| count(reread(&file, &stop)));
        scope.spawn(|| count(look_around(&proc, &stop)));
        let mut moments = Moments(0x9E37_79B9_7F4A_7C15);
        for _ in 0..kills() {
            std::thread::sleep(moments.next());
            server.take().unwrap().kill();
            server = Some(Server::resume(NAME, &held));
        }
        std::thread::sleep(Duration::from_millis(100));
        stop.store(true, Ordering::Relaxed);
    });
    println!("{} files read over {} kills", done.into_inner(), kills());
    drop(server);
}

#[test]
fn a_reader_that_waited_fails_and_does_not_hang_when_nobody_holds_the_view_any_more() {
    const NAME: &str =
        "a_reader_that_waited_fails_and_does_not_hang_when_nobody_holds_the_view_any_more";
    serve_if_asked();
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (server, held) = Server::attach(NAME, container.init);
    let file = format!("/proc/{}/root/proc/user_beancounters", container.init);
    assert!(is_whole(&std::fs::read_to_string(&file).unwrap()));
    server.kill();
    let reader = std::thread::spawn(move || std::fs::read_to_string(file));
    std::thread::sleep(Duration::from_millis(50));
    assert!(!reader.is_finished(), "it waits for a successor");
    drop(held);
    assert!(reader.join().unwrap().is_err());
}

//! A process in a container, which does what it is told: this program again.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, Write as _, stdin};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::net::{AddressFamily, SocketType, ipproto, socket};

use crate::{Container, sender};

/// A process in a container that waits for commands, one a line.
pub(crate) struct Actor {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    complaints: File,
}

impl Actor {
    pub(crate) fn start(container: &Container) -> Actor {
        Actor::start_in(&container.scratch.path)
    }

    pub(crate) fn start_in(cgroup: &Path) -> Actor {
        let myself = std::env::current_exe().expect("a path");
        Actor::start_by(Command::new(myself), cgroup)
    }

    /// In a network namespace of its own.
    pub(crate) fn start_apart(cgroup: &Path) -> Actor {
        let myself = std::env::current_exe().expect("a path");
        let mut command = Command::new("unshare");
        let up = "ip link set lo up; exec \"$0\" \"$@\"";
        command.args(["-n", "sh", "-c", up]).arg(myself);
        Actor::start_by(command, cgroup)
    }

    fn start_by(mut command: Command, cgroup: &Path) -> Actor {
        let complaints = tempfile::tempfile().expect("a file");
        let mut child = command
            .args(["--exact", "actor::play", "--ignored", "--nocapture"])
            .env("UBC_ACTOR", cgroup.join("cgroup.procs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // One of its own: what we share with it would outlive it.
            .stderr(Stdio::from(complaints.try_clone().expect("a descriptor")))
            .spawn()
            .expect("it starts");
        let commands = child.stdin.take().expect("piped");
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        let mut actor = Actor { child, commands, answers, complaints };
        assert_eq!(actor.answer(), "here");
        actor
    }

    pub(crate) fn tell(&mut self, command: &str) {
        writeln!(self.commands, "{command}").expect("it listens");
    }

    pub(crate) fn answer(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.answers.read_line(&mut line).expect("readable") > 0, "the actor ended");
            // What the test harness prints has no mark, and may have no newline.
            if let Some((_, answer)) = line.trim_end().split_once('@') {
                return answer.to_owned();
            }
        }
    }

    pub(crate) fn ask(&mut self, command: &str) -> String {
        self.tell(command);
        self.answer()
    }

    pub(crate) fn number(&mut self, command: &str) -> u64 {
        let answer = self.ask(command);
        answer.parse().unwrap_or_else(|_| panic!("{command}: {answer}"))
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let mut said = String::new();
        let _ = self.complaints.rewind();
        let _ = self.complaints.read_to_string(&mut said);
        eprint!("{said}");
    }
}

/// What an actor has open.
#[derive(Default)]
struct Stage {
    kept: Vec<OwnedFd>,
    named: HashMap<String, OwnedFd>,
}

/// Not a test: the actor's side.
#[test]
#[ignore = "is started by other tests"]
fn play() {
    let Some(procs) = std::env::var_os("UBC_ACTOR") else { return };
    std::fs::write(procs, "0").expect("the cgroup takes us");
    let mut stage = Stage::default();
    println!("@here");
    for line in stdin().lines() {
        let line = line.expect("readable");
        let words: Vec<&str> = line.split_whitespace().collect();
        println!("@{}", stage.perform(&words));
    }
    std::process::exit(0);
}

impl Stage {
    fn perform(&mut self, words: &[&str]) -> String {
        match *words {
            ["socket", kind] => match open(kind) {
                Ok(fd) => {
                    self.kept.push(fd);
                    "0".to_owned()
                }
                Err(errno) => errno.to_string(),
            },
            ["close"] => {
                self.kept.clear();
                self.named.clear();
                "0".to_owned()
            }
            ["storm", rounds] => storm(rounds.parse().expect("a number")).to_string(),
            ["listen"] => {
                let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
                let port = listener.local_addr().expect("an address").port();
                self.named.insert("listener".into(), listener.into());
                port.to_string()
            }
            ["listen-mptcp"] => {
                let Ok(fd) = socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::MPTCP))
                else {
                    return "none".to_owned();
                };
                let anywhere = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
                rustix::net::bind(&fd, &anywhere).expect("bound");
                rustix::net::listen(&fd, 9).expect("listening");
                let listener = TcpListener::from(fd);
                let port = listener.local_addr().expect("an address").port();
                self.named.insert("listener".into(), listener.into());
                port.to_string()
            }
            ["forget", name] => self.named.remove(name).map_or(0, |_| 1).to_string(),
            ["window", bytes] => {
                let bytes: i32 = bytes.parse().expect("a number");
                set_option(&self.named["listener"], libc::SO_RCVBUFFORCE, bytes).to_string()
            }
            ["accept"] => {
                let listener = TcpListener::from(self.named["listener"].try_clone().expect("fd"));
                let (stream, _) = listener.accept().expect("accepted");
                self.named.insert("stream".into(), stream.into());
                "0".to_owned()
            }
            ["drain", bytes] => {
                let mut stream = TcpStream::from(self.named["stream"].try_clone().expect("fd"));
                let wanted: u64 = bytes.parse().expect("a number");
                let mut rest = std::io::Read::take(&mut stream, wanted);
                std::io::copy(&mut rest, &mut std::io::sink()).expect("readable").to_string()
            }
            ["fill", name] => fill(&self.named[name]).to_string(),
            ["udp"] => {
                let udp = UdpSocket::bind("127.0.0.1:0").expect("bound");
                set_option(&udp, libc::SO_RCVBUFFORCE, 1 << 24);
                let port = udp.local_addr().expect("an address").port();
                self.named.insert("udp".into(), udp.into());
                port.to_string()
            }
            ["udp-loop", rounds] => {
                let rounds: u32 = rounds.parse().expect("a number");
                (0..rounds).filter(|_| UdpSocket::bind("127.0.0.1:0").is_err()).count().to_string()
            }
            ["read-all", name] => {
                let udp = UdpSocket::from(self.named[name].try_clone().expect("fd"));
                udp.set_nonblocking(true).expect("settable");
                let mut buffer = [0; 4096];
                std::iter::from_fn(|| udp.recv(&mut buffer).ok()).count().to_string()
            }
            ["memory", name, index] => {
                memory(&self.named[name])[index.parse::<usize>().expect("a number")].to_string()
            }
            ["inherit"] => inherit().to_string(),
            _ => sender::perform(&mut self.named, words)
                .or_else(|| self.perform_unix(words))
                .unwrap_or_else(|| panic!("no such act: {words:?}")),
        }
    }

    /// With Unix sockets.
    fn perform_unix(&mut self, words: &[&str]) -> Option<String> {
        match *words {
            ["unix-pair", kind] => {
                let (one, other): (OwnedFd, OwnedFd) = if kind == "stream" {
                    let (one, other) = UnixStream::pair().expect("a pair");
                    (one.into(), other.into())
                } else {
                    let (one, other) = UnixDatagram::pair().expect("a pair");
                    (one.into(), other.into())
                };
                self.named.insert("unix".into(), one);
                self.named.insert("peer".into(), other);
            }
            ["unix-listen", path] => {
                self.named
                    .insert("listener".into(), UnixListener::bind(path).expect("bound").into());
            }
            ["unix-connect", path] => {
                self.kept.push(UnixStream::connect(path).expect("connected").into());
            }
            ["unix-accept"] => {
                let listener = UnixListener::from(self.named["listener"].try_clone().expect("fd"));
                self.kept.push(listener.accept().expect("accepted").0.into());
            }
            _ => return None,
        }
        Some("0".to_owned())
    }
}

fn open(kind: &str) -> Result<OwnedFd, i32> {
    let (family, kind) = match kind {
        "tcp" => (AddressFamily::INET, SocketType::STREAM),
        "tcp6" => (AddressFamily::INET6, SocketType::STREAM),
        "udp" => (AddressFamily::INET, SocketType::DGRAM),
        "unix" => (AddressFamily::UNIX, SocketType::STREAM),
        "netlink" => (AddressFamily::NETLINK, SocketType::RAW),
        _ => (AddressFamily::PACKET, SocketType::RAW),
    };
    socket(family, kind, None).map_err(rustix::io::Errno::raw_os_error)
}

/// Opens and closes on four threads; how often that was refused.
fn storm(rounds: u32) -> u64 {
    let refused = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..rounds {
                    let some: Vec<_> = (0..4).map(|_| open("tcp")).collect();
                    let no = some.iter().filter(|one| one.is_err()).count();
                    refused.fetch_add(no as u64, Ordering::Relaxed);
                }
            });
        }
    });
    refused.into_inner()
}

/// Sends until it would have to wait; how many bytes went.
fn fill(fd: &OwnedFd) -> usize {
    rustix::io::ioctl_fionbio(fd, true).expect("settable");
    let data = [0x55; 1000];
    std::iter::from_fn(|| rustix::io::write(fd, &data).ok()).sum()
}

#[allow(unsafe_code)]
fn set_option(fd: &impl std::os::fd::AsFd, option: i32, value: i32) -> i32 {
    // SAFETY: the option takes an int, and is told its size.
    unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            4,
        )
    }
}

/// SO_MEMINFO: what the kernel says is in a socket's buffers.
#[allow(unsafe_code)]
fn memory(fd: &OwnedFd) -> [u32; 9] {
    const SO_MEMINFO: i32 = 55;
    let mut numbers = [0; 9];
    let mut length = 36;
    // SAFETY: the kernel writes `length` bytes at most, the size of the array.
    let answer = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    assert_eq!(answer, 0, "SO_MEMINFO");
    numbers
}

/// Leaves a socket to a process outside of the container; its number.
#[allow(clippy::zombie_processes, reason = "it outlives us, that is the point")]
fn inherit() -> u32 {
    let fd = open("tcp").expect("a socket");
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::empty()).expect("settable");
    let child = Command::new("sleep").arg("1000").stdout(Stdio::null()).spawn().expect("sleep");
    let root = crate::common::unified().join("cgroup.procs");
    std::fs::write(root, child.id().to_string()).expect("it can be moved");
    child.id()
}

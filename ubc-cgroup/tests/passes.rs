//! Passes over tasks and readings of /proc, on the same containers.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use common::counted::{Installed, both, same};
use common::{Actor, Container, held, measured};
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use ubc_cgroup::{Host, Round};
use ubc_core::Resource::{
    DgramRcvBuf, LockedPages, NumFile, NumOtherSock, NumProc, NumPty, NumTcpSock, OtherSockBuf,
    TcpRcvBuf,
};

/// Everything of which a file, a task or a page may be counted twice or not at
/// all, one thing after the other.
const THINGS: &str = r"
stage('files')
files = [os.open('/etc/passwd', os.O_RDONLY) for _ in range(70)]
dups = [os.dup(files[0]) for _ in range(7)]
paths = [os.open('/etc', os.O_PATH), os.open('/dev/ptmx', os.O_PATH)]
far = fcntl.fcntl(files[1], fcntl.F_DUPFD, 900)
stage('forks')
for _ in range(3):
    os.fork() or time.sleep(1000)
stage('threads')
for _ in range(4):
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
stage('a table that two processes share')
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall(56, 0x400 | signal.SIGCHLD, 0, 0, 0, 0) or time.sleep(1000)
shared = os.open('/etc/passwd', os.O_RDONLY)
stage('zombies')
for _ in range(2):
    os.fork() or os._exit(0)
time.sleep(0.2)
stage('terminals')
pairs = [os.openpty() for _ in range(3)]
os.dup(pairs[0][0])
stage('memory')
area = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
address = ctypes.addressof(ctypes.c_char.from_buffer(area))
assert libc.mlock(ctypes.c_void_p(address), 1 << 18) == 0
stage('sockets')
tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
unbound = [socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
name = '/tmp/ubc-passes-%d' % os.getpid()
unix = socket.socket(socket.AF_UNIX)
unix.bind(name)
named = os.open(name, os.O_PATH)
os.unlink(name)
stage('bytes')
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
a.send(b'x' * 1000)
c, d = socket.socketpair()
c.send(b'x' * 5000)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(('127.0.0.1', 0))
udp.sendto(b'x' * 500, udp.getsockname())
tcp.bind(('127.0.0.1', 0))
tcp.listen()
client = socket.create_connection(tcp.getsockname())
server, _ = tcp.accept()
client.send(b'x' * 3000)
time.sleep(0.2)
stage('locks')
locked = os.open('/tmp/ubc-passes-%d' % os.getpid(), os.O_RDWR | os.O_CREAT)
os.unlink('/tmp/ubc-passes-%d' % os.getpid())
fcntl.flock(locked, fcntl.LOCK_EX)
fcntl.fcntl(locked, 37, struct.pack('hhqqi4x', fcntl.F_RDLCK, 0, 0, 10, 0))
stage('signals')
both = (signal.SIGRTMIN, signal.SIGUSR1)
signal.pthread_sigmask(signal.SIG_BLOCK, both)
for number in both * 3:
    signal.pthread_kill(threading.get_ident(), number)
r, w = os.pipe()
if os.fork() == 0:
    for number in both * 2:
        os.kill(os.getpid(), number)
    os.write(w, b'x')
    time.sleep(1000)
os.read(r, 1)
stage('shared memory')
libc.shmat.restype = ctypes.c_void_p
segment = libc.shmget(0, (1 << 20) + 1, 0o1600)
libc.shmat(segment, None, 0)
libc.shmctl(segment, 0, None)
stage('not accepted, and closed')
waiting = socket.create_connection(tcp.getsockname())
waiting.send(b'x' * 2000)
time.sleep(0.2)
";

/// Made by the first test, if the kernel takes it, for all of them: installing takes
/// long where the machine is emulated.
static INSTALLED: Mutex<Made> = Mutex::new(Made::NotYet);

enum Made {
    NotYet,
    Refused,
    Here(Installed),
}

/// The programs, while one test has its turn.
struct Turn(MutexGuard<'static, Made>);

fn installed(host: &Host) -> Option<Turn> {
    let mut made = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    match *made {
        Made::NotYet => {
            *made = Installed::new(host).map_or(Made::Refused, Made::Here);
            // SAFETY: registers a function that takes nothing and unwinds nowhere.
            unsafe { libc::atexit(uninstall) };
        }
        Made::Refused => common::skip("no programs, see above"),
        Made::Here(_) => {}
    }
    matches!(*made, Made::Here(_)).then_some(Turn(made))
}

impl Deref for Turn {
    type Target = Installed;
    fn deref(&self) -> &Installed {
        let Made::Here(installed) = &*self.0 else { unreachable!("a turn has it") };
        installed
    }
}

extern "C" fn uninstall() {
    *INSTALLED.lock().unwrap_or_else(PoisonError::into_inner) = Made::Refused;
}

fn same_numbers(wrapper: &[&str], id: u32) {
    let Some(container) = Container::new() else { return };
    let Some(installed) = installed(&container.host) else { return };
    let mut plain = container.meters();
    let mut passing = installed.meters(&container.host, id, container.cgroup());
    let mut actor = container.python(wrapper, THINGS);
    let mut what = "the start".to_owned();
    let mut last = both(&mut plain, &mut passing, &what);
    while actor.facts != ["end"] {
        actor.next();
        let rows = both(&mut plain, &mut passing, &what);
        what = if actor.facts.is_empty() { "end".to_owned() } else { actor.facts.join(" ") };
        last = rows;
        if what == "end" {
            break;
        }
    }
    assert!(held(&last, NumFile) > 80 && held(&last, NumProc) > 10);
    assert_eq!((held(&last, NumPty), held(&last, LockedPages)), (4, 64));
    assert!(held(&last, NumTcpSock) >= 5 && held(&last, NumOtherSock) >= 8);
    for row in [TcpRcvBuf, OtherSockBuf, DgramRcvBuf] {
        assert!(held(&last, row) > 0, "{row}");
    }
}

#[test]
fn a_pass_counts_what_proc_shows_in_a_shared_network() {
    same_numbers(&[], 101);
}

#[test]
fn a_pass_counts_what_proc_shows_in_a_network_of_its_own() {
    same_numbers(&["unshare", "-n", "sh", "-c", "ip link set lo up; exec \"$@\"", "sh"], 102);
}

#[test]
fn a_pass_counts_what_proc_shows_in_namespaces_of_its_own() {
    let script = "ip link set lo up; exec \"$@\"";
    same_numbers(&["unshare", "-U", "-r", "-n", "-i", "-m", "sh", "-c", script, "sh"], 103);
}

#[test]
fn a_list_of_containers_takes_one_pass_and_shows_each_its_own() {
    const COUNT: u32 = 12;
    let Some(first) = Container::new() else { return };
    let Some(installed) = installed(&first.host) else { return };
    let mut all = vec![first];
    all.extend((1..COUNT).map(|_| Container::new().unwrap()));
    let mut passing: Vec<_> =
        (201..).zip(&all).map(|(id, one)| installed.meters(&one.host, id, one.cgroup())).collect();
    let mut plain: Vec<_> = all.iter().map(Container::meters).collect();
    let mut actors: Vec<_> = (0..)
        .zip(&all)
        .map(|(at, one)| {
            let script = format!(
                "held = [open('/dev/null') for _ in range({})]\nstage()\nheld.clear()",
                10 * at
            );
            // Some in a network, a user and an IPC namespace of their own.
            let wrapper: &[&str] =
                if at % 3 == 0 { &["unshare", "-U", "-r", "-n", "-i"] } else { &[] };
            one.python(wrapper, &script)
        })
        .collect();
    actors.iter_mut().for_each(Actor::next);

    let programs = installed.programs();
    let passes = programs.passes_made();
    let round = Round::begin(Some(programs));
    let empty: u64 = (0..)
        .zip(plain.iter_mut().zip(&mut passing))
        .map(|(at, (plain, passing))| {
            let (slow, fast) = (plain.read().unwrap(), passing.read_in(&round).unwrap());
            same(plain, passing, (&slow, &fast), &format!("container {at}"));
            held(&fast, NumFile) - 10 * at
        })
        .max()
        .unwrap();
    assert_eq!(programs.passes_made(), passes + 1);

    // A round keeps what it saw, the next one sees what was closed meanwhile.
    actors.iter_mut().for_each(Actor::next);
    let last = passing.last_mut().unwrap();
    assert!(held(&last.read_in(&round).unwrap(), NumFile) > empty);
    let round = Round::begin(Some(programs));
    for one in &mut passing {
        assert!(held(&one.read_in(&round).unwrap(), NumFile) <= empty);
    }
    assert_eq!(programs.passes_made(), passes + 2);
    // One that is taken over while it lasts is looked at by itself.
    let late = Container::new().unwrap();
    let mut meters = installed.meters(&late.host, 300, late.cgroup());
    assert_eq!(held(&meters.read_in(&round).unwrap(), NumProc), 0);
    assert_eq!(programs.passes_made(), passes + 3);
}

#[test]
fn a_process_that_moves_takes_its_numbers_along() {
    let Some(container) = Container::new() else { return };
    let Some(installed) = installed(&container.host) else { return };
    let other = Container::new().unwrap();
    let mut from = installed.meters(&container.host, 101, container.cgroup());
    let mut to = installed.meters(&container.host, 102, other.cgroup());
    let script = "held = [open('/dev/null') for _ in range(40)]\nstage()";
    let mut actor = container.python(&[], script);
    actor.next();
    let before = from.read().unwrap();
    assert_eq!(held(&to.read().unwrap(), NumProc), 0);
    // Below a cgroup that is made now: nobody told of it.
    let inner = other.nested("made/later");
    inner.add(actor.pid()).unwrap();
    let (left, moved) = (from.read().unwrap(), to.read().unwrap());
    assert_eq!((held(&left, NumProc), held(&left, NumFile)), (0, 0));
    assert_eq!((held(&moved, NumProc), held(&moved, NumFile)), (1, held(&before, NumFile)));
}

#[test]
fn a_container_in_a_container_counts_in_both() {
    let Some(container) = Container::new() else { return };
    let Some(installed) = installed(&container.host) else { return };
    let inside = container.nested("inside");
    let mut outer = installed.meters(&container.host, 101, container.cgroup());
    let mut plain = container.meters();
    let mut inner = installed.meters(&container.host, 102, container.nested("inside"));
    let _one = Container::python_in(&inside, &[], "stage()");
    let _two = container.python(&[], "stage()");
    let rows = both(&mut plain, &mut outer, "outer");
    assert_eq!(held(&rows, NumProc), 2);
    assert_eq!(held(&inner.read().unwrap(), NumProc), 1);
}

#[test]
fn a_storm_of_processes_neither_stops_a_pass_nor_loses_what_stays() {
    let Some(container) = Container::new() else { return };
    let Some(installed) = installed(&container.host) else { return };
    let mut meters = installed.meters(&container.host, 101, container.cgroup());
    let mut plain = container.meters();
    let held_files = "held = [open('/dev/null') for _ in range(200)]\nstage()";
    let mut stays = container.python(&[], held_files);
    stays.next();
    let storm = container.python(
        &[],
        r"
for _ in range(4):
    if os.fork() == 0:
        while True:
            files = [os.open('/etc/passwd', os.O_RDONLY) for _ in range(20)]
            if os.fork() == 0:
                os.dup(files[0])
                os._exit(0)
            os.wait()
            for file in files:
                os.close(file)
",
    );
    let mut storm = storm;
    storm.next();
    for _ in 0..40 {
        let rows = meters.read().unwrap();
        let (files, tasks) = (held(&rows, NumFile), held(&rows, NumProc));
        assert!((200..600).contains(&files), "{files} files");
        assert!((6..20).contains(&tasks), "{tasks} tasks");
    }
    // What a process has that is stopped does not change any more.
    std::fs::write(container.cgroup().path().join("cgroup.freeze"), "1").unwrap();
    let events = container.cgroup().path().join("cgroup.events");
    while !std::fs::read_to_string(&events).unwrap().contains("frozen 1") {
        std::thread::yield_now();
    }
    both(&mut plain, &mut meters, "after the storm");
}

#[test]
fn a_hundred_thousand_descriptors_are_counted_one_by_one() {
    let Some(container) = Container::new() else { return };
    let Some(installed) = installed(&container.host) else { return };
    let mut meters = installed.meters(&container.host, 101, container.cgroup());
    let mut actor = container.python(
        &[],
        r"
import resource
# A child that may not open them keeps nobody waiting.
signal.alarm(120)
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
each = min(most - 100, 25000)
r, w = os.pipe()
made = 0
while made < 100000:
    made += each
    if os.fork() == 0:
        files = [os.open('/dev/null', os.O_RDONLY) for _ in range(each)]
        os.write(w, b'x')
        time.sleep(1000)
    os.read(r, 1)
stage(made)
",
    );
    let before = held(&meters.read().unwrap(), NumFile);
    actor.next();
    let made: u64 = actor.facts[0].parse().unwrap();
    let started = Instant::now();
    let rows = meters.read().unwrap();
    measured(format!("a reading of {made} files takes {:?}", started.elapsed()));
    // The pipe's two ends, which all share, are new, too.
    assert_eq!(held(&rows, NumFile), before + made + 2);
    assert!(meters.metered()[NumFile].to_string().starts_with("bpf"));
}

//! numfile, numpty and numflock against processes that open known things.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use common::{Container, change, held};
use ubc_cgroup::Bounds;
use ubc_core::Resource::{LockedPages, NumFile, NumFlock, NumPty, NumTcpSock};

#[test]
fn duplicates_and_inherited_descriptors_are_not_counted_twice() {
    let Some(container) = Container::new() else { return };
    let mut meters = container.meters();
    let mut actor = container.python(
        &[],
        r"
stage()
files = [os.open('/etc/passwd', os.O_RDONLY) for _ in range(5)]
dups = [os.dup(files[0]) for _ in range(7)]
stage()
r, w = os.pipe()
children = []
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        os.read(r, 1)
        os._exit(0)
stage()
os.close(files[0])
stage()
again = os.open('/proc/self/fd/%d' % files[1], os.O_RDONLY)
stage()
",
    );
    assert_eq!(change(&mut meters, &mut actor, NumFile), 0, "standing still");
    assert_eq!(change(&mut meters, &mut actor, NumFile), 5, "5 opens, 7 dups of one");
    assert_eq!(change(&mut meters, &mut actor, NumFile), 2, "a pipe has two files; forks share");
    assert_eq!(change(&mut meters, &mut actor, NumFile), 0, "7 dups keep the file open");
    assert_eq!(change(&mut meters, &mut actor, NumFile), 1, "opened again by its link is new");
}

#[test]
fn the_count_agrees_with_a_process_that_shares_nothing() {
    let Some(container) = Container::new() else { return };
    let mut meters = container.meters();
    let mut actor = container.python(&[], "held = [open('/dev/null') for _ in range(40)]\nstage()");
    actor.next();
    let listed = std::fs::read_dir(format!("/proc/{}/fd", actor.pid())).unwrap().count() as u64;
    // stderr is the test's own and may be one file with nothing else here.
    assert_eq!(held(&meters.read().unwrap(), NumFile), listed);
}

#[test]
fn masters_are_counted_and_terminals_are_not() {
    let Some(container) = Container::new() else { return };
    let mut meters = container.meters();
    let mut actor = container.python(
        &[],
        r"
stage()
pairs = [os.openpty() for _ in range(4)]
stage()
extra = os.dup(pairs[0][0])
os.fork() or time.sleep(1000)
stage()
os.close(pairs[1][1])
stage()

",
    );
    assert_eq!(change(&mut meters, &mut actor, NumPty), 0);
    assert_eq!(change(&mut meters, &mut actor, NumPty), 4);
    assert_eq!(change(&mut meters, &mut actor, NumPty), 0, "dup and fork make no terminal");
    assert_eq!(change(&mut meters, &mut actor, NumPty), 0, "a closed slave is no closed master");
    assert_eq!(held(&meters.read().unwrap(), NumPty), 4);
}

#[test]
fn all_three_kinds_of_lock_are_found_and_waiters_are_not() {
    let Some(container) = Container::new() else { return };
    let mut meters = container.meters();
    let path = std::env::temp_dir().join(format!("ubc-lock-{}", std::process::id()));
    std::fs::write(&path, [0; 100]).unwrap();
    let mut actor = container.python(
        &[],
        &format!(
            r"
path = {path:?}
a = os.open(path, os.O_RDWR)
stage()
fcntl.flock(a, fcntl.LOCK_EX)
stage()
for start in (0, 10, 20):
    fcntl.lockf(a, fcntl.LOCK_EX, 5, start)
stage()
# Two open files of their own, each with a read lock on the same range: the
# fdinfo lines of both look the same.
F_OFD_SETLK = 37
keep = []
for start in (50, 50):
    b = os.open(path, os.O_RDWR)
    keep.append(b)
    fcntl.fcntl(b, F_OFD_SETLK, struct.pack('hhqqixxxx', fcntl.F_RDLCK, 0, start, 5, 0))
shared = os.dup(keep[0])
stage()
if os.fork() == 0:
    b = os.open(path, os.O_RDWR)
    fcntl.flock(b, fcntl.LOCK_EX)
    os._exit(0)
time.sleep(0.2)
stage()
"
        ),
    );
    assert_eq!(change(&mut meters, &mut actor, NumFlock), 0);
    assert_eq!(change(&mut meters, &mut actor, NumFlock), 1, "flock");
    assert_eq!(change(&mut meters, &mut actor, NumFlock), 3, "fcntl");
    assert_eq!(change(&mut meters, &mut actor, NumFlock), 2, "open file description locks");
    assert_eq!(change(&mut meters, &mut actor, NumFlock), 0, "a process waits for the flock");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_flock_whose_maker_died_is_still_its_containers() {
    let Some(container) = Container::new() else { return };
    let mut meters = container.meters();
    let path = std::env::temp_dir().join(format!("ubc-orphan-lock-{}", std::process::id()));
    std::fs::write(&path, b"x").unwrap();
    let mut actor = container.python(
        &[],
        &format!(
            r"
a = os.open({path:?}, os.O_RDWR)
stage()
pid = os.fork()
if pid == 0:
    fcntl.flock(a, fcntl.LOCK_EX)
    os._exit(0)
os.waitpid(pid, 0)
stage()
"
        ),
    );
    assert_eq!(change(&mut meters, &mut actor, NumFlock), 0);
    assert_eq!(change(&mut meters, &mut actor, NumFlock), 1);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_pile_of_descriptors_gives_no_number_instead_of_a_wrong_one() {
    let Some(container) = Container::new() else { return };
    let mut meters = container.meters();
    meters.set_bounds(Bounds { descriptors: 50, ..Bounds::default() });
    let mut actor = container.python(&[], "held = [open('/dev/null') for _ in range(60)]\nstage()");
    assert!(meters.read().unwrap()[NumFile].held.is_some());
    actor.next();
    let rows = meters.read().unwrap();
    assert_eq!((rows[NumFile].held, rows[NumTcpSock].held), (None, None));
    assert_eq!(meters.metered()[NumFile].to_string(), "absent: too many descriptors");
    assert!(rows[LockedPages].held.is_some(), "processes were all seen");
}

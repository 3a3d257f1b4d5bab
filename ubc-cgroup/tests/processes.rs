//! The rows that come from processes: threads, zombies, memory, signals.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use common::{Container, change, held};
use ubc_core::Resource::{LockedPages, NumProc, NumSigInfo, OomGuarPages, PhysPages, PrivvmPages};

#[test]
fn threads_and_zombies_count_until_they_are_reaped() {
    let Some(container) = Container::new() else { return };
    let mut meters = container.meters();
    let mut actor = container.python(
        &[],
        r"
stage()
done = threading.Event()
threads = [threading.Thread(target=done.wait) for _ in range(6)]
for t in threads: t.start()
stage()
pids = []
for _ in range(3):
    pid = os.fork()
    if pid == 0: os._exit(0)
    pids.append(pid)
for pid in pids: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
stage(*pids)
for pid in pids: os.waitpid(pid, 0)
stage()
done.set()
for t in threads: t.join()
# A joined thread is off the books a moment later.
time.sleep(0.3)
stage()
",
    );
    assert_eq!(held(&meters.read().unwrap(), NumProc), 1);
    assert_eq!(change(&mut meters, &mut actor, NumProc), 0);
    assert_eq!(change(&mut meters, &mut actor, NumProc), 6, "threads");
    assert_eq!(change(&mut meters, &mut actor, NumProc), 3, "zombies");
    for pid in &actor.facts {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        assert!(status.contains("State:\tZ"), "not a zombie: the test proves nothing\n{status}");
    }
    assert_eq!(change(&mut meters, &mut actor, NumProc), -3, "reaped");
    assert_eq!(change(&mut meters, &mut actor, NumProc), -6, "joined");
}

#[test]
fn zombies_of_a_thread_that_is_not_the_leader_are_found() {
    let Some(container) = Container::new() else { return };
    let mut meters = container.meters();
    let mut actor = container.python(
        &[],
        r"
stage()
ready, done = threading.Event(), threading.Event()
def parent():
    pid = os.fork()
    if pid == 0: os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    ready.set()
    done.wait()
t = threading.Thread(target=parent); t.start(); ready.wait()
stage()
done.set()
",
    );
    assert_eq!(change(&mut meters, &mut actor, NumProc), 0);
    assert_eq!(change(&mut meters, &mut actor, NumProc), 2, "a thread and its zombie");
}

#[test]
fn nested_cgroups_belong_to_the_container() {
    let Some(container) = Container::new() else { return };
    let nested = container.nested("inner/most");
    let actor = container.python(&[], "stage()");
    nested.add(actor.pid()).unwrap();
    let mut meters = container.meters();
    assert_eq!(held(&meters.read().unwrap(), NumProc), 1);
    let mut inner = ubc_cgroup::Meters::open(&container.host, nested).unwrap();
    assert_eq!(held(&inner.read().unwrap(), NumProc), 1);
}

#[test]
fn a_process_that_calls_itself_rubbish_blinds_no_meter() {
    let Some(container) = Container::new() else { return };
    let mut meters = container.meters();
    let mut actor = container.python(
        &[],
        r"
libc = ctypes.CDLL(None)
stage()
libc.prctl(15, b'\xff\xfe\nState:\tZ)', 0, 0, 0)
stage()
",
    );
    assert_eq!(change(&mut meters, &mut actor, NumProc), 0);
    assert_eq!(change(&mut meters, &mut actor, NumProc), 0);
    assert_eq!(held(&meters.read().unwrap(), NumProc), 1);
}

#[test]
fn private_memory_counts_when_mapped_and_resident_memory_when_touched() {
    let Some(container) = Container::new() else { return };
    let mut meters = container.meters();
    let mut actor = container.python(
        &[],
        r"
stage()
area = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
stage()
for at in range(0, 64 << 20, 4096): area[at] = 1
stage()
readonly = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ)
stage()
",
    );
    let pages = i64::try_from((64 << 20) / rustix::param::page_size()).unwrap();
    actor.next();
    let base = meters.read().unwrap();
    actor.next();
    let mapped = meters.read().unwrap();
    actor.next();
    let touched = meters.read().unwrap();
    actor.next();
    let readonly = meters.read().unwrap();
    let grown = |a: &_, b: &_, row| held(b, row).cast_signed() - held(a, row).cast_signed();
    let near = |n: i64, m: i64| (n - m).abs() < 64;
    // The interpreter's own pages are shared with the other tests' and count
    // by how many share them.
    let roughly = |n: i64, m: i64| (n - m).abs() < pages / 8;
    assert!(near(grown(&base, &mapped, PrivvmPages), pages));
    assert!(roughly(grown(&base, &mapped, PhysPages), 0));
    assert!(near(grown(&mapped, &touched, PrivvmPages), 0));
    assert!(roughly(grown(&mapped, &touched, PhysPages), pages));
    assert!(roughly(grown(&mapped, &touched, OomGuarPages), pages));
    assert!(near(grown(&touched, &readonly, PrivvmPages), 0), "read-only private is not charged");
}

#[test]
fn memory_shared_by_a_fork_is_resident_once_and_private_twice() {
    let Some(container) = Container::new() else { return };
    let mut meters = container.meters();
    let mut actor = container.python(
        &[],
        r"
area = mmap.mmap(-1, 32 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, 32 << 20, 4096): area[at] = 1
stage()
if os.fork() == 0: time.sleep(1000)
time.sleep(0.1)
stage()
",
    );
    actor.next();
    let before = meters.read().unwrap();
    actor.next();
    let after = meters.read().unwrap();
    let pages = (32 << 20) / rustix::param::page_size() as u64;
    assert!(held(&after, PrivvmPages) - held(&before, PrivvmPages) >= pages);
    // The child touches its interpreter's pages, a few hundred.
    assert!(held(&after, PhysPages).abs_diff(held(&before, PhysPages)) < pages / 4);
}

#[test]
fn locked_memory_is_seen() {
    let Some(container) = Container::new() else { return };
    let mut meters = container.meters();
    let mut actor = container.python(
        &[],
        r"
libc = ctypes.CDLL(None, use_errno=True)
area = mmap.mmap(-1, 1 << 20)
at = ctypes.addressof(ctypes.c_char.from_buffer(area))
stage()
stage(libc.mlock(ctypes.c_void_p(at), 1 << 20))
",
    );
    assert_eq!(change(&mut meters, &mut actor, LockedPages), 0);
    let grown = change(&mut meters, &mut actor, LockedPages);
    if actor.facts != ["0"] {
        common::skip("mlock of 1 MiB is refused here (RLIMIT_MEMLOCK)");
        return;
    }
    assert_eq!(grown, i64::try_from((1 << 20) / rustix::param::page_size()).unwrap());
}

#[test]
fn queued_signals_of_an_own_user_namespace_are_counted_exactly() {
    let Some(container) = Container::new() else { return };
    let mut meters = container.meters();
    let script = r"
libc = ctypes.CDLL(None)
signal.pthread_sigmask(signal.SIG_BLOCK, {34, 35, signal.SIGUSR1})
stage()
for n in range(9): libc.sigqueue(os.getpid(), 35, None)
stage()
";
    let mut actor = container.python(&["unshare", "-U", "-r"], script);
    assert_eq!(change(&mut meters, &mut actor, NumSigInfo), 0);
    assert_eq!(change(&mut meters, &mut actor, NumSigInfo), 9);
    assert_eq!(meters.metered()[NumSigInfo].to_string(), "SigQ");
    drop(actor);

    let mut actor = container.python(&[], script);
    assert_eq!(change(&mut meters, &mut actor, NumSigInfo), 0);
    assert_eq!(change(&mut meters, &mut actor, NumSigInfo), 1, "one pending bit, not nine");
    assert!(meters.metered()[NumSigInfo].to_string().ends_with("(lower bound)"));
}

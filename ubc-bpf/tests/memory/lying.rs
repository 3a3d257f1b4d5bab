//! Files that nobody needs to have open, and that were there before their container
//! was taken over.
#![allow(unsafe_code, reason = "raw system calls are what it is for")]

use std::path::Path;

use super::common::task::{Port, Task};
use super::common::unified;
use super::swap::{Swap, swap_out};
use super::tmpfs::{PAGE, Tmpfs, append, pages_of_all, write};
use super::*;

/// A cgroup that is no container, in which memory is counted; it is where the bench
/// was. `None` after saying why the check cannot be made.
fn vacated(bench: Bench<'_>) -> Option<(&Installed, Scratch)> {
    let Bench { installed, slot, worker, scratch } = bench;
    drop(worker);
    installed.remove(slot).expect("removed");
    if !scratch.path.join("memory.current").exists()
        && fs::write(unified().join("cgroup.subtree_control"), "+memory").is_err()
    {
        println!("SKIP: the memory controller is not in cgroup v2 here");
        return None;
    }
    Some((installed, scratch))
}

fn take_over(installed: &Installed, scratch: &Scratch) -> Slot {
    let slot = installed.add(scratch.dir.as_fd(), 8, None).expect("a place");
    installed.seed(slot).expect("seeded");
    slot
}

fn held(installed: &Installed, slot: Slot) -> u64 {
    installed.counts(slot).expect("readable")[SHM].held
}

/// Nothing may stay.
fn finish(installed: &Installed, slot: Slot, scratch: Scratch) {
    let worker = Worker::start(&scratch.path);
    Bench { installed, slot, worker, scratch }.finish();
}

/// Does something in a cgroup and ends.
fn once(scratch: &Path, work: impl FnOnce()) {
    Task::start(scratch, |_: &mut Port| work()).join();
}

pub(super) fn what_lies_on_a_tmpfs_of_its_own_is_found_and_given_back(bench: Bench<'_>) {
    let Some((installed, scratch)) = vacated(bench) else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let mut worker = Worker::start(&scratch.path);
    assert_eq!(worker.ask("tmpfs alone"), 0);
    let at = dir.path().display();
    let mut act =
        |what: &str, name: &str, how: &str| worker.ask(&format!("tmpfs {what} {at}/{name} {how}"));
    assert_eq!(act("mount", "", ""), 0);
    let written = [("one", 0, 1), ("few", 0, 3), ("gone", 0, 4), ("sparse", 1 << 28, 1)];
    // Several levels of nodes
    for (name, from, pages) in written.into_iter().chain([("big", 0, 5120)]) {
        assert_eq!(act("write", name, &format!("{from} {pages}")), 0);
    }
    assert_eq!((act("size", "empty", "0"), act("size", "hole", "1000000")), (0, 0));
    assert_eq!(act("link", "link", ""), 0);
    let descriptor = act("open", "gone", "");
    assert!(descriptor > 2);
    assert_eq!(act("remove", "gone", ""), 0);
    let slot = take_over(installed, &scratch);
    let mut bench = Bench { installed, slot, worker, scratch };
    let all = 1 + 3 + 4 + 1 + 5120;
    assert_eq!(bench.held(SHM), all);
    bench.assert_exact("after the seed");
    installed.seed(slot).expect("seeded");
    assert_eq!(bench.held(SHM), all, "after another seed");
    bench.assert_exact("after another seed");
    let act = |bench: &mut Bench<'_>, what: &str, name: &str, how: &str| {
        bench.worker.ask(&format!("tmpfs {what} {at}/{name} {how}"))
    };
    assert_eq!(act(&mut bench, "size", "big", "100"), 0);
    assert_eq!(bench.held(SHM), all - 5020, "after a truncation");
    assert_eq!(act(&mut bench, "remove", "few", ""), 0);
    assert_eq!(bench.held(SHM), all - 5023, "after a removal");
    bench.worker.call(libc::SYS_close, &[descriptor]).expect("closed");
    assert_eq!(bench.held(SHM), all - 5027, "after a file without a name was closed");
    bench.room(SHM, 2);
    let refused = -i64::from(libc::ENOSPC);
    assert_eq!(act(&mut bench, "write", "one", "1 2"), 0);
    assert_eq!(act(&mut bench, "write", "one", "3 1"), refused);
    assert_eq!((bench.held(SHM), bench.count(SHM).failcnt), (all - 5025, 1));
    bench.assert_exact("at the limit");
    assert_eq!(act(&mut bench, "unmount", "", ""), 0);
    assert_eq!(bench.held(SHM), 0, "after its tmpfs is gone");
    bench.finish();
}

pub(super) fn what_others_have_on_a_shared_tmpfs_stays_theirs(bench: Bench<'_>) {
    let Some((installed, scratch)) = vacated(bench) else { return };
    let other = Scratch::new();
    let tmpfs = Tmpfs::new();
    write(&tmpfs.file("host"), 5);
    once(&scratch.path, || {
        write(&tmpfs.file("ours"), 6);
        append(&tmpfs.file("host"), 2).expect("written");
    });
    once(&other.path, || write(&tmpfs.file("theirs"), 7));
    // Nobody of either runs any more.
    let slot = take_over(installed, &scratch);
    assert_eq!(held(installed, slot), 6);
    let theirs = take_over(installed, &other);
    assert_eq!((held(installed, slot), held(installed, theirs)), (6, 7));
    // Whoever writes
    append(&tmpfs.file("ours"), 1).expect("written");
    once(&other.path, || append(&tmpfs.file("ours"), 1).expect("written"));
    append(&tmpfs.file("host"), 1).expect("written");
    assert_eq!((held(installed, slot), held(installed, theirs)), (8, 7));
    fs::remove_file(tmpfs.file("ours")).expect("removed");
    assert_eq!((held(installed, slot), held(installed, theirs)), (0, 7));
    drop(tmpfs);
    assert_eq!(held(installed, theirs), 0);
    finish(installed, theirs, other);
    finish(installed, slot, scratch);
}

pub(super) fn a_file_whose_writers_cgroup_is_gone_is_found(bench: Bench<'_>) {
    let Some((installed, scratch)) = vacated(bench) else { return };
    let tmpfs = Tmpfs::new();
    let inner = scratch.path.join("inner");
    fs::create_dir(&inner).expect("made");
    fs::write(scratch.path.join("cgroup.subtree_control"), "+memory").expect("enabled");
    let innermost = inner.join("innermost");
    fs::create_dir(&innermost).expect("made");
    fs::write(inner.join("cgroup.subtree_control"), "+memory").expect("enabled");
    once(&innermost, || write(&tmpfs.file("orphan"), 9));
    for cgroup in [innermost, inner] {
        // Its last task may not be quite gone.
        let gone = |_| {
            std::thread::sleep(Duration::from_millis(10));
            fs::remove_dir(&cgroup).is_ok()
        };
        assert!((0..1000).any(gone), "{}", cgroup.display());
    }
    fs::write(scratch.path.join("cgroup.subtree_control"), "-memory").expect("disabled");
    let slot = take_over(installed, &scratch);
    assert_eq!(held(installed, slot), 9);
    fs::remove_file(tmpfs.file("orphan")).expect("removed");
    assert_eq!(held(installed, slot), 0);
    finish(installed, slot, scratch);
}

pub(super) fn a_segment_that_nobody_uses_is_found(bench: Bench<'_>) {
    let Some((installed, scratch)) = vacated(bench) else { return };
    let mut task = Task::start(&scratch.path, |port| {
        // SAFETY: a new segment, and its own memory.
        let id = unsafe {
            let id = libc::shmget(libc::IPC_PRIVATE, 10 * PAGE, libc::IPC_CREAT | 0o600);
            let at = libc::shmat(id, std::ptr::null(), 0).cast::<u8>();
            at.write_volatile(1);
            libc::shmdt(at.cast());
            id
        };
        port.say(id.into());
    });
    let id = task.hear();
    task.join();
    let slot = take_over(installed, &scratch);
    assert_eq!(held(installed, slot), 10);
    let id = id.try_into().expect("a number");
    // SAFETY: the segment is ours.
    unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
    assert_eq!(held(installed, slot), 0);
    finish(installed, slot, scratch);
}

pub(super) fn a_file_of_which_a_part_was_swapped_out_is_found_whole(bench: Bench<'_>) {
    let Some((installed, scratch)) = vacated(bench) else { return };
    let Some(_swap) = Swap::new() else {
        println!("SKIP: no swap space can be had here");
        return;
    };
    let tmpfs = Tmpfs::new();
    once(&scratch.path, || {
        write(&tmpfs.file("part"), 200);
        write(&tmpfs.file("whole"), 100);
        swap_out(&tmpfs.file("part"), 0, 150, &scratch.path);
        swap_out(&tmpfs.file("whole"), 0, 100, &scratch.path);
    });
    let slot = take_over(installed, &scratch);
    // Of the other no page says whose it is.
    assert_eq!(held(installed, slot), 200);
    once(&scratch.path, || {
        assert_eq!(fs::read(tmpfs.file("whole")).expect("read").len(), 100 * PAGE);
    });
    installed.seed(slot).expect("seeded");
    assert_eq!(held(installed, slot), 300, "it is in memory again");
    drop(tmpfs);
    assert_eq!(held(installed, slot), 0);
    finish(installed, slot, scratch);
}

pub(super) fn files_that_come_and_go_while_it_is_looked_for_them_leave_nothing(bench: Bench<'_>) {
    let Some((installed, scratch)) = vacated(bench) else { return };
    let tmpfs = Tmpfs::new();
    let end = scratch.path.with_extension("end");
    let end = std::env::temp_dir().join(end.file_name().expect("a name"));
    let (dir, until) = (tmpfs.0.path().display(), end.display());
    let mut workers: Vec<Worker> = (0..3).map(|_| Worker::start(&scratch.path)).collect();
    for (me, worker) in workers.iter_mut().enumerate() {
        worker.tell(&format!("tmpfs bustle {dir} {me} {until}"));
    }
    std::thread::sleep(Duration::from_secs(2));
    let mut slot = take_over(installed, &scratch);
    let found = held(installed, slot);
    for _ in 0..20 {
        // What is made while nobody knows the container is found with the next look.
        installed.remove(slot).expect("removed");
        std::thread::sleep(Duration::from_millis(50));
        slot = take_over(installed, &scratch);
    }
    fs::write(&end, "").expect("written");
    let rounds: Vec<_> = workers.iter_mut().map(Worker::answer).collect();
    fs::remove_file(&end).expect("removed");
    println!("{found} pages found at once, {rounds:?} rounds");
    drop(workers);
    assert!(found > 0);
    assert_eq!(held(installed, slot), pages_of_all(tmpfs.0.path()), "when the storm is over");
    for entry in fs::read_dir(tmpfs.0.path()).expect("readable") {
        fs::remove_file(entry.expect("one").path()).expect("removed");
    }
    assert_eq!(held(installed, slot), 0);
    finish(installed, slot, scratch);
}

pub(super) fn what_is_unmounted_while_it_is_looked_at_leaves_nothing(bench: Bench<'_>) {
    let Some((installed, scratch)) = vacated(bench) else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let at = dir.path().display();
    let mut worker = Worker::start(&scratch.path);
    assert_eq!(worker.ask("tmpfs alone"), 0);
    let mut most = 0;
    let mut slot = None;
    for _ in 0..8 {
        if let Some(slot) = slot {
            installed.remove(slot).expect("removed");
        }
        assert_eq!(worker.ask(&format!("tmpfs mount {at}")), 0);
        assert_eq!(worker.ask(&format!("tmpfs fill {at} 3000")), 0);
        // Ends thousands of files, one after the other.
        worker.tell(&format!("tmpfs unmount {at}"));
        let taken = take_over(installed, &scratch);
        assert_eq!(worker.answer(), Some(0));
        let count = installed.counts(taken).expect("readable")[SHM];
        assert_eq!(count.held, 0, "of {} that were found", count.maxheld);
        most = most.max(count.maxheld);
        slot = Some(taken);
    }
    println!("{most} of 3000 files were found before they ended");
    drop(worker);
    finish(installed, slot.expect("a place"), scratch);
}

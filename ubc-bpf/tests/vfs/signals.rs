//! numsiginfo

use ubc_core::Resource::NumSigInfo;

use crate::common::shared::shared;
use crate::common::task::Task;
use crate::sys;

fn realtime(number: i32) -> i32 {
    libc::SIGRTMIN() + number
}

#[test]
fn a_queued_signal_counts_until_it_is_taken() {
    let Some(enforcer) = shared("a_queued_signal_counts_until_it_is_taken") else { return };
    let (scratch, slot) = enforcer.container(1);
    let (first, second) = (realtime(1), realtime(2));
    enforcer.bound(slot, NumSigInfo, 3, 3);
    let mut task = Task::start(&scratch.path, |port| {
        sys::block(&[first, second]);
        for step in [
            (|f, _| sys::queue(sys::own(), f)) as fn(i32, i32) -> i32,
            |_, s| sys::queue(sys::own(), s),
            |f, _| sys::queue(sys::own(), f),
            |f, _| sys::queue(sys::own(), f),
            |f, _| i32::from(sys::take(&[f]) != f),
            |f, s| i32::from(sys::take(&[f, s]) != f),
            // Discards what is pending.
            |_, s| {
                sys::ignore(s);
                0
            },
            // Ignored, but blocked: it stays all the same.
            |_, s| sys::queue(sys::own(), s),
            // A plain signal has a record too.
            |f, _| sys::kill(sys::own(), f),
        ] {
            port.hear();
            port.say(step(first, second).into());
        }
        port.hear();
    });
    for (errno, held) in
        [(0, 1), (0, 2), (0, 3), (libc::EAGAIN, 3), (0, 2), (0, 1), (0, 0), (0, 1), (0, 2)]
    {
        assert_eq!(task.step(), i64::from(errno));
        assert_eq!(enforcer.held(slot, NumSigInfo), held);
    }
    assert_eq!(enforcer.failcnt(slot, NumSigInfo), 1);
    task.say(0);
    task.join();
    enforcer.clean(&[slot]);
}

#[test]
fn a_timers_record_lives_as_long_as_the_timer_or_its_signal() {
    let Some(enforcer) = shared("a_timers_record_lives_as_long_as_the_timer_or_its_signal") else {
        return;
    };
    let (scratch, slot) = enforcer.container(1);
    let signal = realtime(3);
    let mut task = Task::start(&scratch.path, |port| {
        sys::block(&[signal]);
        let idle = sys::timer(signal, 0);
        port.say(0);
        port.hear();
        let fired = sys::timer(signal, 1);
        while sys::take(&[signal]) != signal {}
        port.say(0);
        port.hear();
        sys::delete(idle);
        sys::delete(fired);
        let pending = sys::timer(signal, 1);
        std::thread::sleep(std::time::Duration::from_millis(100));
        sys::delete(pending);
        port.say(0);
        port.hear();
        port.say(sys::take(&[signal]).into());
        port.hear();
    });
    assert_eq!(task.hear(), 0);
    assert_eq!(enforcer.held(slot, NumSigInfo), 1, "an idle timer");
    assert_eq!(task.step(), 0);
    assert_eq!(enforcer.held(slot, NumSigInfo), 2, "and one that fired");
    assert_eq!(task.step(), 0);
    assert_eq!(enforcer.held(slot, NumSigInfo), 1, "a deleted timer's signal");
    assert_eq!(task.step(), i64::from(signal));
    assert_eq!(enforcer.held(slot, NumSigInfo), 0);
    task.say(0);
    task.join();
    enforcer.clean(&[slot]);
}

#[test]
fn plain_signals_arrive_at_the_limit_and_faults_leave_nothing() {
    let Some(enforcer) = shared("plain_signals_arrive_at_the_limit_and_faults_leave_nothing")
    else {
        return;
    };
    let (scratch, slot) = enforcer.container(1);
    enforcer.bound(slot, NumSigInfo, 0, 0);
    let mut task = Task::start(&scratch.path, |port| {
        sys::block(&[libc::SIGUSR1, libc::SIGUSR2, libc::SIGCHLD]);
        let own = sys::own();
        port.say(sys::kill(own, libc::SIGUSR1).into());
        port.say(sys::take(&[libc::SIGUSR1]).into());
        for signal in [libc::SIGSEGV, libc::SIGABRT, libc::SIGKILL] {
            let child = sys::fork(|| {
                sys::kill(sys::own(), signal);
            });
            sys::wait(child.expect("forked"));
        }
        port.say(sys::take(&[libc::SIGCHLD]).into());
        port.hear();
    });
    assert_eq!(task.hear(), 0);
    assert_eq!(task.hear(), libc::SIGUSR1.into());
    assert_eq!(task.hear(), libc::SIGCHLD.into());
    assert_eq!(enforcer.count(slot, NumSigInfo).maxheld, 0);
    task.say(0);
    task.join();
    enforcer.clean(&[slot]);
}

#[test]
fn a_process_that_dies_or_execs_leaves_no_record() {
    let Some(enforcer) = shared("a_process_that_dies_or_execs_leaves_no_record") else { return };
    let (scratch, slot) = enforcer.container(1);
    let signal = realtime(4);
    let mut task = Task::start(&scratch.path, |port| {
        sys::block(&[signal]);
        port.say(0);
        port.hear();
        let _timer = sys::timer(signal, 1);
        let error = std::os::unix::process::CommandExt::exec(
            std::process::Command::new("/bin/sleep").arg("1000"),
        );
        panic!("{error}");
    });
    assert_eq!(task.hear(), 0);
    for _ in 0..5 {
        assert_eq!(sys::queue(task.pid, signal), 0);
    }
    assert_eq!(enforcer.held(slot, NumSigInfo), 5, "charged to who gets it");
    task.say(0);
    std::thread::sleep(std::time::Duration::from_millis(500));
    enforcer.settles(slot, NumSigInfo, 5);
    task.kill();
    enforcer.clean(&[slot]);
}

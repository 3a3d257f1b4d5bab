//! tcpsndbuf of containers in others, and of builds that follow each other.

use std::fs::{self, File};
use std::os::fd::AsFd as _;

use ubc_bpf::{Count, Enforcer};
use ubc_core::Resource::TcpSndBuf;
use ubc_core::{Limits, PerResource};

use crate::Container;
use crate::actor::Actor;
use crate::common::{Scratch, all_given_back, disown, install, refuses, turn};
use crate::sending::{LIMIT, Peer, SEGMENT, read_to_end};

const BYTES: usize = 1_000_000;

/// Waits until somebody was refused.
fn refused(count: impl Fn() -> Count) -> Count {
    let mut seen = count();
    for _ in 0..3000 {
        if seen.failcnt > 0 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
        seen = count();
    }
    assert!(seen.failcnt > 0, "nobody had to wait: {seen:?}");
    seen
}

#[test]
fn a_sender_in_an_inner_container_waits_for_room_in_the_outer_one() {
    let test = "a_sender_in_an_inner_container_waits_for_room_in_the_outer_one";
    let Some(outer) = Container::new(test) else { return };
    let path = outer.scratch.path.join("inner");
    fs::create_dir(&path).expect("a cgroup can be made");
    let dir = File::open(&path).expect("it can be opened");
    let inner = outer.enforcer.add(dir.as_fd(), 102, None).expect("there is room");
    let mut actor = Actor::start_in(&path);
    let stream = Peer::new().connect(&mut actor, "out");
    outer.limit(TcpSndBuf, LIMIT);
    actor.tell(&format!("send out {BYTES}"));
    let full = refused(|| outer.count(TcpSndBuf));
    assert!(full.held > LIMIT / 4 && full.held <= LIMIT + SEGMENT, "{full:?}");
    let in_both = outer.enforcer.count(inner, TcpSndBuf);
    assert_eq!(in_both.failcnt, 0, "refused by the outer one alone: {in_both:?}");
    assert!(in_both.maxheld <= LIMIT + SEGMENT, "{in_both:?}");
    let reader = std::thread::spawn(move || read_to_end(stream));
    assert_eq!(actor.answer(), BYTES.to_string());
    actor.ask("close");
    assert_eq!(reader.join().expect("no panic"), BYTES);
    drop(actor);
    outer.settles(TcpSndBuf, 0);
    assert_eq!(outer.enforcer.held(inner, TcpSndBuf), 0, "what the outer one has not");
    outer.enforcer.remove(inner).expect("removable");
    drop(dir);
    for _ in 0..1000 {
        if fs::remove_dir(&path).is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    outer.ends();
}

/// The note about a sender lies in a map of the build that made it, and the next one
/// must not let him pass because it has none.
#[test]
fn a_sender_still_waits_when_another_build_has_taken_over() {
    let test = "a_sender_still_waits_when_another_build_has_taken_over";
    let _turn = turn();
    let (first, options) = install();
    if !refuses(test, &first) {
        drop(first);
        Enforcer::uninstall(&options.root).expect("everything is removed");
        return;
    }
    let scratch = Scratch::new();
    let slot = first.add(scratch.dir.as_fd(), 1, None).expect("there is room");
    let mut actor = Actor::start_in(&scratch.path);
    let peer = Peer::new();
    let stream = peer.connect(&mut actor, "out");
    let mut limits = PerResource::default();
    limits[TcpSndBuf] = Some(Limits { barrier: LIMIT, limit: LIMIT });
    first.set_limits(slot, &limits).expect("writable");
    drop(first);
    actor.tell(&format!("send out {BYTES}"));
    disown(&options.root);
    let second = Enforcer::open(&options).expect("it takes over");
    let count = || second.counts(slot).expect("readable")[TcpSndBuf];
    let full = refused(count);
    assert!(full.held <= LIMIT + SEGMENT, "{full:?}");
    let reader = std::thread::spawn(move || read_to_end(stream));
    assert_eq!(actor.answer(), BYTES.to_string());
    actor.ask("close");
    assert_eq!(reader.join().expect("no panic"), BYTES);
    // A connection of before, and the limit of before, under the new programs.
    let failed = count().failcnt;
    let stream = peer.connect(&mut actor, "again");
    actor.tell(&format!("send again {BYTES}"));
    let full = refused(|| Count { failcnt: count().failcnt - failed, ..count() });
    assert!(full.held <= LIMIT + SEGMENT, "{full:?}");
    let reader = std::thread::spawn(move || read_to_end(stream));
    assert_eq!(actor.answer(), BYTES.to_string());
    actor.ask("close");
    assert_eq!(reader.join().expect("no panic"), BYTES);
    drop(actor);
    all_given_back(&second);
    assert_eq!(count().held, 0);
    assert!(count().maxheld <= LIMIT + SEGMENT, "{:?}", count());
    drop((second, scratch));
    Enforcer::uninstall(&options.root).expect("everything is removed");
}

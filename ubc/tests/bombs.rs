//! One container takes what it can of one thing after the other:
//! it stops at its limit, and neither the host nor a neighbour has less to work
//! with.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;
#[path = "bombs/scene.rs"]
mod scene;
#[path = "bombs/work.rs"]
mod work;

use common::{imposes, skip};
use scene::{LOCKED, Scene};

/// What is thrown, and where it has to stop.
struct Bomb {
    name: &'static str,
    row: &'static str,
    /// How much it gets, on top of the most the container had by then: or, if it gives
    /// nothing back and so is at its limit all the time, of what that has.
    room: u64,
    keeps: bool,
    /// What the example program `bomb` is told to take, and in how many processes.
    takes: &'static str,
    processes: usize,
}

const BOMBS: [Bomb; 12] = [
    bomb("fork", "numproc", 24, "fork", 1),
    bomb("open", "numfile", 256, "numfile", 2),
    bomb("socket", "numothersock", 64, "numothersock", 2),
    bomb("half-open TCP", "numtcpsock", 48, "half-open", 2),
    bomb("mmap", "privvmpages", 8192, "mmap", 2),
    // Nothing can refuse mlock within RLIMIT_MEMLOCK (docs/enforcement.md), which is for
    // each process: what stops many of them is that locked memory is memory.
    Bomb { keeps: true, ..bomb("mlock", "privvmpages", 4096, "mlock", 4) },
    bomb("memfd", "shmpages", 512, "memfd", 2),
    bomb("tmpfs", "shmpages", 512, "tmpfs", 2),
    bomb("flock", "numflock", 32, "numflock", 2),
    bomb("pty", "numpty", 8, "numpty", 2),
    bomb("signal", "numsiginfo", 64, "numsiginfo", 2),
    bomb("netfilter rule", "numiptent", 32, "rules", 2),
];

const fn bomb(
    name: &'static str,
    row: &'static str,
    room: u64,
    takes: &'static str,
    processes: usize,
) -> Bomb {
    Bomb { name, row, room, keeps: false, takes, processes }
}

/// How many bombs are between two looks at the neighbour beside a harmless program.
const BOMBS_PER_LOOK: usize = 3;

/// What of a neighbour's work must be left beside bombs, of what it does beside a program
/// that is as busy and harmless. One window of an emulated machine may be a bad one, all
/// together are not.
const LEFT_OF_ONE: f64 = 0.3;
const LEFT_OF_ALL: f64 = 0.8;

/// How often all are thrown until that is seen.
const LOOKS: usize = 3;

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
    // What else is on the machine can spoil a share, and does not so each time.
    let mut shares = Vec::new();
    for _ in 0..LOOKS {
        shares = throw_all(&mut scene, &bombs);
        if wrong(&shares).is_none() {
            break;
        }
    }
    assert_eq!(wrong(&shares), None, "{shares:.2?}");
    if bombs.iter().any(|bomb| bomb.takes == "mlock") {
        let [held, maxheld, failcnt] = scene.row("lockedpages");
        assert!(maxheld > LOCKED && failcnt == 0, "lockedpages: {maxheld}, refused {failcnt}");
        assert_eq!(held, 0, "lockedpages");
    }
    // And with all of them behind it the container is as any other.
    assert_eq!(scene.hostile.sh("cat /proc/1/comm"), "sh");
}

/// Throws them one after the other; tells what each leaves of the neighbour's work.
fn throw_all(scene: &mut Scene, bombs: &[&Bomb]) -> Vec<f64> {
    let mut beside_busy = vec![scene.be_busy()];
    let mut beside_bombs = Vec::new();
    for (at, bomb) in bombs.iter().enumerate() {
        beside_bombs.push(scene.throw(bomb));
        if (at + 1) % BOMBS_PER_LOOK == 0 || at + 1 == bombs.len() {
            beside_busy.push(scene.be_busy());
        }
    }
    println!("beside a busy program: {beside_busy:.0?} a second");
    // The two looks around it: an emulated machine may have five times as much of its host
    // a minute later.
    let share = |(at, rate): (usize, f64)| rate / mean(&beside_busy[at / BOMBS_PER_LOOK..][..2]);
    let shares: Vec<f64> = beside_bombs.into_iter().enumerate().map(share).collect();
    bombs.iter().zip(&shares).for_each(|(bomb, share)| left(bomb.name, *share));
    left("all of them", mean(&shares));
    shares
}

/// Which of them leave a neighbour less than they may.
fn wrong(shares: &[f64]) -> Option<&'static str> {
    match shares.iter().any(|share| *share <= LEFT_OF_ONE) {
        true => Some("a bomb takes most of it"),
        false if mean(shares) <= LEFT_OF_ALL => Some("all together take too much"),
        false => None,
    }
}

/// Tells what is left of the neighbour's work.
fn left(beside: &str, share: f64) {
    let table = "bombs: a neighbour's work, of that beside a busy program";
    println!("FACT: {table} | {beside} | {:.0} %", 100.0 * share);
}

#[expect(clippy::cast_precision_loss, reason = "a few")]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

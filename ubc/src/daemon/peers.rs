//! Who is connected. There are never more than so many; of more, whoever says
//! nothing gives way, so that no pile of connections keeps a command out.

use std::collections::HashMap;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use log::debug;
use parking_lot::Mutex;

/// Connections served at once.
const MOST: usize = 512;

/// How many of them may be kept for good: by those who listen, and by those
/// whose containers go with the connection.
const MOST_LASTING: usize = MOST - 64;

/// Threads at once. Whose connection was ended may have one that still looks for
/// an answer.
const MOST_THREADS: usize = 2 * MOST;

/// What a peer does. The first gives way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doing {
    /// It has not said who it is.
    Silent,
    /// Nothing: it may ask, or take its answer, and is in no hurry.
    Waiting,
    /// It waits for an answer. Most questions can be asked again.
    Asking,
    /// It keeps the connection for a reason.
    Lasting,
}

/// What a peer hears when it says what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Yes,
    /// So many keep their connections already.
    TooMany,
    /// It gave way meanwhile.
    Gone,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Peers {
    seats: Mutex<Seats>,
    threads: AtomicUsize,
}

#[derive(Debug, Default)]
struct Seats {
    /// By their numbers.
    taken: HashMap<u64, Seat>,
    /// Rises with whatever happens.
    clock: u64,
}

#[derive(Debug)]
struct Seat {
    stream: Arc<UnixStream>,
    doing: Doing,
    since: u64,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Peer {
    peers: Arc<Peers>,
    number: u64,
}

impl Peers {
    /// Takes a connection in. `None`: there are too many, and all last.
    pub(super) fn admit(self: &Arc<Peers>, stream: &Arc<UnixStream>) -> Option<Peer> {
        let mut seats = self.seats.lock();
        if seats.taken.len() >= MOST {
            seats.make_room()?;
        }
        let since = seats.tick();
        let stream = Arc::clone(stream);
        seats.taken.insert(since, Seat { stream, doing: Doing::Silent, since });
        self.threads.fetch_add(1, Ordering::Relaxed);
        Some(Peer { peers: Arc::clone(self), number: since })
    }

    /// Ends the connection that gives way first, because something has run out;
    /// whether there was one. What it had is free as soon as its thread ends.
    pub(super) fn make_room(&self) -> bool {
        self.seats.lock().make_room().is_some()
    }

    /// Whether the next one has to wait until a thread has ended.
    pub(super) fn is_crowded(&self) -> bool {
        self.threads.load(Ordering::Relaxed) >= MOST_THREADS
    }

    /// Whether nothing is done for anybody, closed or not.
    pub(super) fn is_empty(&self) -> bool {
        self.threads.load(Ordering::Relaxed) == 0
    }
}

impl Seats {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// `None`: all last.
    fn make_room(&mut self) -> Option<()> {
        let gives_way = self.taken.iter().filter(|(_, seat)| seat.doing != Doing::Lasting);
        let (number, _) = gives_way.min_by_key(|(_, seat)| (seat.doing, seat.since))?;
        let number = *number;
        // Its thread finds out, and ends.
        if let Some(seat) = self.taken.remove(&number)
            && let Err(error) = seat.stream.shutdown(Shutdown::Both)
        {
            debug!("cannot end a connection: {error}");
        }
        Some(())
    }
}

impl Peer {
    /// Says what it does from now on.
    pub(super) fn does(&self, doing: Doing) -> Heard {
        let mut seats = self.peers.seats.lock();
        let since = seats.tick();
        let lasting = seats.taken.values().filter(|seat| seat.doing == Doing::Lasting).count();
        let Some(seat) = seats.taken.get_mut(&self.number) else { return Heard::Gone };
        if doing == Doing::Lasting && seat.doing != doing && lasting >= MOST_LASTING {
            return Heard::TooMany;
        }
        (seat.doing, seat.since) = (doing, since);
        Heard::Yes
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.peers.seats.lock().taken.remove(&self.number);
        self.peers.threads.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn connected(peers: &Arc<Peers>) -> (Option<Peer>, UnixStream) {
        let (ours, its) = UnixStream::pair().unwrap();
        (peers.admit(&Arc::new(ours)), its)
    }

    fn is_closed(mut its: &UnixStream) -> bool {
        its.set_nonblocking(true).unwrap();
        its.read(&mut [0]).is_ok_and(|read| read == 0)
    }

    #[test]
    fn whoever_is_silent_longest_gives_way_and_whoever_is_needed_does_not() {
        let peers = Arc::new(Peers::default());
        let mut all: Vec<_> = (0..MOST).map(|_| connected(&peers)).collect();
        let does = |index: usize, doing| all[index].0.as_ref().unwrap().does(doing);
        assert_eq!([does(0, Doing::Lasting), does(1, Doing::Waiting)], [Heard::Yes; 2]);
        let more: Vec<_> = (2..MOST).map(|_| connected(&peers)).collect();
        assert!(more.iter().all(|(peer, _)| peer.is_some()));
        // All that said nothing, the oldest first, and nobody else.
        assert!(all.iter().skip(2).all(|(_, its)| is_closed(its)));
        assert!(!is_closed(&all[0].1) && !is_closed(&all[1].1));
        assert_eq!(peers.seats.lock().taken.len(), MOST);
        let one_more = connected(&peers);
        assert!(one_more.0.is_some() && is_closed(&more[0].1) && !is_closed(&all[1].1));
        all.clear();
        drop((more, one_more));
        assert!(peers.is_empty());
    }

    #[test]
    fn those_who_stay_for_good_leave_room_for_others() {
        let peers = Arc::new(Peers::default());
        let all: Vec<_> = (0..MOST).map(|_| connected(&peers)).collect();
        let lasts = |(peer, _): &&(Option<Peer>, _)| {
            peer.as_ref().unwrap().does(Doing::Lasting) == Heard::Yes
        };
        assert_eq!(all.iter().filter(lasts).count(), MOST_LASTING);
        assert!(connected(&peers).0.is_some());
    }

    #[test]
    fn threads_that_outlive_their_connections_are_not_without_end() {
        let peers = Arc::new(Peers::default());
        let mut threads = Vec::new();
        while !peers.is_crowded() {
            let (peer, _) = connected(&peers);
            let peer = peer.unwrap();
            assert_eq!(peer.does(Doing::Asking), Heard::Yes);
            threads.push(peer);
        }
        assert_eq!((threads.len(), peers.seats.lock().taken.len()), (MOST_THREADS, MOST));
        assert_eq!(threads[0].does(Doing::Waiting), Heard::Gone);
        drop(threads.remove(0));
        assert!(!peers.is_crowded());
    }
}

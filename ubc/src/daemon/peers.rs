//! Who is connected. There are never more than so many; of more, whoever says
//! nothing gives way, so that no pile of connections keeps a command out.

use std::collections::HashMap;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use log::debug;
use parking_lot::Mutex;

/// Connections served at once.
pub(super) const MOST: usize = 512;

/// How many of them may be kept for good: by those who listen, and by those
/// whose containers go with the connection.
const MOST_LASTING: usize = MOST - 64;

/// What a peer does. The first gives way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doing {
    /// It has not said who it is.
    Silent,
    /// Nothing: it may ask, or take its answer, and is in no hurry.
    Waiting,
    /// It waits for us, or keeps the connection for a reason.
    Lasting,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Peers(Mutex<Seats>);

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
        let mut seats = self.0.lock();
        if seats.taken.len() >= MOST {
            let (number, _) = seats
                .taken
                .iter()
                .filter(|(_, seat)| seat.doing != Doing::Lasting)
                .min_by_key(|(_, seat)| (seat.doing, seat.since))?;
            let number = *number;
            if let Some(seat) = seats.taken.remove(&number) {
                // Its thread finds out, and ends.
                if let Err(error) = seat.stream.shutdown(Shutdown::Both) {
                    debug!("cannot end a connection: {error}");
                }
            }
        }
        let since = seats.tick();
        let stream = Arc::clone(stream);
        seats.taken.insert(since, Seat { stream, doing: Doing::Silent, since });
        Some(Peer { peers: Arc::clone(self), number: since })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().taken.is_empty()
    }
}

impl Seats {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

impl Peer {
    /// Says what it does from now on. False: it must not last, because so many
    /// do already.
    #[must_use]
    pub(super) fn does(&self, doing: Doing) -> bool {
        let mut seats = self.peers.0.lock();
        let since = seats.tick();
        let lasting = seats.taken.values().filter(|seat| seat.doing == Doing::Lasting).count();
        match seats.taken.get_mut(&self.number) {
            Some(seat) if doing == Doing::Lasting && seat.doing != Doing::Lasting => {
                if lasting >= MOST_LASTING {
                    return false;
                }
                (seat.doing, seat.since) = (doing, since);
            }
            Some(seat) => (seat.doing, seat.since) = (doing, since),
            // It gave way already.
            None => {}
        }
        true
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.peers.0.lock().taken.remove(&self.number);
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
        assert!(does(0, Doing::Lasting) && does(1, Doing::Waiting));
        let more: Vec<_> = (2..MOST).map(|_| connected(&peers)).collect();
        assert!(more.iter().all(|(peer, _)| peer.is_some()));
        // All that said nothing, the oldest first, and nobody else.
        assert!(all.iter().skip(2).all(|(_, its)| is_closed(its)));
        assert!(!is_closed(&all[0].1) && !is_closed(&all[1].1));
        assert_eq!(peers.0.lock().taken.len(), MOST);
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
        let lasting =
            all.iter().filter(|(peer, _)| peer.as_ref().unwrap().does(Doing::Lasting)).count();
        assert_eq!(lasting, MOST_LASTING);
        assert!(connected(&peers).0.is_some());
    }
}

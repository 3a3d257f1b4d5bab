//! Waits for the ends of containers, all in one place and without waking up
//! in between.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use log::warn;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use ubc_core::ContainerId;

use crate::bell::{Bell, Rung};

/// What the event carries that ends the thread; no container has this number.
const STOP: u64 = u64::MAX;

/// A set of processes whose ends are waited for.
#[derive(Debug)]
pub(crate) struct Watch {
    set: Arc<Set>,
    bell: Bell,
}

/// What the thread keeps as long as it runs.
#[derive(Debug)]
struct Set {
    epoll: OwnedFd,
    _rung: Rung,
}

impl Watch {
    /// An empty set.
    pub(crate) fn new() -> io::Result<Watch> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let (bell, rung) = Bell::new()?;
        epoll::add(&epoll, &rung, EventData::new_u64(STOP), EventFlags::IN)?;
        Ok(Watch { set: Arc::new(Set { epoll, _rung: rung }), bell })
    }

    /// Starts to wait; `ended` is called once for each process that ends.
    pub(crate) fn start(
        &self,
        ended: impl Fn(ContainerId) + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let set = Arc::clone(&self.set);
        std::thread::Builder::new().name("ubc-watch".to_owned()).spawn(move || {
            let mut events = Vec::with_capacity(64);
            loop {
                match epoll::wait(&set.epoll, spare_capacity(&mut events), None) {
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return warn!("cannot wait for containers: {error}"),
                }
                for event in events.drain(..) {
                    if event.data.u64() == STOP {
                        return;
                    }
                    let id = u32::try_from(event.data.u64()).map(ContainerId::new);
                    if let Ok(Ok(id)) = id {
                        ended(id);
                    }
                }
            }
        })
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.bell.ring();
    }

    /// Waits for this process too, once. The descriptor leaves the set when
    /// it is closed.
    pub(crate) fn add(&self, id: ContainerId, pidfd: impl AsFd) -> io::Result<()> {
        let data = EventData::new_u64(u64::from(id.get()));
        Ok(epoll::add(&self.set.epoll, pidfd, data, EventFlags::IN | EventFlags::ONESHOT)?)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    #[test]
    fn an_end_is_told_once_and_not_before() {
        let (tell, told) = mpsc::channel();
        let watch = Watch::new().unwrap();
        watch.start(move |id| tell.send(id).unwrap()).unwrap();
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        let id = ContainerId::new(7).unwrap();
        watch.add(id, &pidfd).unwrap();
        assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
        child.kill().unwrap();
        assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok(id));
        assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
        child.wait().unwrap();
    }

    #[test]
    fn a_node_that_is_closed_leaves_no_thread_waiting() {
        let watch = Watch::new().unwrap();
        let thread = watch.start(|_| {}).unwrap();
        watch.stop();
        thread.join().unwrap();
    }
}

//! Waits for the ends of containers, all in one place and without waking up
//! in between.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use log::warn;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use ubc_core::ContainerId;

/// A set of processes whose ends are waited for.
#[derive(Debug)]
pub(super) struct Watch(Arc<OwnedFd>);

impl Watch {
    /// An empty set.
    pub(super) fn new() -> io::Result<Watch> {
        Ok(Watch(Arc::new(epoll::create(CreateFlags::CLOEXEC)?)))
    }

    /// Starts to wait; `ended` is called once for each process that ends.
    pub(super) fn start(&self, ended: impl Fn(ContainerId) + Send + 'static) -> io::Result<()> {
        let epoll = Arc::clone(&self.0);
        std::thread::Builder::new().name("ubc-watch".to_owned()).spawn(move || {
            let mut events = Vec::with_capacity(64);
            loop {
                match epoll::wait(&epoll, spare_capacity(&mut events), None) {
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return warn!("cannot wait for containers: {error}"),
                }
                for event in events.drain(..) {
                    let id = u32::try_from(event.data.u64()).map(ContainerId::new);
                    if let Ok(Ok(id)) = id {
                        ended(id);
                    }
                }
            }
        })?;
        Ok(())
    }

    /// Waits for this process too, once. The descriptor leaves the set when
    /// it is closed.
    pub(super) fn add(&self, id: ContainerId, pidfd: impl AsFd) -> io::Result<()> {
        let data = EventData::new_u64(u64::from(id.get()));
        Ok(epoll::add(&*self.0, pidfd, data, EventFlags::IN | EventFlags::ONESHOT)?)
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
}

//! One connection: requests in, answers out.

use std::collections::HashMap;
use std::io::{self, BufReader};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use log::debug;
use rustix::event::{PollFd, PollFlags, poll};
use ubc_core::ContainerId;

use super::container::Container;
use super::node::Node;
use super::refusals::Refusals;
use crate::error::{Failure, Kind, Result};
use crate::protocol::{Request, Response, VERSION, receive, send};

/// Talks until the peer closes or says something that is no request. Of the
/// containers that were made here, those that run live on; the rest go.
pub(super) fn hold(node: &Arc<Node>, stream: &UnixStream) {
    let mut talk = Talk { node, made: HashMap::new() };
    if let Err(error) = talk.hold(stream) {
        debug!("a connection ended: {error}");
    }
    for (_, made) in talk.made {
        node.disown(&made.container, made.started);
    }
}

struct Talk<'a> {
    node: &'a Arc<Node>,
    /// The containers that were made here: only here can they be attached,
    /// started and removed, so an id that was given out again is never
    /// confused with the one before.
    made: HashMap<ContainerId, Made>,
}

struct Made {
    container: Arc<Container>,
    started: bool,
}

impl Talk<'_> {
    fn hold(&mut self, stream: &UnixStream) -> io::Result<()> {
        let mut from = BufReader::new(stream);
        let mut to = stream;
        match receive(&mut from)? {
            Some(Request::Hello { version: VERSION }) => {
                send(&mut to, &Response::Hello { version: VERSION })?;
            }
            Some(_) => {
                let message = format!("this daemon speaks version {VERSION}");
                let failure = Failure::new(Kind::Protocol, message);
                return send(&mut to, &Response::Failed { failure });
            }
            None => return Ok(()),
        }
        while let Some(request) = receive(&mut from)? {
            if let Request::Watch { id } = request {
                return self.watch(id, stream);
            }
            let response =
                self.answer(request).unwrap_or_else(|failure| Response::Failed { failure });
            send(&mut to, &response)?;
        }
        Ok(())
    }

    /// Tells refusals until the peer closes.
    fn watch(&self, id: Option<ContainerId>, mut stream: &UnixStream) -> io::Result<()> {
        let told = match self.node.refusals() {
            Ok(refusals) => refusals.watch(),
            Err(failure) => return send(&mut stream, &Response::Failed { failure }),
        };
        let told = told?;
        send(&mut stream, &Response::Done)?;
        loop {
            let mut waiting = [
                PollFd::new(&told, PollFlags::IN),
                PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::IN),
            ];
            match poll(&mut waiting, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let [news, peer] = waiting.map(|fd| !fd.revents().is_empty());
            if peer {
                // It has closed, or broken the rule that nothing follows.
                return Ok(());
            }
            if news {
                let refusal = Refusals::take(&told)?;
                if id.is_none_or(|id| id == refusal.id) {
                    send(&mut stream, &Response::Refused { refusal })?;
                }
            }
        }
    }

    fn answer(&mut self, request: Request) -> Result<Response> {
        match request {
            Request::Hello { .. } => Err(Failure::new(Kind::Protocol, "hello again")),
            Request::Watch { .. } => Err(Failure::new(Kind::Protocol, "watching is no question")),
            Request::Create { id, limits, schedule, strict, parent } => {
                let (container, unenforced) =
                    self.node.create(id, &limits, schedule.get(), strict, parent.as_deref())?;
                let cgroup = container.cgroup().to_owned();
                self.made.insert(id, Made { container, started: false });
                Ok(Response::Created { cgroup, unenforced })
            }
            Request::Attach { id, pid, meminfo } => {
                let node = Arc::clone(self.node);
                node.attach(&self.made(id)?.container, pid, meminfo)?;
                Ok(Response::Done)
            }
            Request::Started { id } => {
                self.made(id)?.started = true;
                Ok(Response::Done)
            }
            Request::Set { id, limits, schedule, strict } => {
                let container = self.node.find(id).ok_or_else(|| no_container(id))?;
                let unenforced = container.set(&limits, schedule.get(), strict)?;
                self.node.rank(false);
                Ok(Response::Set { unenforced })
            }
            Request::Show { id } => {
                let container = self.node.find(id).ok_or_else(|| no_container(id))?;
                Ok(Response::Container { container: Box::new(container.describe()?) })
            }
            Request::List => {
                let all = self.node.containers();
                let mut containers = Vec::with_capacity(all.len());
                for container in all {
                    match container.describe() {
                        Ok(container) => containers.push(container),
                        // It ended while the list was made.
                        Err(failure) if failure.kind == Kind::NoContainer => {}
                        Err(failure) => return Err(failure),
                    }
                }
                Ok(Response::Containers { containers })
            }
            Request::Adopt(adopt) => {
                let (container, unenforced) = self.node.adopt(&adopt)?;
                Ok(Response::Adopted { id: container.id(), unenforced })
            }
            Request::Release { id } => {
                self.node.release(id)?;
                Ok(Response::Done)
            }
            Request::Stopped { name } => {
                self.node.stopped(&name);
                Ok(Response::Done)
            }
            Request::Remove { id } => {
                self.made(id)?;
                if let Some(made) = self.made.remove(&id) {
                    self.node.disown(&made.container, false);
                }
                Ok(Response::Done)
            }
        }
    }

    fn made(&mut self, id: ContainerId) -> Result<&mut Made> {
        self.made.get_mut(&id).ok_or_else(|| no_container(id))
    }
}

pub(super) fn no_container(id: ContainerId) -> Failure {
    Failure::new(Kind::NoContainer, format!("there is no container {id}"))
}

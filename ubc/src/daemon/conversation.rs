//! One connection: requests in, answers out.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufReader};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use log::{debug, warn};
use rustix::event::{PollFd, PollFlags, poll};
use ubc_cgroup::Cgroup;
use ubc_core::ContainerId;
use ubc_node::{Create, Node, Origin, Owned, Uncovered};
use ubc_procfs::Place;

use super::peers::{Doing, Heard, Peer};
use crate::error::{Failure, Kind, Result};
use crate::protocol::{
    Adopt, Request, Response, Saved, Schedule, Unenforced, VERSION, receive, send,
};

/// Talks until the peer closes or says something that is no request. Of the
/// containers that were made here, those that run live on; the rest go.
pub(super) fn hold(node: &Arc<Node>, stream: &UnixStream, peer: &Peer) {
    let mut talk = Talk { node, peer, made: HashMap::new(), uncovered: Vec::new() };
    // Those that were not started end with `talk`, and views that are away come back.
    if let Err(error) = talk.hold(stream) {
        debug!("a connection ended: {error}");
    }
}

struct Talk<'a> {
    node: &'a Arc<Node>,
    peer: &'a Peer,
    /// The containers that were made here: only here can they be attached,
    /// started and removed, so an id that was given out again is never
    /// confused with the one before.
    made: HashMap<ContainerId, Owned>,
    /// The containers whose views are away.
    uncovered: Vec<Uncovered>,
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
        let mut heard = self.waits();
        while heard == Heard::Yes
            && let Some(request) = receive(&mut from)?
        {
            if self.asks(&request) == Heard::TooMany {
                let message = "too many connections to the daemon are kept already";
                let failure = Failure::new(Kind::InUse, message);
                return send(&mut to, &Response::Failed { failure });
            }
            if let Request::Watch { id, again } = request {
                return self.watch(id, again, stream);
            }
            let response =
                self.answer(request).unwrap_or_else(|failure| Response::Failed { failure });
            // It need not ever take the answer.
            heard = self.waits();
            send(&mut to, &response)?;
        }
        Ok(())
    }

    /// It waits for nothing but itself. Who made containers keeps its connection:
    /// they would go with it.
    fn waits(&self) -> Heard {
        self.peer.does(if self.lasts() { Doing::Lasting } else { Doing::Waiting })
    }

    fn lasts(&self) -> bool {
        !self.made.is_empty() || !self.uncovered.is_empty()
    }

    fn asks(&self, request: &Request) -> Heard {
        let lasts = matches!(
            request,
            Request::Create { .. } | Request::Watch { .. } | Request::Uncover { .. }
        );
        let lasts = lasts || self.lasts();
        self.peer.does(if lasts { Doing::Lasting } else { Doing::Asking })
    }

    /// Tells refusals until the peer closes.
    fn watch(
        &self,
        id: Option<ContainerId>,
        again: bool,
        mut stream: &UnixStream,
    ) -> io::Result<()> {
        let subscribed =
            if again { self.node.subscribe_since_start(id) } else { self.node.subscribe(id) };
        let told = match subscribed {
            Ok(told) => told,
            Err(error) => return send(&mut stream, &Response::Failed { failure: error.into() }),
        };
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
            if !waiting[1].revents().is_empty() {
                // It has closed, or broken the rule that nothing follows.
                return Ok(());
            }
            while let Some(refusal) = told.next() {
                send(&mut stream, &Response::Refused { refusal })?;
            }
        }
    }

    fn answer(&mut self, request: Request) -> Result<Response> {
        match request {
            Request::Hello { .. } => Err(Failure::new(Kind::Protocol, "hello again")),
            Request::Watch { .. } => Err(Failure::new(Kind::Protocol, "watching is no question")),
            Request::Create { id, limits, schedule, strict, parent } => {
                let parent = parent.as_deref();
                if let Some(parent) = parent {
                    Cgroup::open(self.node.host(), parent)
                        .map_err(|error| Failure::usage(format!("--cgroup {parent}: {error}")))?;
                }
                let wanted = Create::new(id).limits(*limits).schedule(schedule.get().clone());
                let wanted = wanted.strict(strict);
                let (owned, unenforced) = self.node.create(&match parent {
                    Some(parent) => wanted.parent(parent),
                    None => wanted,
                })?;
                let cgroup = owned.cgroup().to_owned();
                self.made.insert(id, owned);
                Ok(Response::Created { cgroup, unenforced })
            }
            Request::Attach { id, pid, meminfo } => {
                let place = Place { meminfo, ..Place::default() };
                self.made(id)?.attach(pid, Some(&place))?;
                Ok(Response::Done)
            }
            Request::Started { id } => {
                self.made(id)?.keep();
                Ok(Response::Done)
            }
            Request::Set { id, limits, schedule, strict } => {
                let container = self.node.find(id).ok_or_else(|| no_container(id))?;
                let unenforced = container.set(&limits, schedule.get(), strict)?;
                Ok(Response::Set { unenforced })
            }
            Request::Show { id } => {
                let container = self.node.find(id).ok_or_else(|| no_container(id))?;
                Ok(Response::Container { container: Box::new(container.describe()?) })
            }
            Request::List => Ok(Response::Containers { containers: self.node.describe()? }),
            Request::Adopt(adopt) => {
                let (id, unenforced) = self.adopt(&adopt)?;
                Ok(Response::Adopted { id, unenforced })
            }
            Request::Release { id } => {
                self.node.release(id)?;
                Ok(Response::Done)
            }
            Request::Stopped { name } => {
                self.node.stopped(&name);
                Ok(Response::Done)
            }
            Request::Uncover { name } => Ok(Response::Uncovered { saved: self.uncover(&name)? }),
            Request::Cover => {
                self.uncovered.clear();
                Ok(Response::Done)
            }
            Request::Remove { id } => {
                let made = self.made.remove(&id).ok_or_else(|| no_container(id))?;
                if let Err(error) = made.end() {
                    warn!("{error}");
                }
                Ok(Response::Done)
            }
        }
    }

    /// Takes the view away that CRIU does not know, and tells what will have to be put back
    /// with it when the container is restored.
    fn uncover(&mut self, name: &str) -> Result<Option<Box<Saved>>> {
        let named =
            |origin: &Origin| matches!(origin, Origin::Adopted { name: Some(own) } if own == name);
        let all = self.node.containers();
        let Some(container) = all.iter().find(|container| named(container.origin())) else {
            return Ok(None);
        };
        let Some(uncovered) = container.uncover()? else { return Ok(None) };
        self.uncovered.push(uncovered);
        let told = container.describe()?;
        let knobs =
            told.schedule.into_iter().filter_map(|(name, knob)| Some((name, knob.configured?)));
        let schedule = Schedule::try_from(knobs.collect::<BTreeMap<_, _>>())
            .map_err(|error| Failure::new(Kind::Software, error))?;
        Ok(Some(Box::new(Saved {
            version: Saved::VERSION,
            counts: Box::new(container.counts()?),
            limits: Box::new(told.configured),
            schedule: Box::new(schedule),
        })))
    }

    /// What is taken over belongs to its runtime, not to who said so.
    fn adopt(&self, adopt: &Adopt) -> Result<(ContainerId, Vec<Unenforced>)> {
        let Adopt { id, name, pid, root, proc_path: path, limits, strict, meminfo, counts } = adopt;
        let place = Place { root, path, meminfo: *meminfo };
        let mut wanted =
            ubc_node::Adopt::process(*pid).limits(**limits).strict(*strict).view(place);
        if let Some(id) = id {
            wanted = wanted.id(*id);
        }
        if let Some(name) = name {
            wanted = wanted.name(name);
        }
        if let Some(counts) = counts {
            wanted = wanted.counts(counts);
        }
        let (owned, unenforced) = self.node.adopt(&wanted)?;
        Ok((owned.leave().id(), unenforced))
    }

    fn made(&mut self, id: ContainerId) -> Result<&mut Owned> {
        self.made.get_mut(&id).ok_or_else(|| no_container(id))
    }
}

fn no_container(id: ContainerId) -> Failure {
    Failure::new(Kind::NoContainer, format!("there is no container {id}"))
}

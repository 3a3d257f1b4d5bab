//! What the command and the daemon say to each other.
//!
//! One JSON object a line over a Unix socket that only root can open. The
//! first request must be `hello` with the version; everything else is refused
//! until then. A line longer than [`Message::MAX_LINE`] ends the connection.

mod schedule;

use std::io::{self, BufRead, Read, Write};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use ubc_core::{ContainerId, Snapshot};
use ubc_procfs::text::meminfo::MemorySize;

use crate::error::Failure;
pub(crate) use schedule::Schedule;
pub(crate) use ubc_node::{
    Description as Container, KnobStatus, Refusal, Status, Unenforced, Wanted,
};

/// Changes with every change that an older peer would misunderstand.
pub(crate) const VERSION: u32 = 6;

/// What can be received.
pub(crate) trait Message: DeserializeOwned {
    /// Longest line of it that is accepted, in bytes.
    const MAX_LINE: u64;
}

impl Message for Request {
    /// Each connection may have the daemon keep so much; the longest that makes
    /// sense is two paths of 4 KiB, six times as long if escaped.
    const MAX_LINE: u64 = 128 << 10;
}

impl Message for Response {
    /// A container takes 4 KiB and more, and a list has every one of them.
    const MAX_LINE: u64 = 1 << 30;
}

/// What the command asks.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Opens the conversation.
    Hello { version: u32 },
    /// Makes a container's cgroup and beancounter with these limits. Only this
    /// connection can attach, start and remove it; it goes with the
    /// connection unless it was started.
    Create {
        id: ContainerId,
        limits: Box<Wanted>,
        schedule: Box<Schedule>,
        /// Refuse if a limit cannot be imposed here.
        strict: bool,
        /// The cgroup to make its own in; one for all containers if none.
        parent: Option<String>,
    },
    /// Puts the view into the /proc of the container this process is init of.
    Attach {
        id: ContainerId,
        pid: u32,
        /// A meminfo of the container's own; none if none.
        #[serde(with = "meminfo")]
        meminfo: Option<MemorySize>,
    },
    /// The container's command is being started: it now lives on its own.
    Started { id: ContainerId },
    /// Changes limits and schedule of a container, all or none.
    Set { id: ContainerId, limits: Box<Wanted>, schedule: Box<Schedule>, strict: bool },
    /// Tells a container's rows.
    Show { id: ContainerId },
    /// Tells every container's rows.
    List,
    /// Ends a container: kills what is left of it and forgets it.
    Remove { id: ContainerId },
    /// Takes over a container that somebody else made.
    Adopt(Adopt),
    /// Forgets a container that was taken over; it runs on without the view.
    Release { id: ContainerId },
    /// Asks for refusals from now on, of one container or of all. No other
    /// request can follow; closing the connection ends it.
    Watch {
        id: Option<ContainerId>,
        /// Also for those since the daemon began: the one that was listened to has ended.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        again: bool,
    },
    /// A runtime says that a container it gave this name has ended.
    Stopped { name: String },
    /// Takes the view out of the container of this name, for CRIU, until `cover` or the end
    /// of this connection.
    Uncover { name: String },
    /// Puts every view back that was taken away here.
    Cover,
}

impl Request {
    /// Whether the next daemon may be asked the same, when one ended without an
    /// answer: what it did until then is done again, or undone first.
    pub(crate) fn is_repeatable(&self) -> bool {
        match self {
            Request::Hello { .. }
            | Request::Set { .. }
            | Request::Show { .. }
            | Request::List
            | Request::Adopt(_)
            | Request::Stopped { .. } => true,
            Request::Create { .. }
            | Request::Attach { .. }
            | Request::Started { .. }
            | Request::Remove { .. }
            | Request::Release { .. }
            | Request::Watch { .. }
            | Request::Uncover { .. }
            | Request::Cover => false,
        }
    }
}

/// A container that somebody else made.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Adopt {
    /// None: a free one.
    pub(crate) id: Option<ContainerId>,
    /// What its runtime calls it.
    pub(crate) name: Option<String>,
    /// Of its init, on the host.
    pub(crate) pid: u32,
    /// What is or will be its root, in its mount namespace.
    pub(crate) root: PathBuf,
    /// Its procfs, below the root.
    pub(crate) proc_path: PathBuf,
    pub(crate) limits: Box<Wanted>,
    pub(crate) strict: bool,
    /// A meminfo of the container's own; none if none.
    #[serde(with = "meminfo")]
    pub(crate) meminfo: Option<MemorySize>,
    /// What it had counted in another life.
    pub(crate) counts: Option<Box<Snapshot>>,
}

/// What of a container does not end with it, when it is to be restored somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saved {
    /// [`Saved::VERSION`] of who wrote it.
    pub(crate) version: u32,
    pub(crate) counts: Box<Snapshot>,
    /// What was configured, imposed or not.
    pub(crate) limits: Box<Wanted>,
    pub(crate) schedule: Box<Schedule>,
}

impl Saved {
    pub(crate) const VERSION: u32 = 1;
}

/// What the daemon answers.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Response {
    Hello {
        version: u32,
    },
    Done,
    /// The container's cgroup, below the root of the hierarchy, and the rows
    /// whose limits nothing here imposes.
    Created {
        cgroup: String,
        unenforced: Vec<Unenforced>,
    },
    Set {
        unenforced: Vec<Unenforced>,
    },
    /// None: there is no such container, or it has no view.
    Uncovered {
        saved: Option<Box<Saved>>,
    },
    Adopted {
        id: ContainerId,
        unenforced: Vec<Unenforced>,
    },
    Container {
        container: Box<Container>,
    },
    Containers {
        containers: Vec<Container>,
    },
    /// One of many: a refusal that a watcher asked for.
    Refused {
        refusal: Refusal,
    },
    Failed {
        failure: Failure,
    },
}

/// Writes one message.
pub(crate) fn send(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// Reads one message; `None` when the peer has closed.
pub(crate) fn receive<T: Message>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    from.take(T::MAX_LINE).read_until(b'\n', &mut line)?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(serde_json::from_slice(&line)?)),
        Some(_) if line.len() as u64 == T::MAX_LINE => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"))
        }
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Sizes of memory as text, the form in which people give them.
mod meminfo {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use ubc_procfs::text::meminfo::MemorySize;

    #[expect(clippy::ref_option, reason = "serde hands it over like this")]
    pub(super) fn serialize<S: Serializer>(
        size: &Option<MemorySize>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match size {
            Some(size) => to.collect_str(size),
            None => to.serialize_str("none"),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<MemorySize>, D::Error> {
        MemorySize::parse(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;

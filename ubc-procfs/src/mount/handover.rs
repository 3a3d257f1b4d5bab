//! What one server of a view leaves to the next.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::place::HOST_ROOT;
use super::procview::Place;
use super::way::Meminfo;
use crate::error::AttachError;
use crate::session::{DEVICE, Device, PIPE_INTO, PIPE_OUT, Session};
use crate::view::{Hiding, Ledger, Owner};

/// What a successor knows the other descriptors by: the ledger, and the clone
/// of the container's procfs.
pub(super) const LEDGER: &str = "l";
pub(super) const NATIVE: &str = "n";

/// What a process that goes on serving a view has to know of it, beside its
/// descriptors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewState {
    pub(super) root: PathBuf,
    pub(super) path: PathBuf,
    pub(super) owner: Owner,
    pub(super) meminfo: Meminfo,
    pub(super) delivered: DeliveredState,
}

impl ViewState {
    /// Where the view would go if it were put into the container again, which
    /// has its root by now.
    pub fn place(&self) -> Place<'_> {
        let meminfo = match self.meminfo {
            Meminfo::Own(size) => Some(size),
            _ => None,
        };
        Place { root: Path::new(HOST_ROOT), path: &self.path, meminfo }
    }
}

/// The same of each way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum DeliveredState {
    Procroot {
        device_number: u64,
        hiding: Hiding,
    },
    /// The device number of each file.
    NativeEntry {
        device_numbers: Vec<(u32, u32)>,
    },
}

/// A descriptor that a successor needs.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// What it is, in at most three letters and digits.
    pub name: &'a str,
    /// The descriptor.
    pub fd: BorrowedFd<'a>,
    /// Whether poll(2) tells of an error or a hangup when nobody needs it any
    /// more: the view is gone.
    pub ends: bool,
}

/// Descriptors by the names they were handed over with.
pub type Inherited<'a> = &'a mut dyn FnMut(&str) -> Option<OwnedFd>;

/// Told before a view is mounted what a successor will need.
pub type Keep<'a> = &'a dyn Fn(&ViewState, &[Part<'_>]) -> std::io::Result<()>;

/// The descriptors of a session and its ledger; those of the `n`th file of a
/// view begin with that digit.
pub(super) fn parts<'a>(
    n: usize,
    session: &'a Session,
    ledger: Option<&'a Ledger>,
) -> Vec<(String, BorrowedFd<'a>)> {
    let ledger = ledger.map(|ledger| (LEDGER, ledger.as_fd()));
    let all = session.parts().into_iter().chain(ledger);
    all.map(|(name, fd)| (format!("{n}{name}"), fd)).collect()
}

/// Puts names and descriptors into the form in which they are handed out.
pub(super) fn named<'a>(all: &'a [(String, BorrowedFd<'a>)]) -> Vec<Part<'a>> {
    let part = |(name, fd): &'a (String, BorrowedFd<'a>)| Part {
        name,
        fd: *fd,
        ends: name.ends_with(DEVICE),
    };
    all.iter().map(part).collect()
}

/// The device and the ledger of the `n`th file of a view.
pub(super) fn inherited(n: usize, fds: Inherited<'_>) -> Result<(Device, Ledger), AttachError> {
    let mut take = |name: &str| fds(&format!("{n}{name}"));
    let (device, ledger) = (needed(take(DEVICE), "device")?, needed(take(LEDGER), "ledger")?);
    let pipe = take(PIPE_OUT).zip(take(PIPE_INTO));
    let device = Device::again(device, pipe).map_err(|source| AttachError::NoFuse { source })?;
    Ok((device, Ledger::over(ledger)))
}

pub(super) fn needed(fd: Option<OwnedFd>, what: &'static str) -> Result<OwnedFd, AttachError> {
    fd.ok_or(AttachError::Lost { what })
}

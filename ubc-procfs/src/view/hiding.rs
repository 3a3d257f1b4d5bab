//! Processes that the container's procfs hides (its options `hidepid` and
//! `gid`), and who may look at one.
//!
//! The kernel decides this by the credentials of whoever looks, and the server
//! looks with its own. So it decides the same by what the kernel says of the
//! thread that asks and of the process. Where the two are not certainly
//! related, the process is hidden.

use std::cell::OnceCell;
use std::io;

use fuse_backend_rs::api::filesystem::Context;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::native::Native;
use super::status::Status;
use super::{View, not_found};

/// `CAP_SYS_PTRACE`
const SYS_PTRACE: u32 = 19;

/// What a procfs hides from those who may not look at a process, unless they
/// are in the group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Hiding {
    /// Nothing.
    #[default]
    Nothing,
    /// What is in the process's directory (`hidepid=noaccess`).
    Contents {
        /// Whose members may look at all, as a group id of the host.
        gid: u32,
    },
    /// The process (`hidepid=invisible`).
    Process {
        /// Whose members may look at all, as a group id of the host.
        gid: u32,
    },
    /// The process, from that group too (`hidepid=ptraceable`).
    FromEverybody,
}

impl Hiding {
    /// By the options of a procfs as /proc/self/mountinfo shows them: `rw`,
    /// `hidepid=invisible`, `gid=1000`, separated by commas.
    pub(crate) fn from_options(options: &[u8]) -> Hiding {
        let option = |name: &[u8]| {
            let mut options = options.split(|&byte| byte == b',');
            options.find_map(|option| option.strip_prefix(name)?.strip_prefix(b"="))
        };
        // The group that may look is root's unless another is named.
        let gid = || {
            let text = std::str::from_utf8(option(b"gid").unwrap_or(b"0"));
            text.ok().and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        match option(b"hidepid") {
            None | Some(b"off" | b"0") => Hiding::Nothing,
            Some(b"noaccess" | b"1") => Hiding::Contents { gid: gid() },
            Some(b"invisible" | b"2") => Hiding::Process { gid: gid() },
            // Or what a later kernel calls something stricter.
            Some(_) => Hiding::FromEverybody,
        }
    }
}

/// A thread that asks, with what had to be found out of it.
pub(super) struct Asker<'a> {
    view: &'a View,
    native: &'a Native,
    caller: &'a Context,
    status: Option<Status>,
    /// Its process and itself, in the container's procfs, once looked for.
    own: OnceCell<Option<(u32, u32)>>,
}

impl View {
    /// Who asks.
    pub(super) fn asker<'a>(&'a self, caller: &'a Context) -> io::Result<Asker<'a>> {
        let native = self.native()?;
        let status = self.askers.as_ref().and_then(|askers| askers.status(caller.pid));
        Ok(Asker { view: self, native, caller, status, own: OnceCell::new() })
    }

    /// Whether the process is there for whoever asks.
    pub(super) fn check_shown(&self, caller: &Context, pid: u32) -> io::Result<()> {
        match self.native()?.hiding {
            Hiding::Nothing | Hiding::Contents { .. } => Ok(()),
            _ if self.asker(caller)?.is_shown(pid) => Ok(()),
            _ => Err(not_found()),
        }
    }

    /// Whether whoever asks may look into the process's directory.
    pub(super) fn check_entered(&self, caller: &Context, pid: u32) -> io::Result<()> {
        match self.native()?.hiding {
            Hiding::Nothing => Ok(()),
            _ if self.asker(caller)?.passes(pid) => Ok(()),
            Hiding::Process { .. } => Err(not_found()),
            _ => Err(Errno::PERM.into()),
        }
    }
}

impl Asker<'_> {
    /// Its process and itself as the container's procfs numbers them; `None`
    /// when they are not in its pid namespace.
    pub(super) fn own(&self) -> Option<(u32, u32)> {
        *self.own.get_or_init(|| self.identify())
    }

    /// A process has a number in each pid namespace it is in, from the
    /// server's down; the container's procfs shows the same without the first
    /// few. Two processes of which that is true did not start in one tick.
    fn identify(&self) -> Option<(u32, u32)> {
        let status = self.status.as_ref()?;
        let started = self.view.askers.as_ref()?.start_time(*status.tgids.first()?)?;
        let found = (0..status.tgids.len()).find(|&level| {
            let pid = status.tgids[level];
            self.native.status(pid).is_some_and(|shown| shown.tgids == status.tgids[level..])
                && self.native.start_time(pid) == Some(started)
        })?;
        Some((status.tgids[found], *status.tids.get(found)?))
    }

    /// Whether the process is in a listing (`has_pid_permissions`).
    pub(super) fn is_shown(&self, pid: u32) -> bool {
        matches!(self.native.hiding, Hiding::Nothing | Hiding::Contents { .. }) || self.passes(pid)
    }

    fn passes(&self, pid: u32) -> bool {
        match self.native.hiding {
            Hiding::Nothing => true,
            Hiding::Contents { gid } | Hiding::Process { gid } => {
                self.is_in(gid) || self.may_look(pid)
            }
            Hiding::FromEverybody => self.may_look(pid),
        }
    }

    fn is_in(&self, gid: u32) -> bool {
        self.caller.gid == gid
            || self.status.as_ref().is_some_and(|status| status.groups.contains(&gid))
    }

    /// Whether the kernel would let it read what only those may who could
    /// trace the process (`PTRACE_MODE_READ_FSCREDS` of ptrace(2)).
    pub(super) fn may_look(&self, pid: u32) -> bool {
        let Some(target) = self.native.status(pid) else { return false };
        let is_own = || self.own().is_some_and(|(own, _)| own == pid);
        self.is_same(pid, &target) || self.is_capable(pid) || is_own()
    }

    /// Whether the process is of the same user and has no right that it lacks
    /// itself (`cap_ptrace_access_check`).
    fn is_same(&self, pid: u32, target: &Status) -> bool {
        let ids = |ids: [u32; 4], own| ids[..3].iter().all(|&id| id == own);
        if !ids(target.uids, self.caller.uid) || !ids(target.gids, self.caller.gid) {
            return false;
        }
        // The files of a process that may not be dumped are root's.
        let status = self.native.stat_in_pid(pid, c"status");
        if !status.is_ok_and(|status| status.st_uid == target.uids[1]) {
            return false;
        }
        let Some((own, theirs)) = self.user_namespaces(pid) else { return false };
        if own == theirs {
            let effective = self.status.as_ref().map_or(0, |status| status.effective);
            return target.permitted & !effective == 0;
        }
        // Who made a user namespace has every right there, and the same user in
        // the one above is who it was.
        self.is_above(&own, &theirs)
    }

    /// Whether it has `CAP_SYS_PTRACE` in the process's user namespace.
    fn is_capable(&self, pid: u32) -> bool {
        let has = self.status.as_ref().is_some_and(|s| s.effective >> SYS_PTRACE & 1 == 1);
        let namespaces = self.user_namespaces(pid).filter(|_| has);
        namespaces.is_some_and(|(own, theirs)| own == theirs || self.is_above(&own, &theirs))
    }

    /// Whether one user namespace is certainly above another that is not the
    /// same. Above all is the server's. Above all of a container's but that is
    /// the one of the container.
    fn is_above(&self, own: &[u8], theirs: &[u8]) -> bool {
        let Some(askers) = &self.view.askers else { return false };
        let is_container = || self.native.user_namespace(1).is_some_and(|init| init == own);
        own == askers.home || (theirs != askers.home && is_container())
    }

    /// Its user namespace and the process's.
    fn user_namespaces(&self, pid: u32) -> Option<(Vec<u8>, Vec<u8>)> {
        let own = self.view.askers.as_ref()?.user_namespace(self.caller.pid)?;
        Some((own, self.native.user_namespace(pid)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_of_every_kernel_are_understood() {
        for (options, hiding) in [
            (&b"rw"[..], Hiding::Nothing),
            (b"rw,hidepid=off", Hiding::Nothing),
            (b"rw,gid=5", Hiding::Nothing),
            (b"rw,hidepid=1", Hiding::Contents { gid: 0 }),
            (b"rw,gid=5,hidepid=noaccess", Hiding::Contents { gid: 5 }),
            (b"ro,gid=100000,hidepid=2,subset=pid", Hiding::Process { gid: 100_000 }),
            (b"rw,hidepid=invisible", Hiding::Process { gid: 0 }),
            (b"rw,gid=5,hidepid=ptraceable", Hiding::FromEverybody),
            (b"rw,hidepid=4", Hiding::FromEverybody),
            (b"rw,hidepid=tomorrow", Hiding::FromEverybody),
        ] {
            assert_eq!(Hiding::from_options(options), hiding, "{options:?}");
        }
    }
}

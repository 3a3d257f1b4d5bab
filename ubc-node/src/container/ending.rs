//! A container's end.

use std::sync::atomic::Ordering;

use log::warn;

use super::attach::Attached;
use super::{Container, Origin};
use crate::error::{Error, Result};

impl Container {
    /// Takes its view away; one made here is killed and its cgroup removed, one
    /// that was taken over gets back the limits and the schedule it came with,
    /// and is left alone. The first call does the work; one at the same time
    /// waits for it. It has ended, whatever could not be done.
    pub(crate) fn end(&self) -> Result<()> {
        // Held to the end: whoever comes second waits here.
        let mut held = self.cgroup.lock();
        let Some(cgroup) = held.take() else { return Ok(()) };
        let mut failures = Vec::new();
        if let Some(Attached { process, view: Some(view), .. }) = self.attached.lock().take()
            && process.is_alive()
            && let Err(error) = view.detach(&process)
            && process.is_alive()
        {
            failures.push(error.to_string());
        }
        self.stand_down();
        let gone = match self.origin {
            Origin::Made => vec![cgroup.kill().and_then(|()| cgroup.remove())],
            Origin::Adopted { .. } => {
                self.imposed.lock().give_back().into_iter().map(Err).collect()
            }
        };
        failures.extend(gone.into_iter().filter_map(|gone| match gone {
            Ok(()) | Err(ubc_cgroup::Error::Removed { .. }) => None,
            Err(error) => Some(error.to_string()),
        }));
        if let Some(account) = &self.account
            && let Err(error) = account.close()
        {
            failures.push(error.to_string());
        }
        if let Some(kept) = &self.kept {
            kept.remove();
        }
        self.ended.store(true, Ordering::SeqCst);
        if failures.is_empty() {
            return Ok(());
        }
        Err(Error::system(format!("container {}: {}", self.id, failures.join("; "))))
    }

    /// As [`Container::end`], for callers with nobody to tell.
    pub(crate) fn end_or_warn(&self) {
        if let Err(error) = self.end() {
            warn!("{error}");
        }
    }

    /// Whether its init is known and still lives.
    pub fn lives(&self) -> bool {
        self.attached.lock().as_ref().is_some_and(|attached| attached.process.is_alive())
    }

    /// Whether all of it is gone.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Whether its owner is still there.
    pub(crate) fn is_owned(&self) -> bool {
        self.owned.load(Ordering::SeqCst)
    }

    /// Everything is written down once more.
    pub(crate) fn keep_again(&self) {
        if let Some(kept) = &self.kept {
            kept.forget_written();
            let snapshot = || Some(self.roster.upgrade()?.snapshot_of(self.id));
            kept.record(&self.beancounter.reading(), snapshot);
        }
    }

    /// It lives on without its owner, whatever becomes of this process.
    pub(crate) fn lives_on(&self) {
        if let Some(kept) = &self.kept {
            kept.update(|state| state.lives = true);
        }
    }

    /// Its owner is no longer interested.
    pub(crate) fn disown(&self) {
        self.owned.store(false, Ordering::SeqCst);
    }

    /// Runs the first caller's work; a second one waits until it is done.
    pub(crate) fn once_forgotten(&self, work: impl FnOnce()) {
        let mut forgotten = self.forgotten.lock();
        if !std::mem::replace(&mut *forgotten, true) {
            work();
        }
    }
}

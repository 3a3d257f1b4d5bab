//! Limits and schedule of one cgroup, changed together and given back: in its
//! files, and with the kernel's programs.

use std::collections::BTreeMap;
use std::sync::Arc;

use ubc_core::{Limits, PerResource};

use crate::limiter::{self, Write};
use crate::settings::{Form, Setting};
use crate::{
    Account, Cgroup, Enforced, Error, Knob, KnobState, Result, Schedule, Scheduled, Scheduler,
    Target,
};

/// Imposes limits and schedules on a container in one change, and remembers
/// what its files held before.
#[derive(Debug)]
pub struct Control {
    scheduler: Scheduler,
    account: Option<Arc<Account>>,
    notes: Vec<Note>,
}

/// What was written somewhere, and what had been there.
#[derive(Debug)]
struct Note {
    setting: Setting,
    before: String,
}

/// A value that was written to a file of a cgroup, and what is to be given back
/// for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenBack {
    /// What the value is for.
    pub target: Target,
    /// The file.
    pub file: String,
    /// What was written.
    pub value: String,
    /// What the file held before.
    pub before: String,
}

/// All that a change can change, as it was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    /// The cgroup's files and what they held.
    pub files: Vec<(String, String)>,
    /// The limits that the kernel's programs had, if there are any.
    pub limits: Option<PerResource<Limits>>,
}

impl Control {
    /// For a container.
    ///
    /// # Errors
    ///
    /// Out of descriptors.
    pub fn new(cgroup: &Cgroup) -> Result<Control> {
        Ok(Control { scheduler: Scheduler::new(cgroup)?, account: None, notes: Vec::new() })
    }

    /// Lets the kernel's programs refuse what they can, beside the
    /// controllers. Where both can, both get the limit: the programs answer
    /// as OpenVZ did, and `pids.max` also sees a process that starts its life
    /// in the cgroup (`CLONE_INTO_CGROUP`).
    #[must_use]
    pub fn with_account(self, account: Option<Arc<Account>>) -> Control {
        Control { account, ..self }
    }

    /// What [`crate::Limiter::apply`] and [`Scheduler::apply`] do, as one
    /// change: after a failure of either, all files hold what they held.
    ///
    /// # Errors
    ///
    /// As those two.
    pub fn apply(
        &mut self,
        limits: &PerResource<Option<Limits>>,
        schedule: &Schedule,
    ) -> Result<(PerResource<Enforced>, BTreeMap<Knob, Scheduled>)> {
        let writes = limiter::writes(limits);
        let change = self.scheduler.plan(schedule)?;
        let mut settings: Vec<Setting> = writes.iter().map(Write::setting).collect();
        settings.extend_from_slice(&change.settings);
        let before = self.account.as_ref().map(|account| account.limits()).transpose()?;
        if let Some(account) = &self.account {
            account.set(limits)?;
        }
        let found = self.scheduler.files().apply(&settings).inspect_err(|_| {
            if let (Some(account), Some(before)) = (&self.account, before)
                && let Err(error) = account.set(&PerResource::from_fn(|row| Some(before[row])))
            {
                log::error!("limits of a container are half changed: {error}");
            }
        })?;
        let (of_rows, of_knobs) = found.split_at(writes.len());
        let mut enforced = limiter::enforced(&writes, of_rows);
        for (resource, _) in limits.iter().filter(|(_, limits)| limits.is_some()) {
            let account = self.account.as_ref();
            if let Some(mechanism) = account.and_then(|account| account.mechanism(resource)) {
                enforced[resource] = Enforced::Program(mechanism);
            }
        }
        let scheduled = self.scheduler.done(&change, of_knobs);
        for (setting, before) in settings.into_iter().zip(found) {
            if let Some(before) = before {
                self.note(setting, before);
            }
        }
        Ok((enforced, scheduled))
    }

    /// Somebody else's change since the last of ours is what is to be given
    /// back.
    fn note(&mut self, setting: Setting, before: String) {
        match self.notes.iter_mut().find(|note| note.setting.is_same_place(&setting)) {
            Some(note) if note.setting.value == before => note.setting = setting,
            Some(note) => *note = Note { setting, before },
            None => self.notes.push(Note { setting, before }),
        }
    }

    /// All that a change can change, as it is now: to be kept before a change
    /// that may be cut short, for [`Control::roll_back`].
    ///
    /// # Errors
    ///
    /// The kernel's tables cannot be read.
    pub fn before(&self) -> Result<Before> {
        let limits = self.account.as_ref().map(|account| account.limits()).transpose()?;
        Ok(Before { files: self.scheduler.files().contents(), limits })
    }

    /// Undoes a change that was cut short, by the end of the process that made
    /// it. What could not be written is logged.
    ///
    /// # Errors
    ///
    /// The kernel's tables cannot be written.
    pub fn roll_back(&self, before: &Before) -> Result<()> {
        for (path, error) in self.scheduler.files().put_back(&before.files) {
            log::warn!("{}: cannot put back what it held: {error}", path.display());
        }
        match (&self.account, before.limits) {
            (Some(account), Some(limits)) => {
                account.set(&PerResource::from_fn(|row| Some(limits[row])))
            }
            _ => Ok(()),
        }
    }

    /// What is to be given back, as plain data: for whoever takes the container
    /// over from this process.
    pub fn notes(&self) -> Vec<GivenBack> {
        let given = |Note { setting, before }: &Note| GivenBack {
            target: setting.target,
            file: setting.file.to_owned(),
            value: setting.value.clone(),
            before: before.clone(),
        };
        self.notes.iter().map(given).collect()
    }

    /// Will give back what another process noted. A file that is not known here
    /// is left alone.
    #[must_use]
    pub fn with_notes(self, notes: Vec<GivenBack>) -> Control {
        let note = |GivenBack { target, file, value, before }: GivenBack| {
            let (file, form) = Form::of(&file)?;
            Some(Note { setting: Setting { target, file, form, value }, before })
        };
        Control { notes: notes.into_iter().filter_map(note).collect(), ..self }
    }

    /// Gives back what the files held before the first change, last changed
    /// first. A value that somebody else has written since stays. What cannot
    /// be given back is told; nothing of it is for a cgroup that is gone.
    pub fn restore(&mut self) -> Vec<Error> {
        let mut failed = Vec::new();
        while let Some(Note { setting, before }) = self.notes.pop() {
            match self.scheduler.files().replace(&setting, &before) {
                Ok(true) => {}
                Ok(false) => {
                    log::debug!("{}: changed by somebody else, left alone", setting.file);
                }
                Err(Error::Removed { .. }) => break,
                Err(error) => failed.push(error),
            }
        }
        self.notes.clear();
        failed
    }

    /// Each scheduler knob as its file has it: [`Scheduler::state`].
    pub fn schedule(&self) -> BTreeMap<Knob, KnobState> {
        self.scheduler.state()
    }
}

#[cfg(test)]
mod tests;

//! What is asked of a container's limits and schedulers, and what is in
//! force.

use std::collections::BTreeMap;
use std::sync::Arc;

use ubc_cgroup::{
    Account, Before, BlockDevice, Cgroup, Control, Enforced, FoundLimits, Knob, KnobState, Schedule,
};
use ubc_core::{Limits, PerResource, Resource};

use super::status::imposes;
use crate::kept::State;
use crate::{Claims, SetBy, Unenforced, Wanted, shown_limits};

/// The files of a container's limits and schedulers, and what was asked of
/// them. One change at a time: it is behind a lock.
pub(super) struct Imposed {
    control: Control,
    found: FoundLimits,
    /// The limits that were there when the container came.
    at_first: PerResource<Option<Limits>>,
    /// What is asked of each row and knob, imposed or not.
    configured: Wanted,
    schedule: Schedule,
    /// Something was asked since the rows were told what to show.
    changed: bool,
}

impl Imposed {
    pub(super) fn new(
        cgroup: &Cgroup,
        account: Option<Arc<Account>>,
    ) -> ubc_cgroup::Result<Imposed> {
        let mut found = FoundLimits::open(cgroup)?;
        found.look();
        // A container that has an account from before keeps its limits.
        let kept = account.as_ref().map(|account| account.limits()).transpose()?;
        let kept = kept.unwrap_or_else(|| PerResource::from_fn(|_| Limits::UNLIMITED));
        let configured = PerResource::from_fn(|resource| {
            Some(kept[resource]).filter(|limits| !limits.is_unlimited())
        });
        Ok(Imposed {
            control: Control::new(cgroup)?.with_account(account),
            at_first: PerResource::from_fn(|resource| found.limits(resource)),
            found,
            configured,
            schedule: Schedule::default(),
            changed: true,
        })
    }

    /// As a predecessor left it. A change that it did not come to the end of is
    /// undone: whoever asked for it was not told that it is done.
    pub(super) fn again(
        cgroup: &Cgroup,
        account: Option<&Arc<Account>>,
        state: &State,
    ) -> ubc_cgroup::Result<Imposed> {
        let mut found = FoundLimits::open(cgroup)?;
        let control = Control::new(cgroup)?.with_account(account.cloned());
        let control = control.with_notes(state.notes.clone().into());
        if let Some(pending) = &state.pending {
            control.roll_back(&pending.clone().into())?;
        }
        // The programs may have been put into the kernel anew.
        if let Some(account) = account {
            account.set(&state.configured)?;
        }
        found.look();
        Ok(Imposed {
            control,
            at_first: state.at_first,
            found,
            configured: state.configured,
            schedule: state.schedule(),
            changed: true,
        })
    }

    /// All of it, for a successor.
    pub(super) fn write_down(&self, state: &mut State) {
        state.configured = self.configured;
        state.set_schedule(&self.schedule);
        state.at_first = self.at_first;
        state.notes = self.control.notes().into();
    }

    /// What a change may change, as it is.
    pub(super) fn before(&self) -> ubc_cgroup::Result<Before> {
        self.control.before()
    }

    /// Writes what something here imposes, all or none, and keeps what is
    /// asked.
    pub(super) fn change(
        &mut self,
        wanted: &Wanted,
        schedule: &Schedule,
        claims: &Claims,
        keeps: impl Fn(Knob) -> bool,
    ) -> ubc_cgroup::Result<()> {
        let rows = PerResource::from_fn(|resource| {
            wanted[resource].filter(|_| imposes(&claims.rows[resource].enforced))
        });
        let mut knobs = schedule.only(keeps);
        if knobs.io_limit.is_some() || knobs.iops_limit.is_some() {
            knobs.devices = BlockDevice::all()?;
        }
        self.control.apply(&rows, &knobs)?;
        for (resource, limits) in wanted.iter() {
            self.configured[resource] = limits.or(self.configured[resource]);
        }
        self.schedule.merge(schedule.clone());
        self.changed = true;
        Ok(())
    }

    /// The limits the rows have to show, if that may be other ones than when
    /// this was asked last.
    pub(super) fn news(&mut self, claims: &Claims) -> Option<Vec<(Resource, Limits)>> {
        let written = self.found.look();
        let changed = std::mem::take(&mut self.changed);
        let shown = |resource| (resource, self.shown(resource, claims).0);
        (written || changed).then(|| Resource::ALL.map(shown).to_vec())
    }

    /// The limits of a row that the kernel applies, and who set them.
    pub(super) fn shown(&self, resource: Resource, claims: &Claims) -> (Limits, SetBy) {
        let none = (Limits::UNLIMITED, SetBy::Nobody);
        if !imposes(&claims.rows[resource].enforced) {
            return none;
        }
        match self.configured[resource] {
            // The files keep half of some pairs; then the whole is ours.
            Some(limits) if self.holds(resource, limits) => {
                (limits, if limits.is_unlimited() { SetBy::Nobody } else { SetBy::Ubc })
            }
            // A program keeps to what it was told, whatever a file says.
            Some(limits) if self.is_kept_by_program(resource, limits, claims) => {
                (limits, SetBy::Ubc)
            }
            _ => match self.found.limits(resource) {
                None => none,
                found if found == self.at_first[resource] => {
                    (found.unwrap_or_default(), SetBy::Runtime)
                }
                found => (found.unwrap_or_default(), SetBy::Other),
            },
        }
    }

    /// Whether a program imposes what was asked, and no file has less.
    fn is_kept_by_program(&self, resource: Resource, limits: Limits, claims: &Claims) -> bool {
        matches!(claims.rows[resource].enforced, Enforced::Program(_))
            && !limits.is_unlimited()
            && self.found.limits(resource).is_none_or(|found| limits.hard() <= found.hard())
    }

    /// Whether what was asked is in force as a whole. What is imposed by other
    /// means than a file nobody else can change.
    fn holds(&self, resource: Resource, limits: Limits) -> bool {
        !self.found.has_file(resource)
            || self.found.hold(resource, limits) && !self.is_cut(resource, limits)
    }

    /// Whether a cgroup around this one has less.
    fn is_cut(&self, resource: Resource, limits: Limits) -> bool {
        self.found.around(resource).is_some_and(|most| most < asked(resource, limits))
    }

    /// The limits asked for of which the cgroups around this one grant less.
    /// Files that have changed since the last look count as they are now.
    pub(super) fn cut(&mut self, wanted: &Wanted) -> Vec<Unenforced> {
        self.changed |= self.found.look();
        let cut = wanted.iter().filter_map(|(resource, limits)| {
            let limits = (*limits)?;
            let most = self.found.around(resource)?;
            (most < asked(resource, limits) && !limits.is_unlimited()).then(|| Unenforced {
                what: resource.to_string(),
                asked: shown_limits(limits).to_string(),
                why: format!("a cgroup around the container's has {most}"),
            })
        });
        cut.collect()
    }

    pub(super) fn configured(&self) -> &Wanted {
        &self.configured
    }

    pub(super) fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Each knob as its file has it.
    pub(super) fn knobs(&self) -> BTreeMap<Knob, KnobState> {
        self.control.schedule()
    }

    /// Gives a runtime's cgroup back what it had; what could not be given back.
    pub(super) fn give_back(&mut self) -> Vec<ubc_cgroup::Error> {
        self.control.restore()
    }
}

/// The threshold of a row that is written as the most there may be.
fn asked(resource: Resource, limits: Limits) -> u64 {
    match resource {
        Resource::NumProc => limits.hard(),
        _ => limits.limit,
    }
}

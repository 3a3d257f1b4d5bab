//! A container's limits and schedule, and all there is to tell of them.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use ubc_cgroup::{Enforced, Knob, Metered, Round, RowStatus, Schedule, Scheduled};
use ubc_core::{PerResource, Reading, SetLimitsError};

use super::attach::Attached;
use super::imposed::Imposed;
use super::status::{claim, unenforced, unscheduled};
use super::{Container, Origin};
use crate::error::{Error, ErrorKind, Result};
use crate::{Description, KnobStatus, SetBy, Status, Unenforced, ViewStatus, Wanted};

/// How long a description waits for the view.
const ATTACH: Duration = Duration::from_secs(1);

impl Container {
    /// Changes limits and schedule, all or none; a row or a knob that is not
    /// given stays as it is. What nothing here imposes is kept as configured,
    /// told, and never shown in the rows; with `strict` it is an error.
    ///
    /// Waits while the kernel reclaims memory for a lower limit of memory, and
    /// for another change of the same container.
    ///
    /// # Errors
    ///
    /// A barrier above [`ubc_core::UNLIMITED`] and the like
    /// ([`ErrorKind::Invalid`]), something that nothing imposes though `strict`,
    /// or the kernel refused ([`ErrorKind::Limit`]), or the container has ended
    /// ([`ErrorKind::NotFound`]). Everything is as it was, then.
    pub fn set(
        &self,
        wanted: &Wanted,
        schedule: &Schedule,
        strict: bool,
    ) -> Result<Vec<Unenforced>> {
        if self.has_ended() {
            return Err(self.gone());
        }
        let kept = self.impose(wanted, schedule, strict)?;
        if let Some(roster) = self.roster.upgrade() {
            roster.rank(false);
        }
        Ok(kept)
    }

    /// As [`Container::set`], but for the out-of-memory order.
    pub(crate) fn impose(
        &self,
        wanted: &Wanted,
        schedule: &Schedule,
        strict: bool,
    ) -> Result<Vec<Unenforced>> {
        for (resource, limits) in wanted.iter() {
            limits
                .unwrap_or_default()
                .checked()
                .map_err(|reason| Error::invalid(SetLimitsError { resource, reason }))?;
        }
        let mut imposed = self.imposed.lock();
        let knobs = if schedule.is_empty() { BTreeMap::new() } else { self.knobs(&imposed) };
        let mut kept = unenforced(&self.claims.rows, wanted);
        kept.extend(imposed.cut(wanted));
        kept.extend(unscheduled(&knobs, schedule));
        if strict && let Some(Unenforced { what, why, .. }) = kept.first() {
            let message = format!("{what} cannot be limited here: {why}");
            return Err(Error::new(ErrorKind::Limit, message));
        }
        let has_file = |knob| !matches!(knobs.get(&knob), None | Some(Scheduled::Not(_)));
        let failed = |error: ubc_cgroup::Error| {
            Error::new(ErrorKind::Limit, format!("container {}: {error}", self.id))
        };
        if let Some(kept) = &self.kept {
            let before = imposed.before().map_err(failed)?;
            kept.announce(before).map_err(|error| {
                let id = self.id;
                Error::system(format!("container {id}: nothing is changed: cannot write {error}"))
            })?;
        }
        let changed = imposed.change(wanted, schedule, &self.claims, has_file);
        if let Some(kept) = &self.kept {
            kept.update(|state| {
                imposed.write_down(state);
                state.pending = None;
            });
        }
        changed.map_err(failed)?;
        self.show_limits(&mut imposed).map_err(|error| Error::new(ErrorKind::Internal, error))?;
        Ok(kept)
    }

    /// Puts the limits that are in the cgroup's files into the rows.
    pub(super) fn show_limits(
        &self,
        imposed: &mut Imposed,
    ) -> std::result::Result<(), SetLimitsError> {
        imposed.news(&self.claims).map_or(Ok(()), |rows| self.beancounter.set_many(&rows))
    }

    /// Who acts on each knob: as the machine's self-test has it, where this
    /// cgroup has the file.
    fn knobs(&self, imposed: &Imposed) -> BTreeMap<Knob, Scheduled> {
        let own = imposed.knobs().into_iter();
        own.map(|(knob, own)| (knob, claim(&self.claims.knobs[&knob], own.scheduled))).collect()
    }

    /// The rows now. Looks at the whole container; does not wait otherwise.
    ///
    /// # Errors
    ///
    /// The container has ended ([`ErrorKind::NotFound`]), or it cannot be looked
    /// at.
    pub fn reading(&self) -> Result<Reading> {
        self.reading_in(&Round::default())
    }

    fn reading_in(&self, round: &Round<'_>) -> Result<Reading> {
        self.read(round).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.gone(),
            _ => Error::system(format!("container {}: {error}", self.id)),
        })
    }

    /// Everything there is to tell: the rows now, who meters and who enforces
    /// each, who set its limits, and the schedule.
    ///
    /// # Errors
    ///
    /// As [`Container::reading`].
    pub fn describe(&self) -> Result<Description> {
        self.describe_in(&Round::default())
    }

    /// As [`Container::describe`], together with others in the round.
    pub(crate) fn describe_in(&self, round: &Round<'_>) -> Result<Description> {
        let reading = self.reading_in(round)?;
        let metered = self.metering.lock().metered().clone();
        Ok(self.description(&reading, &metered))
    }

    /// As [`Container::describe`], with the numbers of the last reading, because
    /// there is none now.
    pub(crate) fn describe_unread(&self, why: &Error) -> Description {
        let why = format!("not read: {why}");
        let metered = PerResource::from_fn(|_| Metered::Absent(why.clone().into()));
        self.description(&self.beancounter.reading(), &metered)
    }

    fn description(&self, reading: &Reading, metered: &PerResource<Metered>) -> Description {
        // Held for as long as the view is being put in place, which may be long:
        // where it goes is the container's. There is none to tell of until then.
        let told = |attached: &Attached| {
            let view = attached.view.as_ref().map(|view| ViewStatus {
                way: view.way().to_string(),
                meminfo: view.meminfo().to_string(),
            });
            (Some(attached.process.pid()), view)
        };
        let (pid, view) = self
            .attached
            .try_lock_for(ATTACH)
            .and_then(|attached| attached.as_ref().map(told))
            .unwrap_or_default();
        let imposed = self.imposed.lock();
        let set_by = PerResource::from_fn(|resource| imposed.shown(resource, &self.claims).1);
        let status = PerResource::from_fn(|resource| {
            let enforced = match &self.claims.rows[resource].enforced {
                // A runtime's limit is in the controller's file only.
                Enforced::Program(_)
                    if matches!(set_by[resource], SetBy::Runtime | SetBy::Other) =>
                {
                    Enforced::By { file: "pids.max", proven: true }
                }
                enforced => enforced.clone(),
            };
            let mut status =
                Status::from(&RowStatus { metered: metered[resource].clone(), enforced });
            status.enforced_by += self.says(set_by[resource]);
            status
        });
        Description {
            id: self.id,
            pid,
            view,
            cgroup: self.name.clone(),
            reading: *reading,
            configured: *imposed.configured(),
            set_by,
            schedule: self.schedule(&imposed),
            status,
        }
    }

    /// Who set a limit, where that is not who was asked to.
    fn says(&self, set_by: SetBy) -> &'static str {
        match (set_by, &self.origin) {
            (SetBy::Nobody | SetBy::Ubc, _) => "",
            (SetBy::Runtime, Origin::Adopted { .. }) => ", set by the runtime",
            (SetBy::Runtime | SetBy::Other, _) => ", set by somebody else",
        }
    }

    fn schedule(&self, imposed: &Imposed) -> BTreeMap<String, KnobStatus> {
        let knob = |(knob, own): (Knob, ubc_cgroup::KnobState)| {
            let scheduled = claim(&self.claims.knobs[&knob], own.scheduled);
            let status = KnobStatus {
                configured: imposed.schedule().text(knob),
                in_force: own.in_force,
                applied_by: scheduled.to_string(),
                applied: scheduled.is_applied(),
            };
            (knob.name().to_owned(), status)
        };
        imposed.knobs().into_iter().map(knob).collect()
    }
}

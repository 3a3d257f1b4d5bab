//! A container's limits and schedule, and all there is to tell of them.

use std::collections::BTreeMap;
use std::io;

use ubc_cgroup::{Enforced, Knob, RowStatus, Schedule, Scheduled};
use ubc_core::{PerResource, SetLimitsError};

use super::super::conversation::no_container;
use super::imposed::Imposed;
use super::status::{claim, describe, unenforced, unscheduled};
use super::{Container, Origin};
use crate::error::{Failure, Kind, Result};
use crate::protocol::{self, KnobStatus, SetBy, Unenforced, Wanted};

impl Container {
    /// Changes limits and schedule, all or none. What nothing here imposes is
    /// kept as configured, told, and never shown in the rows.
    pub(in crate::daemon) fn set(
        &self,
        wanted: &Wanted,
        schedule: &Schedule,
        strict: bool,
    ) -> Result<Vec<Unenforced>> {
        for (resource, limits) in wanted.iter() {
            limits
                .unwrap_or_default()
                .checked()
                .map_err(|reason| Failure::usage(SetLimitsError { resource, reason }))?;
        }
        let mut imposed = self.imposed.lock();
        let knobs = if schedule.is_empty() { BTreeMap::new() } else { self.knobs(&imposed) };
        let mut kept = unenforced(&self.claims.rows, wanted);
        kept.extend(imposed.cut(wanted));
        kept.extend(unscheduled(&knobs, schedule));
        if strict && let Some(Unenforced { what, why, .. }) = kept.first() {
            let message = format!("{what} cannot be limited here: {why}");
            return Err(Failure::new(Kind::Limit, message));
        }
        let has_file = |knob| !matches!(knobs.get(&knob), None | Some(Scheduled::Not(_)));
        imposed.change(wanted, schedule, &self.claims, has_file).map_err(|error| {
            Failure::new(Kind::Limit, format!("container {}: {error}", self.id))
        })?;
        self.show_limits(&mut imposed).map_err(|error| Failure::new(Kind::Software, error))?;
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

    /// Everything there is to tell.
    pub(in crate::daemon) fn describe(&self) -> Result<protocol::Container> {
        let reading = self.reading().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => no_container(self.id),
            _ => Failure::system(format!("container {}: {error}", self.id)),
        })?;
        let metered = self.metering.lock().meters.metered().clone();
        let (pid, view) = self.attached.lock().as_ref().map_or((None, None), |attached| {
            let view = protocol::View {
                way: attached.view.way().to_string(),
                meminfo: attached.view.meminfo().to_string(),
            };
            (Some(attached.process.pid()), Some(view))
        });
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
            let mut status = describe(&RowStatus { metered: metered[resource].clone(), enforced });
            status.enforced_by += self.says(set_by[resource]);
            status
        });
        Ok(protocol::Container {
            id: self.id,
            pid,
            view,
            cgroup: self.name.clone(),
            reading,
            configured: *imposed.configured(),
            set_by,
            schedule: self.schedule(&imposed),
            status,
        })
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

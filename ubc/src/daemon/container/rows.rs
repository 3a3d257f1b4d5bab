//! A container's limits, and all there is to tell of its rows.

use std::io;

use ubc_cgroup::RowStatus;
use ubc_core::{Limits, PerResource, Resource};

use super::super::conversation::no_container;
use super::Container;
use super::status::{describe, imposes, unenforced};
use crate::error::{Failure, Kind, Result};
use crate::protocol::{self, Unenforced, Wanted};

impl Container {
    /// Changes limits, all or none. A limit that nothing here imposes is kept
    /// as configured, told, and never shown in the rows.
    pub(in crate::daemon) fn set(&self, wanted: &Wanted, strict: bool) -> Result<Vec<Unenforced>> {
        let unenforced = unenforced(&self.status, wanted);
        if strict && let Some(row) = unenforced.first() {
            return Err(Failure::new(
                Kind::Limit,
                format!("{} cannot be limited here: {}", row.resource, row.why),
            ));
        }
        let mut configured = self.configured.lock();
        let imposed = PerResource::from_fn(|resource| {
            wanted[resource].filter(|_| imposes(&self.status[resource].enforced))
        });
        self.limiter.apply(&imposed).map_err(|error| {
            Failure::new(Kind::Limit, format!("container {}: {error}", self.id))
        })?;
        let rows: Vec<(Resource, Limits)> =
            imposed.iter().filter_map(|(resource, limits)| Some((resource, (*limits)?))).collect();
        self.beancounter.set_many(&rows).map_err(|error| Failure::new(Kind::Software, error))?;
        for (resource, limits) in wanted.iter() {
            if limits.is_some() {
                configured[resource] = *limits;
            }
        }
        Ok(unenforced)
    }

    /// Everything there is to tell.
    pub(in crate::daemon) fn describe(&self) -> Result<protocol::Container> {
        let reading = self.reading().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => no_container(self.id),
            _ => Failure::system(format!("container {}: {error}", self.id)),
        })?;
        let metered = self.metering.lock().meters.metered().clone();
        let status = PerResource::from_fn(|resource| {
            describe(&RowStatus {
                metered: metered[resource].clone(),
                enforced: self.status[resource].enforced.clone(),
            })
        });
        let attached = self.attached.lock();
        let attached = attached.as_ref();
        Ok(protocol::Container {
            id: self.id,
            pid: attached.map(|attached| attached.process.pid()),
            view: attached.map(|attached| protocol::View {
                way: attached.view.way().to_string(),
                meminfo: attached.view.meminfo().to_string(),
            }),
            cgroup: self.name.clone(),
            reading,
            configured: *self.configured.lock(),
            status,
        })
    }
}

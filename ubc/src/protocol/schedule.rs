//! A schedule on the wire: names and values of `vzctl set`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ubc_cgroup::Knob;

/// A change of a container's schedulers. Every value has been checked when
/// it has been received; which devices are limited is the receiver's to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub(crate) struct Schedule(ubc_cgroup::Schedule);

impl Schedule {
    pub(crate) fn get(&self) -> &ubc_cgroup::Schedule {
        &self.0
    }
}

impl From<ubc_cgroup::Schedule> for Schedule {
    fn from(mut schedule: ubc_cgroup::Schedule) -> Schedule {
        schedule.devices.clear();
        Schedule(schedule)
    }
}

impl TryFrom<BTreeMap<String, String>> for Schedule {
    type Error = String;

    fn try_from(values: BTreeMap<String, String>) -> Result<Schedule, String> {
        let mut schedule = ubc_cgroup::Schedule::default();
        for (name, value) in &values {
            let knob = Knob::from_name(name).ok_or_else(|| {
                let names = Knob::ALL.map(Knob::name).join(", ");
                format!("no such knob; accepted: {names}")
            })?;
            schedule.set(knob, value).map_err(|error| format!("{knob}: {error}"))?;
        }
        Ok(Schedule(schedule))
    }
}

impl From<Schedule> for BTreeMap<String, String> {
    fn from(Schedule(schedule): Schedule) -> BTreeMap<String, String> {
        let value = |knob: Knob| Some((knob.name().to_owned(), schedule.text(knob)?));
        Knob::ALL.into_iter().filter_map(value).collect()
    }
}

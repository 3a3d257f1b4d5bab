//! The scheduler knobs of one container, and of any.

use std::collections::BTreeMap;
use std::io::{self, Write};

use ubc_cgroup::Knob;

use super::table::{Style, Table};
use crate::protocol::KnobStatus;

/// The schedule of a container: what was asked, what the kernel has, who
/// applies it.
pub(super) fn of_container(
    out: &mut dyn Write,
    schedule: &BTreeMap<String, KnobStatus>,
) -> io::Result<()> {
    let mut table = Table::new(["scheduler", "configured", "in force", "applied by"]);
    for knob in Knob::ALL {
        let Some(status) = schedule.get(knob.name()) else { continue };
        let configured =
            status.configured.as_deref().map(|value| crate::schedule::shown(knob, value));
        let or_dash =
            |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or("-".into());
        let cells = [
            knob.to_string(),
            or_dash(configured),
            or_dash(status.in_force.clone()),
            status.applied_by.clone(),
        ];
        table.row(Style::Plain, cells);
    }
    table.print(out)
}

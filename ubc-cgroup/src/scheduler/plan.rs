//! Which value goes to which file.

use super::{CpuLimit, Knob, Processors, Schedule, cpu, io};
use crate::settings::{Form, Setting};
use crate::{Result, Target};

/// The settings for a schedule. `cpu_limit` and `cpus` are the ones in force
/// afterwards, given now or before, since both are in one file.
pub(super) fn settings(
    schedule: &Schedule,
    (cpu_limit, cpus): (CpuLimit, u32),
    node: Processors,
) -> Result<Vec<Setting>> {
    let mut settings = Vec::new();
    let mut add = |knob, file, form, value| {
        settings.push(Setting { target: Target::Knob(knob), file, form, value });
    };
    if let Some(units) = schedule.cpu_units {
        add(Knob::CpuUnits, "cpu.weight", Form::Number, units.weight().to_string());
    }
    let given = [schedule.cpu_limit.map(|_| Knob::CpuLimit), schedule.cpus.map(|_| Knob::Cpus)];
    for knob in given.into_iter().flatten() {
        add(knob, "cpu.max", Form::Words, cpu::max(cpu_limit, cpus, node)?);
    }
    if let Some(mask) = &schedule.cpu_mask {
        let form = Form::Ids {
            effective: "cpuset.cpus.effective",
            possible: "/sys/devices/system/cpu/possible",
        };
        add(Knob::CpuMask, "cpuset.cpus", form, mask.list());
    }
    if let Some(mask) = &schedule.node_mask {
        let form = Form::Ids {
            effective: "cpuset.mems.effective",
            possible: "/sys/devices/system/node/possible",
        };
        add(Knob::NodeMask, "cpuset.mems", form, mask.list());
    }
    if let Some(priority) = schedule.io_priority {
        // Both, where both are: which one counts may differ by device.
        for file in ["io.weight", "io.bfq.weight"] {
            let value = format!("default {}", priority.weight());
            add(Knob::IoPriority, file, Form::Default, value);
        }
    }
    for device in &schedule.devices {
        if let Some(rate) = schedule.io_limit {
            add(Knob::IoLimit, "io.max", Form::Device, io::bytes(*device, rate));
        }
        if let Some(rate) = schedule.iops_limit {
            add(Knob::IopsLimit, "io.max", Form::Device, io::operations(*device, rate));
        }
    }
    Ok(settings)
}

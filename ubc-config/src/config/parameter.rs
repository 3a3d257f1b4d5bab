//! One parameter: from text and back.

use ubc_cgroup::{Knob, Rate};
use ubc_core::vswap::Overcommit;
use ubc_core::{Limits, LimitsError, PageSize, Unit};
use ubc_procfs::text::meminfo::MemorySize;
use ubc_procfs::text::value::{Bare, Reason, Shown, parse_limits, parse_rate};

use super::{Config, Switch};
use crate::error::excerpt;
use crate::key::Key;

/// Whether a barrier must be within its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Kept,
    Free,
}

/// Takes a value in; perhaps something odd about it, or why it is none.
pub(super) fn read(
    config: &mut Config,
    key: Key,
    value: &[u8],
    page: PageSize,
    order: Order,
) -> Result<Option<String>, String> {
    let text = std::str::from_utf8(value)
        .map_err(|_| format!("{}: not a number; accepted: plain text", excerpt(value)))?;
    match key {
        Key::Row(row) => {
            let (limits, odd) = limits(text, row.unit(), page, order)?;
            config.limits[row] = Some(limits);
            return Ok(odd);
        }
        Key::AvNumProc => {
            let (limits, odd) = limits(text, Unit::Count, page, order)?;
            config.avnumproc = Some(limits.barrier);
            return Ok(odd);
        }
        Key::VmOvercommit => {
            let factor = Overcommit::parse(text)
                .map_err(|error| format!("{}: accepted: {error}", excerpt(value)))?;
            config.overcommit = Some(factor.into());
        }
        Key::MemInfo => {
            let size = MemorySize::parse(text).map_err(|error| error.to_string())?;
            config.meminfo = Some(size.into());
        }
        Key::Knob(Knob::IoLimit) => {
            let rate = parse_rate(text, Bare::Bytes, page).map_err(|error| error.to_string())?;
            config.schedule.io_limit = Some(Rate::per_second(rate));
        }
        Key::Knob(knob) => {
            config.schedule.set(knob, text).map_err(|error| error.to_string())?;
        }
    }
    Ok(None)
}

fn limits(
    text: &str,
    unit: Unit,
    page: PageSize,
    order: Order,
) -> Result<(Limits, Option<String>), String> {
    match parse_limits(text, unit, page) {
        Ok(setting) => {
            let odd =
                setting.clamped.then(|| format!("{text} is above the maximum and means unlimited"));
            Ok((setting.limits, odd))
        }
        Err(error) => match (order, error.reason) {
            (Order::Free, Reason::Limits(LimitsError::BarrierAboveLimit { barrier, limit })) => {
                Ok((Limits { barrier, limit }, None))
            }
            _ => Err(error.to_string()),
        },
    }
}

/// A value as vzctl writes it; `None` where the config says nothing.
pub(super) fn text(config: &Config, key: Key) -> Option<String> {
    match key {
        Key::Row(row) => config.limits[row].map(|limits| Shown(limits).to_string()),
        Key::AvNumProc => {
            config.avnumproc.map(|count| Shown(Limits { barrier: count, limit: count }).to_string())
        }
        Key::VmOvercommit => config.overcommit.map(|factor| match factor {
            Switch::Off => "0".to_owned(),
            Switch::On(factor) => factor.to_string(),
        }),
        Key::MemInfo => config.meminfo.map(|size| match size {
            Switch::Off => "none".to_owned(),
            Switch::On(size) => size.to_string(),
        }),
        // vzctl knows no word for no limit there.
        Key::Knob(knob) => config.schedule.text(knob).map(|text| match text.as_str() {
            "unlimited" => "0".to_owned(),
            _ => text,
        }),
    }
}

//! Values as administrators write them: the options of `vzctl set`.
//!
//! (vzctl `man/vzctl.8`, `src/lib/config.c`; MHz from libvzctl.) Sizes with
//! suffixes, which only iolimit has, are read where the limits of rows are.

use std::fmt;
use std::str::FromStr;

use super::{CpuLimit, CpuUnits, Ids, IoPriority, Knob, Mask, Rate, Schedule};
use crate::parse;

/// Most of a wrong text that is repeated, in characters.
const LONGEST: usize = 40;

/// The word for no limit, as the rows have it.
const UNLIMITED: &str = "unlimited";

/// A text that is no value of a knob.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given}: {reason}; accepted: {}", knob.accepted())]
pub struct InvalidValue {
    /// The text: quoted, escaped and shortened.
    pub given: String,
    /// What is wrong with it.
    pub reason: &'static str,
    /// What it was meant for.
    pub knob: Knob,
}

impl InvalidValue {
    fn new(given: &str, reason: &'static str, knob: Knob) -> InvalidValue {
        let rest = if given.chars().nth(LONGEST).is_some() { "..." } else { "" };
        let start: String = given.chars().take(LONGEST).collect();
        InvalidValue { given: format!("{start:?}{rest}"), reason, knob }
    }
}

impl Schedule {
    /// Gives a knob the value a text means.
    ///
    /// A bare number for [`Knob::IoLimit`] is bytes per second, as in
    /// configuration files; suffixes are not read here.
    ///
    /// # Errors
    ///
    /// A text that is none of [`Knob::accepted`]; nothing is changed then.
    ///
    /// # Examples
    ///
    /// ```
    /// use ubc_cgroup::{CpuLimit, Knob, Schedule};
    ///
    /// let mut schedule = Schedule::default();
    /// schedule.set(Knob::CpuLimit, "25%")?;
    /// assert_eq!(schedule.cpu_limit, Some(CpuLimit::NodePercent(25)));
    /// assert_eq!(
    ///     schedule.set(Knob::CpuUnits, "7").unwrap_err().to_string(),
    ///     "\"7\": out of range; accepted: 8 to 500000, default 1000"
    /// );
    /// # Ok::<(), ubc_cgroup::InvalidValue>(())
    /// ```
    pub fn set(&mut self, knob: Knob, text: &str) -> Result<(), InvalidValue> {
        let wrong = |reason| InvalidValue::new(text, reason, knob);
        match knob {
            Knob::CpuUnits => {
                let units = CpuUnits::new(number(text).map_err(wrong)?);
                self.cpu_units = Some(units.ok_or_else(|| wrong(OUT_OF_RANGE))?);
            }
            Knob::CpuLimit => self.cpu_limit = Some(cpu_limit(text).map_err(wrong)?),
            Knob::Cpus if text == UNLIMITED => self.cpus = Some(0),
            Knob::Cpus => self.cpus = Some(number(text).map_err(wrong)?),
            Knob::CpuMask => self.cpu_mask = Some(mask(text).map_err(wrong)?),
            Knob::NodeMask => self.node_mask = Some(mask(text).map_err(wrong)?),
            Knob::IoPriority => {
                let priority = IoPriority::new(number(text).map_err(wrong)?);
                self.io_priority = Some(priority.ok_or_else(|| wrong(OUT_OF_RANGE))?);
            }
            Knob::IoLimit => self.io_limit = Some(rate(text).map_err(wrong)?),
            Knob::IopsLimit => self.iops_limit = Some(rate(text).map_err(wrong)?),
        }
        Ok(())
    }

    /// The value of a knob as [`Schedule::set`] reads it; `None` where it is
    /// left alone.
    pub fn text(&self, knob: Knob) -> Option<String> {
        match knob {
            Knob::CpuUnits => self.cpu_units.map(|units| units.get().to_string()),
            Knob::CpuLimit => self.cpu_limit.map(|limit| limit.to_string()),
            Knob::Cpus => self.cpus.map(|cpus| match cpus {
                0 => UNLIMITED.to_owned(),
                cpus => cpus.to_string(),
            }),
            Knob::CpuMask => self.cpu_mask.as_ref().map(Mask::to_string),
            Knob::NodeMask => self.node_mask.as_ref().map(Mask::to_string),
            Knob::IoPriority => self.io_priority.map(|priority| priority.get().to_string()),
            Knob::IoLimit => self.io_limit.map(|rate| rate.to_string()),
            Knob::IopsLimit => self.iops_limit.map(|rate| rate.to_string()),
        }
    }
}

const NOT_A_NUMBER: &str = "not a whole number";
const OUT_OF_RANGE: &str = "out of range";

/// Digits and nothing else: no sign, no blanks.
fn number<T: FromStr>(text: &str) -> Result<T, &'static str> {
    if text.is_empty() {
        return Err("a value is missing");
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NOT_A_NUMBER);
    }
    text.parse().map_err(|_| OUT_OF_RANGE)
}

fn cpu_limit(text: &str) -> Result<CpuLimit, &'static str> {
    if text == UNLIMITED {
        return Ok(CpuLimit::Unlimited);
    }
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let kind = match unit {
        "" => CpuLimit::Percent,
        "%" => CpuLimit::NodePercent,
        _ if ["m", "mhz"].iter().any(|mhz| unit.eq_ignore_ascii_case(mhz)) => CpuLimit::Megahertz,
        _ if digits.is_empty() => return Err(NOT_A_NUMBER),
        _ => return Err("unknown unit"),
    };
    match number(digits)? {
        0 => Ok(CpuLimit::Unlimited),
        amount => Ok(kind(amount)),
    }
}

fn mask(text: &str) -> Result<Mask, &'static str> {
    if text == "all" {
        return Ok(Mask::All);
    }
    if text.is_empty() {
        return Err("a value is missing");
    }
    // Blanks around it are the kernel's newline; nobody else's.
    if text.trim() != text {
        return Err("not a list");
    }
    let ids = parse::ids(text.as_bytes()).map_err(|_| "not a list")?;
    Ids::new(ids).map(Mask::Only).ok_or(OUT_OF_RANGE)
}

fn rate(text: &str) -> Result<Rate, &'static str> {
    if text == UNLIMITED { Ok(Rate::UNLIMITED) } else { number(text).map(Rate::per_second) }
}

impl fmt::Display for CpuLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (amount, unit) = match *self {
            CpuLimit::Percent(percent) => (percent, ""),
            CpuLimit::NodePercent(percent) => (percent, "%"),
            CpuLimit::Megahertz(megahertz) => (megahertz, "m"),
            CpuLimit::Unlimited => (0, ""),
        };
        if amount == 0 { f.pad(UNLIMITED) } else { f.pad(&format!("{amount}{unit}")) }
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mask::All => f.pad("all"),
            Mask::Only(ids) => f.pad(&ids.to_string()),
        }
    }
}

/// The number per second.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(amount) => f.pad(&amount.to_string()),
            None => f.pad(UNLIMITED),
        }
    }
}

#[cfg(test)]
mod tests;

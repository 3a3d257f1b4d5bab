//! What the command prints: for people as tables, for programs as JSON.

mod bar;
mod doctor;
mod knobs;
mod parameters;
mod table;

use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::error::{is_active, one_line};
use crate::protocol::{Container, Refusal};
pub(crate) use bar::{full, style};
pub(crate) use table::{Head, Style, Table, styled};

pub(crate) use doctor::doctor;
pub(crate) use parameters::{parameter, parameters};

/// One line of JSON for one value, which drives no terminal either.
pub(crate) fn json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, Inert))?;
    writeln!(out)
}

/// JSON has to escape the first control characters only. All others that are not
/// to be seen are here too.
struct Inert;

impl serde_json::ser::Formatter for Inert {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        to: &mut W,
        text: &str,
    ) -> io::Result<()> {
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_active(*c)) {
            to.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(to, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        to.write_all(rest.as_bytes())
    }
}

/// All rows and the schedule of a container.
pub(crate) fn container(out: &mut dyn Write, container: &Container) -> io::Result<()> {
    let pid = container.pid.map_or_else(|| "none".to_owned(), |pid| pid.to_string());
    let cgroup = one_line(&container.cgroup);
    writeln!(out, "container {}  init {pid}  cgroup {cgroup}", container.id)?;
    if let Some(view) = &container.view {
        writeln!(out, "view by {}  meminfo {}", view.way, view.meminfo)?;
    }
    let mut table = Table::new([
        "resource",
        "held",
        "use",
        "maxheld",
        "barrier",
        "limit",
        "failcnt",
        "metered by",
        "enforced by",
    ]);
    for (resource, row) in container.reading.rows.iter() {
        let status = &container.status[resource];
        let configured = container.configured[resource].filter(|limits| !limits.is_unlimited());
        let number = |value: u64| {
            if status.measured { value.to_string() } else { "-".to_owned() }
        };
        // A limit that is only kept is not shown as if it were imposed.
        let enforced_by = match configured {
            Some(limits) if limits != row.limits() => {
                let limits = crate::limits::shown(limits);
                format!("{} (configured {limits})", status.enforced_by)
            }
            _ => status.enforced_by.clone(),
        };
        let bar = if status.measured { bar::bar(row) } else { String::new() };
        table.row(
            bar::style(row),
            [
                resource.to_string(),
                number(row.held),
                bar,
                number(row.maxheld),
                threshold(row.barrier),
                threshold(row.limit),
                row.failcnt.to_string(),
                status.metered_by.clone(),
                enforced_by,
            ],
        );
    }
    table.print(out)?;
    writeln!(out)?;
    knobs::of_container(out, &container.schedule)
}

/// One line a refusal.
pub(crate) fn refusal(out: &mut dyn Write, refusal: &Refusal) -> io::Result<()> {
    writeln!(out, "{} {refusal}", time(refusal.time))
}

/// A time, in seconds since 1970, to the millisecond in UTC.
pub(crate) fn time(time: f64) -> String {
    humantime::format_rfc3339_millis(moment(time)).to_string()
}

/// The same to the second.
pub(crate) fn second(time: f64) -> String {
    humantime::format_rfc3339_seconds(moment(time)).to_string()
}

/// The nearest there is between 1970 and 9999: what a file says may be anything,
/// and RFC 3339 has no other years.
fn moment(time: f64) -> SystemTime {
    const LAST: f64 = 253_402_300_799.0;
    UNIX_EPOCH + Duration::try_from_secs_f64(time.clamp(0.0, LAST)).unwrap_or_default()
}

pub(crate) fn threshold(value: u64) -> String {
    if value == ubc_core::UNLIMITED { "-".to_owned() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_drives_no_terminal_and_means_the_same() {
        let hostile = "a\u{9b}2J\u{7f}\u{202e}\u{e0041}\u{1b}\n\"\u{e9}";
        let mut out = Vec::new();
        json(&mut out, &hostile).unwrap();
        let text = String::from_utf8(out).unwrap();
        let expected = r#""a\u009b2J\u007f\u202e\udb40\udc41\u001b\n\"\u{e9}""#;
        assert_eq!(text, expected.replace("\\u{e9}", "\u{e9}") + "\n");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), hostile);
    }
}

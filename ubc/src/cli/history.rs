//! What happens and what happened: `ubc watch`, `ubc record` and `ubc replay`.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Arg, ArgAction, ArgGroup, Command, value_parser};
use ubc_core::{PageSize, Resource};
use ubc_procfs::text::name::resource_by_name;
use ubc_procfs::text::value::parse_memory;

use super::{id, json};
use crate::history::Space;

/// `ubc watch`.
pub(super) fn watch() -> Command {
    Command::new("watch")
        .about("Tell what the kernel's programs refuse, as it happens")
        .after_help(
            "COMMAND finds in its environment: UBC_MESSAGE (the line), UBC_TIME, UBC_CTID, \
             UBC_RESOURCE, UBC_TIMES, UBC_ASKED, UBC_HELD, UBC_BARRIER, UBC_LIMIT, UBC_PID, \
             UBC_COMM and UBC_DROPPED. One runs at a time; of what is refused meanwhile it runs \
             once for each row of each container, with their number in UBC_TIMES.\n\n\
             When the daemon ends for another to begin, this goes on with that and warns. A service \
             manager is told (sd_notify) once nothing is missed any more.",
        )
        .arg(id("CTID").index(1))
        .arg(
            Arg::new("exec")
                .long("exec")
                .value_name("COMMAND")
                .help("Run this by sh for what is refused"),
        )
        .arg(json())
}

/// `ubc record`.
pub(super) fn record() -> Command {
    Command::new("record")
        .about("Keep every container's rows and refusals on disk, in bounded space, for replay")
        .arg(dir())
        .arg(
            Arg::new("every")
                .long("every")
                .value_name("TIME")
                .default_value("60s")
                .value_parser(|text: &str| {
                    let time = humantime::parse_duration(text).ok();
                    let least = Duration::from_secs(1);
                    time.filter(|time| (least..=Duration::from_hours(24)).contains(time))
                        .ok_or("accepted: 1s to 24h, such as 60s or 5m")
                })
                .help("How long from one reading to the next; refusals are kept as they happen"),
        )
        .arg(
            Arg::new("size")
                .long("size")
                .value_name("BYTES")
                .default_value("64M")
                .value_parser(|text: &str| {
                    let page = PageSize::DEFAULT;
                    let memory = parse_memory(text, page).ok();
                    let bytes = memory.map(|memory| page.bytes_in(memory.pages));
                    bytes
                        .and_then(|bytes| Space::new(bytes.try_into().ok()?))
                        .ok_or("accepted: 256K to 1T, such as 64M")
                })
                .help("How much it may take; the oldest goes first"),
        )
}

/// `ubc replay`.
pub(super) fn replay() -> Command {
    let time = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("WHEN").value_parser(moment).help(help)
    };
    Command::new("replay")
        .about("Tell from the record who was refused what, when and how often")
        .after_help("WHEN is in UTC, such as \"2026-11-21 22:00\", or how long ago, such as 12h.")
        .arg(id("CTID").index(1).num_args(0..).help("Only these [default: all]"))
        .arg(dir())
        .arg(time("from", "Only from then on"))
        .arg(time("to", "Only until then"))
        .arg(
            Arg::new("events").long("events").action(ArgAction::SetTrue).help(
                "One after the other: refusals, changed limits, containers that came and went",
            ),
        )
        .arg(
            Arg::new("row")
                .long("row")
                .value_name("RESOURCE")
                .value_parser(|text: &str| -> Result<Resource, _> { resource_by_name(text) })
                .help("How this row went"),
        )
        .arg(time("at", "All rows as they were then, as /proc/user_beancounters"))
        .group(ArgGroup::new("what").args(["events", "row", "at"]))
        .arg(json())
}

fn dir() -> Arg {
    Arg::new("dir")
        .long("dir")
        .value_name("DIR")
        .value_parser(value_parser!(PathBuf))
        .help("Where the record is [default: /var/lib/ubc/history]")
}

/// Seconds since 1970 in UTC.
fn moment(text: &str) -> Result<f64, &'static str> {
    const ACCEPTED: &str =
        "accepted: UTC such as \"2026-11-21 22:00\", or how long ago such as 12h";
    let seconds = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
    };
    if let Ok(ago) = humantime::parse_duration(text) {
        return SystemTime::now().checked_sub(ago).map(seconds).ok_or(ACCEPTED);
    }
    let full = match text.len() {
        10 => format!("{text} 00:00:00"),
        16 => format!("{text}:00"),
        _ => text.to_owned(),
    };
    humantime::parse_rfc3339_weak(&full).map(seconds).map_err(|_| ACCEPTED)
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn a_time_means_what_people_write() {
        let midnight = 1_790_000_000.0 - 1_790_000_000.0 % 86400.0;
        let text = humantime::format_rfc3339(
            std::time::UNIX_EPOCH + std::time::Duration::from_secs_f64(midnight),
        );
        let text = text.to_string();
        for same in [&text[..10], &text[..16], &text[..19], &text] {
            assert_eq!(moment(same), Ok(midnight), "{same}");
        }
        let ago = moment("2h").unwrap() - moment("3h").unwrap();
        assert!((ago - 3600.0).abs() < 60.0);
        for wrong in ["", "yesterday", "2026-13-01", "12:00", "-5m", "2026-11-21T25:00", "é"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
        assert_eq!(moment("99999y"), Ok(0.0), "before there were clocks");
    }
}

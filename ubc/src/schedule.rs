//! Scheduler knobs as the command line gives them.

use ubc_cgroup::{Knob, Rate, Schedule};
use ubc_procfs::text::value::{Bare, parse_rate};

use crate::error::{Failure, Result};
use crate::limits::{Given, page_size};
pub(crate) use ubc_node::shown_knob as shown;

/// The knobs among the options: all of them good, or an error that names the
/// first that is not.
pub(crate) fn wanted(given: &impl Given) -> Result<Schedule> {
    let mut schedule = Schedule::default();
    for knob in Knob::ALL {
        let Some(value) = given.value(knob.name()) else { continue };
        let label = given.label(knob.name());
        let wrong = |error: &dyn std::fmt::Display| Failure::usage(format!("{label}: {error}"));
        if knob == Knob::IoLimit {
            let rate = parse_rate(value, Bare::Megabytes, page_size()?);
            schedule.io_limit = Some(Rate::per_second(rate.map_err(|error| wrong(&error))?));
        } else {
            schedule.set(knob, value).map_err(|error| wrong(&error))?;
        }
    }
    Ok(schedule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn from(line: &[&str]) -> Result<Schedule> {
        let line = [&["ubc", "set", "101"], line].concat();
        let matches = crate::cli::command().try_get_matches_from(line).unwrap();
        wanted(matches.subcommand_matches("set").unwrap())
    }

    #[test]
    fn every_knob_has_its_option_and_shows_as_it_was_given() {
        for (option, value) in [
            ("cpuunits", "3000"),
            ("cpulimit", "25%"),
            ("cpulimit", "unlimited"),
            ("cpus", "2"),
            ("cpumask", "0-2,5"),
            ("nodemask", "all"),
            ("ioprio", "7"),
            ("iolimit", "4M"),
            ("iolimit", "1500B"),
            ("iolimit", "unlimited"),
            ("iopslimit", "500"),
        ] {
            let knob = Knob::from_name(option).unwrap();
            let schedule = from(&[&format!("--{option}"), value]).unwrap();
            assert_eq!(schedule.knobs().collect::<Vec<_>>(), [knob]);
            assert_eq!(shown(knob, &schedule.text(knob).unwrap()), value, "{option}");
        }
        assert!(from(&["--numproc", "5"]).unwrap().is_empty());
    }

    #[test]
    fn a_bare_iolimit_is_megabytes_as_with_vzctl() {
        let rate = |value| from(&["--iolimit", value]).unwrap().io_limit.unwrap().get();
        assert_eq!((rate("4"), rate("4M"), rate("0")), (Some(4 << 20), Some(4 << 20), None));
    }

    #[test]
    fn values_that_are_none_are_refused_by_name() {
        for (option, value) in [
            ("cpuunits", "7"),
            ("cpulimit", "12.5"),
            ("cpus", "x"),
            ("cpumask", "3-1"),
            ("nodemask", "auto"),
            ("ioprio", "8"),
            ("iolimit", "4194304"),
            ("iopslimit", "5K"),
        ] {
            let error = from(&[&format!("--{option}={value}")]).unwrap_err();
            assert!(error.message.starts_with(&format!("--{option}: \"{value}\": ")), "{error}");
            assert!(error.message.contains("; accepted: "), "{error}");
            assert_eq!(error.kind, Kind::Usage);
        }
    }
}

use proptest::prelude::*;

use super::{CpuLimit, Knob, Schedule};

fn text(knob: Knob, given: &str) -> Result<String, String> {
    let mut schedule = Schedule::default();
    let set = schedule.set(knob, given).map_err(|error| error.to_string());
    assert_eq!(set.is_err(), schedule.is_empty(), "a refused value changes nothing");
    set.map(|()| schedule.text(knob).unwrap())
}

#[test]
fn values_mean_what_vzctl_means_by_them() {
    for (knob, given, kept) in [
        (Knob::CpuUnits, "8", "8"),
        (Knob::CpuUnits, "500000", "500000"),
        (Knob::CpuLimit, "150", "150"),
        (Knob::CpuLimit, "25%", "25%"),
        (Knob::CpuLimit, "1000m", "1000m"),
        (Knob::CpuLimit, "1000MHz", "1000m"),
        (Knob::CpuLimit, "0", "unlimited"),
        (Knob::CpuLimit, "0%", "unlimited"),
        (Knob::CpuLimit, "unlimited", "unlimited"),
        (Knob::Cpus, "2", "2"),
        (Knob::Cpus, "0", "unlimited"),
        (Knob::CpuMask, "all", "all"),
        (Knob::CpuMask, "5,0,1-2", "0-2,5"),
        (Knob::NodeMask, "0", "0"),
        (Knob::IoPriority, "0", "0"),
        (Knob::IoPriority, "7", "7"),
        (Knob::IoLimit, "4194304", "4194304"),
        (Knob::IoLimit, "0", "unlimited"),
        (Knob::IopsLimit, "500", "500"),
        (Knob::IopsLimit, "unlimited", "unlimited"),
    ] {
        assert_eq!(text(knob, given).as_deref(), Ok(kept), "{knob} {given}");
        assert_eq!(text(knob, kept).as_deref(), Ok(kept), "{knob} {kept}");
    }
}

#[test]
fn percent_of_a_cpu_is_not_percent_of_the_node() {
    let mut schedule = Schedule::default();
    schedule.set(Knob::CpuLimit, "25").unwrap();
    assert_eq!(schedule.cpu_limit, Some(CpuLimit::Percent(25)));
    schedule.set(Knob::CpuLimit, "25%").unwrap();
    assert_eq!(schedule.cpu_limit, Some(CpuLimit::NodePercent(25)));
}

#[test]
fn what_vzctl_would_not_take_is_refused_with_what_is_accepted() {
    for (knob, given, says) in [
        (Knob::CpuUnits, "7", "\"7\": out of range; accepted: 8 to 500000, default 1000"),
        (Knob::CpuUnits, "500001", "out of range"),
        (Knob::CpuUnits, "99999999999", "out of range"),
        (Knob::CpuUnits, "1000%", "not a whole number"),
        (Knob::CpuUnits, "+9", "not a whole number"),
        (Knob::CpuLimit, "", "a value is missing"),
        (Knob::CpuLimit, "%", "a value is missing"),
        (Knob::CpuLimit, "12.5", "unknown unit"),
        (Knob::CpuLimit, "-5", "not a whole number"),
        (Knob::CpuLimit, "5G", "unknown unit"),
        (Knob::CpuLimit, "25 %", "unknown unit"),
        (Knob::CpuLimit, "4294967296", "out of range"),
        (Knob::Cpus, "1.5", "not a whole number"),
        (Knob::CpuMask, "", "a value is missing"),
        (Knob::CpuMask, "0 ", "not a list"),
        (Knob::CpuMask, "3-1", "not a list"),
        (Knob::CpuMask, "0,,1", "not a list"),
        (Knob::CpuMask, "4096", "out of range"),
        (Knob::CpuMask, "auto", "accepted: a list such as 0-2,5, or all"),
        (Knob::IoPriority, "8", "\"8\": out of range; accepted: 0 to 7, default 4"),
        (Knob::IoPriority, "-1", "not a whole number"),
        (Knob::IoLimit, "10M", "not a whole number"),
        (Knob::IopsLimit, "10K", "not a whole number"),
        (Knob::IopsLimit, "\u{1b}[2J", "\"\\u{1b}[2J\": not a whole number"),
    ] {
        let error = text(knob, given).unwrap_err();
        assert!(error.contains(says) && error.contains("accepted: "), "{knob} {given}: {error}");
    }
    let long = text(Knob::CpuMask, &"0,".repeat(100_000)).unwrap_err();
    assert!(long.len() < 200, "{long}");
}

proptest! {
    #[test]
    fn no_text_is_answered_by_a_panic_or_by_two_lines(given in "\\PC*|[0-9,%mMHz.-]{0,20}") {
        for knob in Knob::ALL {
            match text(knob, &given) {
                Ok(kept) => prop_assert_eq!(text(knob, &kept), Ok(kept)),
                Err(error) => prop_assert_eq!(error.lines().count(), 1),
            }
        }
    }
}

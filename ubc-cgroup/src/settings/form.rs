//! How controller files write the values they keep.

use std::collections::BTreeSet;
use std::io;

use crate::{files, parse};

/// How a file writes its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A number, or `max`: `pids.max`, `cpu.weight`.
    Number,
    /// Some words on one line: `cpu.max`.
    Words,
    /// A line `default N`, then lines for devices: `io.weight`.
    Default,
    /// Ids and ranges of ids, or nothing: `cpuset.cpus`. What comes of it is
    /// in another file.
    Ids {
        /// `cpuset.cpus.effective`.
        effective: &'static str,
        /// The file of sysfs with all ids there can be.
        possible: &'static str,
    },
    /// A line `MAJOR:MINOR key=value...` for each device that has a limit:
    /// `io.max`. A value names the device and some of the keys.
    Device,
}

impl Form {
    /// Every file that is written here, and how.
    pub(crate) fn all() -> [(&'static str, Form); 12] {
        let cpus = Form::Ids {
            effective: "cpuset.cpus.effective",
            possible: "/sys/devices/system/cpu/possible",
        };
        let mems = Form::Ids {
            effective: "cpuset.mems.effective",
            possible: "/sys/devices/system/node/possible",
        };
        [
            ("pids.max", Form::Number),
            ("memory.max", Form::Number),
            ("memory.high", Form::Number),
            ("memory.swap.max", Form::Number),
            ("memory.low", Form::Number),
            ("cpu.weight", Form::Number),
            ("cpu.max", Form::Words),
            ("cpuset.cpus", cpus),
            ("cpuset.mems", mems),
            ("io.weight", Form::Default),
            ("io.bfq.weight", Form::Default),
            ("io.max", Form::Device),
        ]
    }

    /// One of them by its name.
    pub(crate) fn of(name: &str) -> Option<(&'static str, Form)> {
        Form::all().into_iter().find(|(file, _)| *file == name)
    }

    /// The writes that make a file with the text `now` have the text `before`.
    pub(super) fn lines_back(self, now: &str, before: &str) -> Vec<String> {
        if matches!(self, Form::Number | Form::Words | Form::Ids { .. }) {
            return vec![before.to_owned()];
        }
        let key = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
        let is_there = |line: &&str| !before.lines().any(|other| key(other) == key(line));
        // A line that was not there is that of a device without limits.
        let none = now.lines().filter(is_there).map(|line| match self {
            Form::Device => format!("{} rbps=max wbps=max riops=max wiops=max", key(line)),
            _ => format!("{} default", key(line)),
        });
        none.chain(before.lines().map(str::to_owned)).collect()
    }

    /// What `text` says where `value` would be written; `None` when it is
    /// not written in this form.
    pub(super) fn current(self, value: &str, text: &[u8]) -> Option<String> {
        match self {
            Form::Ids { possible, .. } if value.is_empty() && is_all(possible, text) => {
                Some(String::new())
            }
            Form::Number => match parse::limit(text).ok()? {
                Some(number) => Some(number.to_string()),
                None => Some("max".to_owned()),
            },
            Form::Words | Form::Ids { .. } => {
                let line = std::str::from_utf8(text).ok()?;
                Some(line.split_whitespace().collect::<Vec<_>>().join(" "))
            }
            Form::Default => {
                let text = std::str::from_utf8(text).ok()?;
                text.lines().find(|line| line.starts_with("default ")).map(str::to_owned)
            }
            Form::Device => device(value, std::str::from_utf8(text).ok()?),
        }
    }
}

impl Form {
    /// Which part of the file a value is for, where it is not for all of it.
    pub(super) fn place(self, value: &str) -> Vec<&str> {
        match self {
            Form::Device => value.split(' ').filter_map(|word| word.split('=').next()).collect(),
            _ => Vec::new(),
        }
    }

    /// What to write where the kernel does not take `value`. A cpuset with
    /// tasks in it may have no empty list (ENOSPC); the list of all ids does
    /// the same.
    pub(super) fn instead(self, value: &str, error: &io::Error) -> Option<String> {
        match self {
            Form::Ids { possible, .. }
                if value.is_empty() && error.raw_os_error() == Some(libc::ENOSPC) =>
            {
                let text = files::read_path(possible).ok()?;
                Some(std::str::from_utf8(&text).ok()?.trim().to_owned())
            }
            _ => None,
        }
    }
}

/// Whether a text lists every id there can be.
fn is_all(possible: &str, text: &[u8]) -> bool {
    files::read_path(possible).is_ok_and(|all| {
        let all = parse::ids(&all);
        all.is_ok() && all == parse::ids(text)
    })
}

/// The keys `value` names, with what the device's line says of them. A
/// device without a line has no limit.
fn device(value: &str, text: &str) -> Option<String> {
    let mut words = value.split(' ');
    let number = words.next()?;
    let line = text.lines().find_map(|line| {
        let (device, rest) = line.split_once(' ')?;
        (device == number).then_some(rest)
    });
    let mut found = number.to_owned();
    for key in words.filter_map(|word| word.split('=').next()) {
        let kept = line.and_then(|line| {
            line.split(' ').filter_map(|word| word.split_once('=')).find(|(name, _)| *name == key)
        });
        found.extend([" ", key, "=", kept.map_or("max", |(_, value)| value)]);
    }
    Some(found)
}

/// Whether the ids in a file's text are some, and all of them in `wanted`;
/// no wanted ids mean all.
pub(super) fn is_within(text: &[u8], wanted: &str) -> bool {
    let (Ok(effective), Ok(wanted)) = (parse::ids(text), parse::ids(wanted.as_bytes())) else {
        return false;
    };
    let wanted: BTreeSet<u32> = wanted.into_iter().collect();
    wanted.is_empty() || (!effective.is_empty() && effective.iter().all(|id| wanted.contains(id)))
}

#[cfg(test)]
mod tests {
    use super::{Form, is_within};

    #[test]
    fn a_limit_of_one_device_is_not_taken_for_anothers() {
        let text =
            b"8:16 rbps=1 wbps=2 riops=max wiops=4\n8:1 rbps=9 wbps=max riops=max wiops=max\n";
        let current = |value: &str| Form::Device.current(value, text).unwrap();
        assert_eq!(current("8:16 rbps=7 wbps=7"), "8:16 rbps=1 wbps=2");
        assert_eq!(current("8:1 wbps=7 wiops=7"), "8:1 wbps=max wiops=max");
        assert_eq!(current("8:0 riops=7"), "8:0 riops=max");
        assert_eq!(Form::Device.current("8:0 rbps=7", b""), Some("8:0 rbps=max".to_owned()));
    }

    #[test]
    fn the_weight_of_the_cgroup_is_told_from_a_devices() {
        let text = b"default 64\n8:0 200\n";
        assert_eq!(Form::Default.current("", text), Some("default 64".to_owned()));
        assert_eq!(Form::Default.current("", b"64\n"), None);
    }

    #[test]
    fn an_empty_list_reads_back_as_one() {
        let form = Form::Ids { effective: "x", possible: "/dev/null" };
        assert_eq!(form.current("", b"\n"), Some(String::new()));
        assert_eq!(Form::Words.current("", b"max 100000\n"), Some("max 100000".to_owned()));
        assert_eq!(Form::Number.current("", b"one\n"), None);
    }

    #[test]
    fn the_list_of_all_cpus_reads_as_all_where_a_cpuset_cannot_be_emptied() {
        let possible = "/sys/devices/system/cpu/possible";
        let form = Form::Ids { effective: "x", possible };
        let full = std::io::Error::from_raw_os_error(libc::ENOSPC);
        let all = form.instead("", &full).unwrap();
        assert_eq!(form.current("", all.as_bytes()), Some(String::new()));
        assert_eq!(form.current("0", all.as_bytes()), Some(all));
        assert_eq!(form.instead("7", &full), None);
        assert_eq!(form.instead("", &std::io::Error::from_raw_os_error(libc::EACCES)), None);
    }

    #[test]
    fn ids_that_do_not_exist_are_not_called_effective() {
        assert!(is_within(b"0\n", "0-1"));
        assert!(is_within(b"0-1\n", ""));
        assert!(!is_within(b"0-1\n", "5"));
        assert!(!is_within(b"0-1\n", "1"));
        assert!(!is_within(b"\n", "1"));
    }
}

//! The files of a cgroup directory.

use super::{Malformed, lines, number, words};

/// A "flat keyed" file: `memory.stat`, `memory.events`, `pids.events`,
/// `cgroup.events`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stat<'a>(Vec<(&'a [u8], u64)>);

impl<'a> Stat<'a> {
    /// Reads `key value` lines.
    ///
    /// # Errors
    ///
    /// A line that is not a key and one decimal number.
    pub fn parse(text: &'a [u8]) -> Result<Stat<'a>, Malformed> {
        entries(text).collect::<Result<_, _>>().map(Stat)
    }

    /// The value of a key; `None` where this kernel has no such line.
    pub fn get(&self, key: &str) -> Option<u64> {
        self.0.iter().find(|(k, _)| *k == key.as_bytes()).map(|(_, value)| *value)
    }
}

/// What [`Stat::get`] says of each of these keys, without keeping the others.
///
/// # Errors
///
/// As [`Stat::parse`].
pub fn values<const N: usize>(text: &[u8], keys: [&str; N]) -> Result<[Option<u64>; N], Malformed> {
    let mut values = [None; N];
    for entry in entries(text) {
        let (key, value) = entry?;
        if let Some(at) = keys.iter().position(|wanted| wanted.as_bytes() == key) {
            values[at].get_or_insert(value);
        }
    }
    Ok(values)
}

fn entries(text: &[u8]) -> impl Iterator<Item = Result<(&[u8], u64), Malformed>> {
    lines(text).filter(|(_, content)| !content.is_empty()).map(|(line, content)| {
        let mut words = words(content);
        match (words.next(), words.next().and_then(number), words.next()) {
            (Some(key), Some(value), None) => Ok((key, value)),
            _ => Err(Malformed::new(line, "expected a key and a number")),
        }
    })
}

/// A single value, where `None` is the word `max`.
///
/// # Errors
///
/// Anything but one number or `max`.
pub fn limit(text: &[u8]) -> Result<Option<u64>, Malformed> {
    let mut words = words(text.strip_suffix(b"\n").unwrap_or(text));
    match (words.next(), words.next()) {
        (Some(b"max"), None) => Ok(None),
        (Some(word), None) => {
            number(word).map(Some).ok_or(Malformed::new(1, "expected a number or max"))
        }
        _ => Err(Malformed::new(1, "expected one number or max")),
    }
}

/// The processes of `cgroup.procs`. A 0 is a process of another pid
/// namespace and is left out.
///
/// # Errors
///
/// A line that is no pid.
pub fn pids(text: &[u8]) -> Result<Vec<u32>, Malformed> {
    let mut pids = Vec::new();
    for (line, content) in lines(text) {
        if content.is_empty() {
            continue;
        }
        match number(content).and_then(|n| u32::try_from(n).ok()) {
            Some(0) => {}
            Some(pid) => pids.push(pid),
            None => return Err(Malformed::new(line, "expected a pid")),
        }
    }
    Ok(pids)
}

/// The words of `cgroup.controllers` or `cgroup.subtree_control`.
pub fn word_list(text: &[u8]) -> Vec<String> {
    words(text.strip_suffix(b"\n").unwrap_or(text))
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

/// The cgroup v2 path in `/proc/PID/cgroup`: the line `0::/path`.
pub fn membership(text: &[u8]) -> Option<&[u8]> {
    lines(text).find_map(|(_, line)| line.strip_prefix(b"0::"))
}

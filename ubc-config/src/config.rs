//! What a file means to a container.

mod parameter;

use ubc_cgroup::{Knob, Schedule};
use ubc_core::rules::{self, HostMemory};
use ubc_core::vswap::{Overcommit, Vswap};
use ubc_core::{Limits, PageSize, PerResource, Resource};
use ubc_procfs::text::meminfo::MemorySize;

use crate::document::Document;
use crate::error::{Malformed, excerpt};
use crate::key::{self, Key};

/// Something that can be turned off in words, which is not to be left unsaid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Switch<T> {
    /// `none`, or 0.
    Off,
    /// This.
    On(T),
}

impl<T> Switch<T> {
    /// What it is on.
    pub fn on(self) -> Option<T> {
        match self {
            Switch::Off => None,
            Switch::On(value) => Some(value),
        }
    }
}

impl<T> From<Option<T>> for Switch<T> {
    fn from(value: Option<T>) -> Switch<T> {
        value.map_or(Switch::Off, Switch::On)
    }
}

/// What a file says of a container. `None` is what it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The limits as they are written, without what VSwap implies.
    pub limits: PerResource<Option<Limits>>,
    /// How many processes are expected on average; for the rules only.
    pub avnumproc: Option<u64>,
    /// privvmpages as a multiple of RAM and swap.
    pub overcommit: Option<Switch<Overcommit>>,
    /// The size its /proc/meminfo shows.
    pub meminfo: Option<Switch<MemorySize>>,
    /// The scheduler knobs.
    pub schedule: Schedule,
}

/// What is odd about a line that is kept all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct Notice {
    /// Its number, from 1.
    pub line: usize,
    /// What is odd, in one line.
    pub message: String,
}

/// A file as it was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// What it says.
    pub config: Config,
    /// What is odd about it, by line.
    pub notices: Vec<Notice>,
}

impl Config {
    /// Reads a file, all of it or nothing.
    ///
    /// Of a row given twice the last value counts, of anything else the first,
    /// as with vzctl; a notice says so. Another tells of a name that is almost
    /// one of ours.
    ///
    /// # Errors
    ///
    /// The first line whose value is none, or whose barrier is above its limit.
    pub fn read(document: &Document, page: PageSize) -> Result<Read, Malformed> {
        read(document, page, parameter::Order::Kept)
    }

    /// The same, but a barrier may be above its limit: for judging and
    /// repairing, not for applying.
    ///
    /// # Errors
    ///
    /// The first line whose value is none.
    pub fn read_unordered(document: &Document, page: PageSize) -> Result<Read, Malformed> {
        read(document, page, parameter::Order::Free)
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Config::default()
    }

    /// The same with `defaults` for what it does not say: a container's file
    /// over the global one.
    #[must_use]
    pub fn or(self, defaults: Config) -> Config {
        let mut schedule = defaults.schedule;
        schedule.merge(self.schedule);
        Config {
            limits: PerResource::from_fn(|row| self.limits[row].or(defaults.limits[row])),
            avnumproc: self.avnumproc.or(defaults.avnumproc),
            overcommit: self.overcommit.or(defaults.overcommit),
            meminfo: self.meminfo.or(defaults.meminfo),
            schedule,
        }
    }

    /// RAM, swap and overcommit, if it is a configuration of those: physpages
    /// has a limit. swappages is 0 unless given.
    pub fn vswap(&self) -> Option<Vswap> {
        let limit = |row: Resource| self.limits[row].map(|limits| limits.limit);
        Vswap::recognise(&self.limits).then(|| Vswap {
            ram: limit(Resource::PhysPages).unwrap_or(0),
            swap: limit(Resource::SwapPages).unwrap_or(0),
            overcommit: self.overcommit.and_then(Switch::on),
        })
    }

    /// The limits to apply: those that are written, and for the other rows
    /// what RAM and swap imply ([`Vswap::limits`]).
    pub fn effective(&self) -> PerResource<Option<Limits>> {
        let implied = self.vswap().map(Vswap::limits);
        PerResource::from_fn(|row| self.limits[row].or_else(|| implied.and_then(|all| all[row])))
    }

    /// The same for the rules to judge.
    pub fn to_check(&self, page: PageSize, host: Option<HostMemory>) -> rules::Config {
        rules::Config { limits: self.limits, avnumproc: self.avnumproc, page, host }
    }

    /// The parameters it says something about, in the order of [`Key::all`].
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        Key::all().filter(|key| match key {
            Key::Row(row) => self.limits[*row].is_some(),
            Key::AvNumProc => self.avnumproc.is_some(),
            Key::VmOvercommit => self.overcommit.is_some(),
            Key::MemInfo => self.meminfo.is_some(),
            Key::Knob(knob) => self.schedule.knobs().any(|has| has == *knob),
        })
    }

    /// A parameter's value as a file has it; `None` where it says nothing.
    pub fn text(&self, key: Key) -> Option<String> {
        parameter::text(self, key)
    }

    /// The same without the limits of rows.
    #[must_use]
    pub fn without_limits(mut self) -> Config {
        self.limits = PerResource::default();
        self
    }

    /// The scheduler knobs it has a value for.
    pub fn knobs(&self) -> impl Iterator<Item = Knob> {
        self.schedule.knobs()
    }
}

impl Document {
    /// Writes what a change says. What means the same already stays as it is
    /// written, and what the change does not say stays.
    pub fn update(&mut self, change: &Config, page: PageSize) {
        for key in change.keys() {
            let name = self.name_of(key);
            let old = self.get(&name).and_then(|value| {
                let mut old = Config::default();
                parameter::read(&mut old, key, value, page, parameter::Order::Free).ok()?;
                old.text(key)
            });
            let new = change.text(key);
            if let Some(text) = new.filter(|new| old.as_ref() != Some(new)) {
                self.set(&name, text.as_bytes());
            }
        }
    }

    /// Takes a parameter away, under all its names.
    pub fn forget(&mut self, key: Key) {
        while let Some(name) = self.names_of(key).last() {
            self.remove(&name);
        }
    }

    /// The name of the line that counts, which may be an older one.
    fn name_of(&self, key: Key) -> String {
        match key {
            Key::Row(_) => self.names_of(key).last(),
            _ => self.names_of(key).next(),
        }
        .unwrap_or_else(|| key.to_string())
    }

    fn names_of(&self, key: Key) -> impl Iterator<Item = String> {
        let all = self.assignments();
        let names = all.filter(move |one| Key::from_name(one.name) == Some(key));
        names.map(|one| one.name.to_owned())
    }

    /// The line that counts for a parameter.
    pub fn line_of(&self, key: Key) -> Option<usize> {
        self.line(&self.name_of(key))
    }
}

fn read(document: &Document, page: PageSize, order: parameter::Order) -> Result<Read, Malformed> {
    let mut config = Config::default();
    let mut notices = Vec::new();
    let mut seen: Vec<(Key, usize)> = Vec::new();
    for assignment in document.assignments() {
        let (line, name) = (assignment.line, assignment.name);
        let malformed = |reason: String| Malformed { line, key: name.to_owned(), reason };
        let Some(key) = Key::from_name(name) else {
            if let Some(meant) = Key::in_any_case(name) {
                return Err(malformed(format!("names are in capitals; accepted: {meant}")));
            }
            let meant = key::meant(name).join(" or ").to_ascii_uppercase();
            if !meant.is_empty() {
                let message = format!("{name} is unknown and ignored; did you mean {meant}?");
                notices.push(Notice { line, message });
            }
            continue;
        };
        let mut one = Config::default();
        let read = parameter::read(&mut one, key, assignment.value, page, order);
        if let Some(odd) = read.map_err(malformed)? {
            notices.push(Notice { line, message: format!("{name}: {odd}") });
        }
        let before = seen.iter().find(|(other, _)| *other == key).map(|(_, line)| *line);
        seen.push((key, line));
        config = match (before, key) {
            (None, _) => one.or(config),
            (Some(first), Key::Row(_)) => {
                let message = format!("{name} was in line {first} already; this one counts");
                notices.push(Notice { line, message });
                one.or(config)
            }
            (Some(first), _) => {
                let message = format!("{name} was in line {first} already; that one counts");
                notices.push(Notice { line, message });
                config
            }
        };
    }
    for (line, text) in document.others() {
        let message = format!("{} is no assignment and ignored", excerpt(text));
        notices.push(Notice { line, message });
    }
    notices.sort_by_key(|notice| notice.line);
    Ok(Read { config, notices })
}

#[cfg(test)]
mod tests;

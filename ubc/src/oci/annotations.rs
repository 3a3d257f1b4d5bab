//! The annotations `org.openvz.ubc.*`.
//!
//! `ctid` is the container's id, `profile` the sample it starts from, as
//! `ubc run --config`, `meminfo` the size of a meminfo of its own; every other
//! is an option of `ubc set` by its name and with its syntax: `numfile`, `ram`,
//! `cpulimit`.

use std::collections::BTreeMap;

use ubc_cgroup::{Knob, Schedule};
use ubc_config::{Config, Switch, Tree};
use ubc_core::{ContainerId, Limits, Resource, UNLIMITED};
use ubc_procfs::text::meminfo::MemorySize;

use super::ceiling::Ceiling;
use crate::error::{Failure, Result};
use crate::limits::{Change, Given};
use crate::protocol::Wanted;

/// How all of them begin.
pub(crate) const PREFIX: &str = "org.openvz.ubc.";

/// What `ubc runtime` tells the hook by: the profile of a container that has
/// neither one of its own nor a file.
pub(crate) const DEFAULT_PROFILE: &str = "default-profile";

/// Those that are no option of `ubc set`.
const OURS: [&str; 4] = ["ctid", "profile", "meminfo", DEFAULT_PROFILE];

/// The sizes of VSwap.
const SIZES: [&str; 3] = ["ram", "swap", "vm_overcommit"];

/// A container's annotations: every value in them is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Annotations {
    /// Without the prefix.
    values: BTreeMap<String, String>,
    ctid: Option<ContainerId>,
    /// Whether, and which.
    meminfo: Option<Switch<MemorySize>>,
}

/// What a container is to have.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) limits: Wanted,
    pub(crate) schedule: Schedule,
    /// Whether anything is said of a meminfo, and what.
    pub(crate) meminfo: Option<Switch<MemorySize>>,
}

impl Annotations {
    /// Takes in those of ours among all.
    ///
    /// # Errors
    ///
    /// The first whose name or value is none, in a line that names both and
    /// what would be accepted.
    pub(crate) fn read<'a>(all: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Annotations> {
        let mut read = Annotations::default();
        for (name, value) in all {
            let Some(name) = name.strip_prefix(PREFIX) else { continue };
            if !names().any(|known| known == name) {
                let accepted: Vec<&str> = names().filter(|name| *name != DEFAULT_PROFILE).collect();
                let accepted = accepted.join(", ");
                let message = format!(
                    "annotation {PREFIX}{name}={value:?}: no such name; accepted: {PREFIX} and one \
                     of {accepted}"
                );
                return Err(Failure::usage(message));
            }
            read.values.insert(name.to_owned(), value.to_owned());
        }
        if let Some(text) = read.values.get("ctid") {
            read.ctid = match text.parse::<ContainerId>() {
                Ok(id) if !id.is_host() => Some(id),
                _ => {
                    let message =
                        format!("annotation {PREFIX}ctid={text}; accepted: 1 to 99999999");
                    return Err(Failure::usage(message));
                }
            };
        }
        if let Some(text) = read.values.get("meminfo") {
            let size = MemorySize::parse(text)
                .map_err(|error| Failure::usage(format!("annotation {PREFIX}meminfo: {error}")))?;
            read.meminfo = Some(size.into());
        }
        // Whether there is RAM to add swap to is known with the container's file.
        let mut known = Config::default();
        known.limits[Resource::PhysPages] = Some(Limits { barrier: 0, limit: 0 });
        Change::from(&read, || Ok(known))?;
        Ok(read)
    }

    /// The id they give the container.
    pub(crate) fn ctid(&self) -> Option<ContainerId> {
        self.ctid
    }

    /// What they say of a meminfo, if anything.
    pub(crate) fn meminfo(&self) -> Option<Switch<MemorySize>> {
        self.meminfo
    }

    /// What the container of this id is to have: the annotations, over their
    /// profile, or else the container's file and the global one, or else the
    /// default profile. What annotations say does not lift a limit that the
    /// runtime gives the container anyway: whoever may annotate it may not
    /// always change those.
    pub(crate) fn resolve(
        &self,
        tree: &Tree,
        id: Option<ContainerId>,
        ceiling: &Ceiling,
    ) -> Result<Resolved> {
        let profile = self.values.get("profile");
        let base = match (profile, self.values.get(DEFAULT_PROFILE), id) {
            (Some(name), ..) => self.sample(tree, "profile", name)?,
            (None, Some(name), id) if !has_file(tree, id)? => {
                self.sample(tree, DEFAULT_PROFILE, name)?
            }
            (None, _, Some(id)) => crate::config::of(tree, id)?,
            (None, _, None) => crate::config::defaults(tree)?,
        };
        let change = Change::from(self, || Ok(base.clone()))?;
        let mut limits = change.over(base.clone());
        ceiling.lower(&mut limits, |row| profile.is_some() || change.config.limits[row].is_some());
        let config = crate::config::over(change.config, base, change.sized);
        let meminfo = self.meminfo.or(config.meminfo);
        Ok(Resolved { limits, schedule: config.schedule, meminfo })
    }

    fn sample(&self, tree: &Tree, key: &str, name: &str) -> Result<Config> {
        let sample = crate::config::sample(tree, name).map_err(|failure| {
            let message = format!("{}: {}", self.label(key), failure.message);
            Failure { kind: failure.kind, message }
        });
        Ok(sample?.1)
    }
}

impl Given for Annotations {
    fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    fn label(&self, name: &str) -> String {
        format!("annotation {PREFIX}{name}")
    }
}

impl Resolved {
    /// Whether there is nothing to set.
    pub(crate) fn is_empty(&self) -> bool {
        self.limits.iter().all(|(_, row)| row.is_none()) && self.schedule.is_empty()
    }

    /// The limit of a row, if it is one.
    pub(crate) fn limit(&self, row: Resource) -> Option<u64> {
        self.limits[row].map(|limits| limits.limit).filter(|limit| *limit != UNLIMITED)
    }
}

/// The names there are, without the prefix.
fn names() -> impl Iterator<Item = &'static str> {
    let rows = Resource::ALL.into_iter().map(Resource::name);
    OURS.into_iter().chain(rows).chain(SIZES).chain(Knob::ALL.into_iter().map(Knob::name))
}

fn has_file(tree: &Tree, id: Option<ContainerId>) -> Result<bool> {
    Ok(match id {
        Some(id) => tree.document(id)?.is_some(),
        None => false,
    })
}

#[cfg(test)]
mod tests;

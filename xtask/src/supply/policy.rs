//! deny.toml, as far as it needs no cargo-deny.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use crate::run::Result;

/// What crates.io takes: a slash for OR is what it once asked for.
const MODE: ParseMode = ParseMode { allow_slash_as_or_operator: true, ..ParseMode::STRICT };

#[derive(Deserialize)]
struct File {
    graph: Graph,
    licenses: Licences,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
    #[serde(default)]
    clarify: Vec<Clarified>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Clarified {
    #[serde(rename = "crate")]
    name: String,
    expression: String,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// What may be a dependency.
pub(super) struct Policy {
    /// The machines it is for.
    pub(super) targets: Vec<String>,
    /// Where crates may come from, as Cargo.lock names it.
    pub(super) sources: Vec<String>,
    /// What may not be used, and why.
    pub(super) banned: BTreeMap<String, String>,
    allowed: Vec<Licensee>,
    exceptions: BTreeMap<String, Vec<Licensee>>,
    /// What crates are licensed under that do not say it.
    clarified: BTreeMap<String, String>,
}

impl Policy {
    pub(super) fn parse(text: &str) -> Result<Policy> {
        let file: File = toml::from_str(text).map_err(|error| format!("deny.toml: {error}"))?;
        let mut exceptions = BTreeMap::new();
        for exception in file.licenses.exceptions {
            exceptions.insert(exception.name, licences(&exception.allow)?);
        }
        let clarified = file.licenses.clarify.into_iter().map(|it| (it.name, it.expression));
        let registries = file.sources.allow_registry.iter();
        Ok(Policy {
            targets: file.graph.targets,
            sources: registries.map(|url| format!("registry+{url}")).collect(),
            banned: file.bans.deny.into_iter().map(|it| (it.name, it.reason)).collect(),
            allowed: licences(&file.licenses.allow)?,
            exceptions,
            clarified: clarified.collect(),
        })
    }

    /// Whether that crate may be used under what it says of itself; why not.
    pub(super) fn judge(&self, name: &str, says: Option<&str>) -> Result<()> {
        let says = says.or_else(|| self.clarified.get(name).map(String::as_str));
        let Some(says) = says else {
            return Err(format!(
                "{name}: no licence expression, and deny.toml does not clarify it"
            ));
        };
        let expression = Expression::parse_mode(says, MODE)
            .map_err(|error| format!("{name}: {says}: {}", error.reason))?;
        let exceptions = self.exceptions.get(name).into_iter().flatten();
        let allowed: Vec<&Licensee> = self.allowed.iter().chain(exceptions).collect();
        if expression.evaluate(|asked| allowed.iter().any(|it| it.satisfies(asked))) {
            return Ok(());
        }
        Err(format!("{name}: {says}: not what deny.toml allows"))
    }

    /// What is said of crates that are not there any more.
    pub(super) fn idle(&self, names: &BTreeSet<&str>) -> Vec<String> {
        let said = self.exceptions.keys().chain(self.clarified.keys());
        let idle = said.filter(|name| !names.contains(name.as_str()));
        idle.map(|name| format!("{name}: deny.toml speaks of it, and nothing uses it")).collect()
    }
}

fn licences(names: &[String]) -> Result<Vec<Licensee>> {
    let parsed = names.iter().map(|name| {
        Licensee::parse(name).map_err(|error| format!("deny.toml: {name}: {}", error.reason))
    });
    parsed.collect()
}

#[cfg(test)]
mod tests;

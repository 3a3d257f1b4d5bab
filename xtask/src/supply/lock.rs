//! Cargo.lock.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::policy::Policy;
use crate::run::Result;

/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

#[derive(Deserialize)]
pub(super) struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

impl Lock {
    pub(super) fn parse(text: &str) -> Result<Lock> {
        toml::from_str(text).map_err(|error| format!("Cargo.lock: {error}"))
    }

    /// How many are not ours.
    pub(super) fn others(&self) -> usize {
        self.package.iter().filter(|it| it.source.is_some()).count()
    }

    /// What comes from elsewhere, is not what its checksum says, or is banned, on
    /// whatever machine it is for.
    pub(super) fn wrong(&self, policy: &Policy, ours: &BTreeSet<&str>) -> Vec<String> {
        self.package.iter().filter_map(|it| it.wrong(policy, ours)).collect()
    }
}

impl Locked {
    fn wrong(&self, policy: &Policy, ours: &BTreeSet<&str>) -> Option<String> {
        let name = format!("{} {}", self.name, self.version);
        if let Some(reason) = policy.banned.get(&self.name) {
            return Some(format!("{name}: banned: {reason}"));
        }
        let Some(source) = &self.source else {
            let known = ours.contains(self.name.as_str());
            return (!known).then(|| format!("{name}: from a path that is not in the workspace"));
        };
        if !policy.sources.contains(source) {
            return Some(format!("{name}: from {source}"));
        }
        let sum = self.checksum.as_deref().unwrap_or_default();
        let whole = sum.len() == DIGITS && sum.bytes().all(|digit| digit.is_ascii_hexdigit());
        (!whole).then(|| format!("{name}: no checksum"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTRY: &str = "registry+https://one.example/index";

    fn wrong(package: &str) -> Vec<String> {
        let policy = Policy::parse(
            "graph.targets = []\nlicenses.allow = []\n\
             bans.deny = [{ crate = \"bad\", reason = \"because\" }]\n\
             sources.allow-registry = [\"https://one.example/index\"]",
        );
        let lock = Lock::parse(&format!("[[package]]\nversion = \"1\"\n{package}")).unwrap();
        lock.wrong(&policy.unwrap(), &BTreeSet::from(["ours"]))
    }

    #[test]
    fn a_crate_from_elsewhere_is_told() {
        let sum = "0".repeat(DIGITS);
        let from = |source: &str| wrong(&format!("name = \"a\"\nchecksum = \"{sum}\"\n{source}"));
        assert_eq!(from(&format!("source = \"{REGISTRY}\"")), Vec::<String>::new());
        assert_eq!(from("source = \"git+https://one.example/a\"").len(), 1);
        assert_eq!(from("source = \"registry+https://two.example/index\"").len(), 1);
        assert_eq!(from(""), ["a 1: from a path that is not in the workspace"]);
        assert_eq!(wrong("name = \"ours\""), Vec::<String>::new());
    }

    #[test]
    fn a_crate_that_could_change_unseen_is_told() {
        for sum in ["", "checksum = \"\"", "checksum = \"00\""] {
            let wrong = wrong(&format!("name = \"a\"\nsource = \"{REGISTRY}\"\n{sum}"));
            assert_eq!(wrong, ["a 1: no checksum"], "{sum}");
        }
    }

    #[test]
    fn a_banned_crate_is_told_with_its_reason() {
        assert_eq!(wrong("name = \"bad\""), ["bad 1: banned: because"]);
    }
}

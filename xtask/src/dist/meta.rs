//! What is the same for all packages: version, architecture, maintainer, time.

use std::process::Command;

use super::{line, read};
use crate::run::{Result, root};

/// Of one making of packages.
#[derive(Debug)]
pub(crate) struct Meta {
    /// The version of the source.
    pub(super) upstream: String,
    /// The version of the packages.
    pub(super) version: String,
    pub(super) architecture: String,
    pub(super) maintainer: String,
    /// Seconds since 1970: no file is younger, so that the same source makes the
    /// same packages.
    pub(super) epoch: String,
}

impl Meta {
    /// Of this source; `suffix` makes the packages' version a higher one.
    pub(crate) fn find(suffix: &str) -> Result<Meta> {
        let upstream = upstream(&read("Cargo.toml")?)?;
        let version = format!("{}-1{suffix}", debian(&upstream));
        let mut check = Command::new("dpkg");
        line(check.args(["--validate-version", &version]))?;
        Ok(Meta {
            upstream,
            version,
            architecture: line(Command::new("dpkg").arg("--print-architecture"))?,
            maintainer: maintainer()?,
            epoch: epoch()?,
        })
    }

    /// The newest entry of Debian's changelog, and the only one.
    pub(super) fn changelog(&self, package: &str) -> Result<String> {
        let date =
            line(Command::new("date").args(["-u", "-R", "-d", &format!("@{}", self.epoch)]))?;
        let Meta { version, upstream, maintainer, .. } = self;
        Ok(format!(
            "{package} ({version}) unstable; urgency=medium\n\n  \
             * Version {upstream}; what changed in it is in changelog.gz of the package ubc.\n\n \
             -- {maintainer}  {date}\n"
        ))
    }
}

/// The workspace's version.
fn upstream(manifest: &str) -> Result<String> {
    let mut lines = manifest.lines().skip_while(|line| *line != "[workspace.package]");
    let line = lines.find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    line.map(str::to_owned).ok_or_else(|| "Cargo.toml: no version of the workspace".to_owned())
}

/// As Debian orders versions: what comes before a release is lower than it.
fn debian(upstream: &str) -> String {
    upstream.replacen('-', "~", 1)
}

/// By Debian's own variables, or else whoever made the last commit.
fn maintainer() -> Result<String> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let (Some(name), Some(mail)) = (variable("DEBFULLNAME"), variable("DEBEMAIL")) {
        return Ok(format!("{name} <{mail}>"));
    }
    last_commit("%an <%ae>")
        .map_err(|error| format!("who makes the packages? set DEBFULLNAME and DEBEMAIL ({error})"))
}

/// <https://reproducible-builds.org/specs/source-date-epoch/>
fn epoch() -> Result<String> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) if text.parse::<u64>().is_ok() => Ok(text),
        Ok(text) => Err(format!("SOURCE_DATE_EPOCH={text}: accepted: seconds since 1970")),
        Err(_) => last_commit("%ct")
            .map_err(|error| format!("how old is the source? set SOURCE_DATE_EPOCH ({error})")),
    }
}

fn last_commit(what: &str) -> Result<String> {
    let mut command = Command::new("git");
    // The tree may be another user's when this is run by sudo.
    let safe = format!("safe.directory={}", root().display());
    command.args(["-c", &safe, "log", "-1", &format!("--format={what}")]).current_dir(root());
    line(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_higher_than_what_came_before_it() {
        assert_eq!(debian("0.2.0"), "0.2.0");
        assert_eq!(debian("0.2.0-rc.1"), "0.2.0~rc.1");
    }

    #[test]
    fn the_version_is_the_workspaces() {
        let text = "[package]\nversion = \"9\"\n[workspace.package]\nversion = \"0.3.1\"\n";
        assert_eq!(upstream(text).as_deref(), Ok("0.3.1"));
        assert!(upstream("[package]\nversion = \"9\"\n").is_err());
    }
}

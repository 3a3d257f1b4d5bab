//! Where this machine gets its own packages from; the guests come from there too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::Result;

/// Instead of the mirror in this machine's apt configuration.
const MIRROR: &str = "UBC_VM_MIRROR";

/// A Debian archive.
#[derive(Debug, PartialEq)]
pub(super) struct Source {
    /// Where it is.
    pub(super) uri: String,
    /// The keyring apt is told to check it with.
    pub(super) signed_by: Option<String>,
}

/// The mirror this machine uses.
pub(super) fn source() -> Result<Source> {
    if let Ok(uri) = std::env::var(MIRROR) {
        return Ok(Source { uri, signed_by: None });
    }
    let suite = os_release("VERSION_CODENAME").unwrap_or_default();
    let found = files().iter().find_map(|path| {
        let text = fs::read_to_string(path).ok()?;
        let stanzas = path.extension().is_some_and(|ext| ext == "sources");
        if stanzas { in_stanzas(&text, &suite) } else { in_lines(&text, &suite) }
    });
    found.ok_or_else(|| {
        format!("no Debian mirror in this machine's apt configuration; set {MIRROR}")
    })
}

/// One value of os-release.
pub(super) fn os_release(key: &str) -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(line.trim_matches('"').to_owned())
}

/// This machine's proxy settings, in apt's own syntax.
pub(super) fn proxies() -> Vec<String> {
    let dump = Command::new("apt-config").args(["dump", "Acquire"]).output();
    let text =
        dump.map(|out| String::from_utf8_lossy(&out.stdout).into_owned()).unwrap_or_default();
    text.lines()
        .filter(|line| line.to_lowercase().contains("::proxy"))
        .map(|line| line.trim_end_matches(';').to_owned())
        .collect()
}

/// All files that hold sources.
pub(super) fn files() -> Vec<PathBuf> {
    let dir = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        dir.map(|entry| entry.path()).filter(|path| is_source(path)).collect();
    files.sort();
    files.insert(0, PathBuf::from("/etc/apt/sources.list"));
    files
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|ext| ext == "sources" || ext == "list")
}

/// `Types:`, `URIs:`, `Suites:` ... with blank lines between the sources.
fn in_stanzas(text: &str, suite: &str) -> Option<Source> {
    let without_comments: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    without_comments.split(|line| line.trim().is_empty()).find_map(|stanza| {
        let field = |name: &str| {
            let mut pairs = stanza.iter().filter_map(|line| line.split_once(':'));
            pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        };
        let serves =
            |name, what| field(name).is_some_and(|v| v.split_whitespace().any(|w| w == what));
        if !serves("Types", "deb") || !serves("Suites", suite) || field("Enabled") == Some("no") {
            return None;
        }
        let uri = field("URIs")?.split_whitespace().next()?.to_owned();
        // A key may also stand in the file itself; then there is no path.
        let signed_by = field("Signed-By").filter(|value| value.starts_with('/'));
        Some(Source { uri, signed_by: signed_by.map(str::to_owned) })
    })
}

/// `deb [options] URI suite components`.
fn in_lines(text: &str, suite: &str) -> Option<Source> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("deb ")?.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => ("", rest),
        };
        let mut words = rest.split_whitespace();
        let uri = words.next().filter(|uri| !uri.starts_with("cdrom:"))?;
        if words.next()? != suite {
            return None;
        }
        let signed_by = options.split_whitespace().find_map(|o| o.strip_prefix("signed-by="));
        Some(Source { uri: uri.to_owned(), signed_by: signed_by.map(str::to_owned) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(uri: &str, signed_by: Option<&str>) -> Source {
        Source { uri: uri.to_owned(), signed_by: signed_by.map(str::to_owned) }
    }

    #[test]
    fn the_release_is_chosen_not_its_security_updates_nor_a_stranger() {
        let text = "Types: deb\nURIs: http://a.invalid/x\nSuites: nodistro\n\n\
            Types: deb\nURIs: http://b.invalid/security\nSuites: bookworm-security\n\n\
            Types: deb\n# Suites: none\nURIs: http://b.invalid/debian\n\
            Suites: bookworm bookworm-updates\nSigned-By: /k.gpg\n";
        assert_eq!(
            in_stanzas(text, "bookworm"),
            Some(at("http://b.invalid/debian", Some("/k.gpg")))
        );
        assert_eq!(in_stanzas(text, "trixie"), None);
    }

    #[test]
    fn a_disabled_source_is_not_used() {
        let text = "Enabled: no\nTypes: deb\nURIs: http://a.invalid\nSuites: trixie\n";
        assert_eq!(in_stanzas(text, "trixie"), None);
    }

    #[test]
    fn the_one_line_form_is_read_too() {
        let text = "# deb http://no.invalid trixie main\ndeb cdrom:[x]/ trixie main\n\
            deb [arch=amd64 signed-by=/k.gpg] http://a.invalid/debian trixie main contrib\n";
        assert_eq!(in_lines(text, "trixie"), Some(at("http://a.invalid/debian", Some("/k.gpg"))));
        assert_eq!(
            in_lines("deb http://a.invalid/ trixie main", "trixie"),
            Some(at("http://a.invalid/", None))
        );
    }
}

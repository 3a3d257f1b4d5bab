//! `/etc/ubc/runtime.conf`: engines give a runtime a path and nothing else.

use std::path::{Path, PathBuf};

use ubc_config::{Document, read_file};

use crate::error::{Failure, Kind, Result};

/// Where it is.
pub(super) const USUAL: &str = "/etc/ubc/runtime.conf";

/// Names another file.
pub(super) const VARIABLE: &str = "UBC_RUNTIME_CONF";

/// The settings, all optional.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    /// `RUNTIME`: the real runtime, a path or a name in PATH.
    pub(super) runtime: Option<PathBuf>,
    /// `PROFILE`: the sample of containers that have no profile and no file.
    pub(super) profile: Option<String>,
    /// `ON_ERROR=warn`: a container that cannot get what it is to have starts
    /// without.
    pub(super) warn: bool,
    /// `RUN_DIR`: as `--run-dir`.
    pub(super) run_dir: Option<PathBuf>,
    /// `CONFIG_DIR`: as `--config-dir`.
    pub(super) config_dir: Option<PathBuf>,
}

impl Settings {
    /// The file's, or none where there is no file.
    pub(super) fn load() -> Result<Settings> {
        let path = std::env::var_os(VARIABLE).map_or_else(|| USUAL.into(), PathBuf::from);
        match read_file(&path)? {
            Some(document) => Settings::read(&document, &path),
            None => Ok(Settings::default()),
        }
    }

    fn read(document: &Document, path: &Path) -> Result<Settings> {
        let wrong = |line: Option<usize>, what: String| {
            let line = line.unwrap_or_default();
            Failure::new(Kind::Config, format!("{}, line {line}: {what}", path.display()))
        };
        if let Some((line, text)) = document.others().next() {
            let text = text.escape_ascii();
            return Err(wrong(Some(line), format!("{text}: no setting; accepted: NAME=value")));
        }
        let mut settings = Settings::default();
        for (name, value) in document.parameters() {
            let wrong = |what: String| wrong(document.line(name), format!("{name}: {what}"));
            let value =
                std::str::from_utf8(value).map_err(|_| wrong("not plain text".to_owned()))?;
            let full = || {
                let path = PathBuf::from(value);
                let message = || wrong(format!("{value:?}; accepted: a full path"));
                path.is_absolute().then_some(path).ok_or_else(message)
            };
            if value.is_empty() {
                return Err(wrong("nothing; accepted: a value, or no such line".to_owned()));
            }
            match name {
                "RUNTIME" => settings.runtime = Some(value.into()),
                "PROFILE" => settings.profile = Some(value.to_owned()),
                "ON_ERROR" => settings.warn = on_error(value).map_err(wrong)?,
                "RUN_DIR" => settings.run_dir = Some(full()?),
                "CONFIG_DIR" => settings.config_dir = Some(full()?),
                _ => {
                    let known = "RUNTIME, PROFILE, ON_ERROR, RUN_DIR, CONFIG_DIR";
                    return Err(wrong(format!("no such setting; accepted: {known}")));
                }
            }
        }
        Ok(settings)
    }
}

/// Whether it is to warn and go on; or what is wrong.
pub(super) fn on_error(value: &str) -> std::result::Result<bool, String> {
    match value {
        "fail" => Ok(false),
        "warn" => Ok(true),
        _ => Err(format!("{value:?}; accepted: fail, warn")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings> {
        let document = Document::parse(text.as_bytes()).unwrap();
        Settings::read(&document, Path::new("/c"))
    }

    #[test]
    fn each_setting_is_taken_and_none_is_needed() {
        let text = "# ours\nRUNTIME=\"/usr/sbin/runc\"\nPROFILE=light\nON_ERROR=warn\n\
                    RUN_DIR=/r\nCONFIG_DIR=/c\n";
        let all = Settings {
            runtime: Some("/usr/sbin/runc".into()),
            profile: Some("light".to_owned()),
            warn: true,
            run_dir: Some("/r".into()),
            config_dir: Some("/c".into()),
        };
        assert_eq!(read(text), Ok(all));
        assert_eq!(read(""), Ok(Settings::default()));
    }

    #[test]
    fn a_wrong_line_is_named_with_what_would_do() {
        for (text, says) in [
            ("\nRUNTIEM=runc\n", "/c, line 2: RUNTIEM: no such setting; accepted: RUNTIME, "),
            ("ON_ERROR=maybe\n", "/c, line 1: ON_ERROR: \"maybe\"; accepted: fail, warn"),
            ("RUN_DIR=run\n", "/c, line 1: RUN_DIR: \"run\"; accepted: a full path"),
            ("PROFILE=\n", "/c, line 1: PROFILE: nothing; accepted: "),
            ("runc\n", "/c, line 1: runc: no setting; accepted: NAME=value"),
        ] {
            let failure = read(text).unwrap_err();
            assert!(failure.message.starts_with(says), "{failure}");
            assert_eq!(failure.kind, Kind::Config);
        }
    }
}

//! The command line of OCI runtimes, as far as it concerns us: runc's, which the
//! others keep to, with the short options of crun and youki.

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Options before the verb that take a value in a word of its own.
const GLOBAL: [&str; 10] = [
    "cgroup-manager",
    "criu",
    "l",
    "log",
    "log-format",
    "log-level",
    "on-error",
    "r",
    "root",
    "rootless",
];

/// The same of the verbs that make a container.
const OF_VERBS: [&str; 7] =
    ["b", "bundle", "config", "console-socket", "f", "pid-file", "preserve-fds"];

/// What a runtime is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// `create`, `run`: makes a container of a bundle.
    Make,
    /// Anything else. `restore` too: CRIU knows no view, so that it is put back
    /// when the container is there.
    Other,
}

/// A command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CommandLine {
    pub(super) verb: Verb,
    /// `--on-error` before the verb, the only option that is ours: which words,
    /// and what it says.
    pub(super) on_error: Option<(Range<usize>, String)>,
    /// Where errors go besides standard error.
    pub(super) log: Option<PathBuf>,
    pub(super) log_is_json: bool,
    /// The bundle's directory.
    pub(super) bundle: PathBuf,
    /// Another file than the bundle's config.json.
    config: Option<PathBuf>,
    /// The container's name.
    pub(super) name: Option<String>,
}

impl CommandLine {
    /// Reads the words behind the runtime's name.
    pub(super) fn read(words: &[OsString]) -> CommandLine {
        let mut line = CommandLine {
            verb: Verb::Other,
            on_error: None,
            log: None,
            log_is_json: false,
            bundle: PathBuf::from("."),
            config: None,
            name: None,
        };
        let mut rest = Words { words, at: 0 };
        let verb = loop {
            let at = rest.at;
            match rest.next(&GLOBAL) {
                Some(Word::Option("on-error", value)) => {
                    let value = value.unwrap_or_default().to_string_lossy().into_owned();
                    line.on_error = Some((at..rest.at.min(words.len()), value));
                }
                Some(Word::Option("l" | "log", Some(path))) => line.log = Some(path.into()),
                Some(Word::Option("log-format", Some(format))) => {
                    line.log_is_json = format == "json";
                }
                Some(Word::Option(..)) => {}
                Some(Word::Plain(verb)) => break verb,
                None => return line,
            }
        };
        line.verb = match verb.to_str() {
            Some("create" | "run") => Verb::Make,
            _ => return line,
        };
        while let Some(word) = rest.next(&OF_VERBS) {
            match word {
                Word::Option("b" | "bundle", Some(path)) => line.bundle = path.into(),
                Word::Option("f" | "config", Some(path)) => line.config = Some(path.into()),
                // It is asked how the verb is used.
                Word::Option("h" | "help", _) => line.verb = Verb::Other,
                Word::Option(..) => {}
                Word::Plain(name) => line.name = name.to_str().map(str::to_owned),
            }
        }
        line
    }

    /// The container's config.json.
    pub(super) fn config(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| self.bundle.join("config.json"))
    }

    /// The log's file; crun's other logs are none.
    pub(super) fn log_file(&self) -> Option<&Path> {
        let log = self.log.as_deref()?;
        match log.as_os_str().to_str().and_then(|text| text.split_once(':')) {
            Some(("file", path)) => Some(Path::new(path)),
            Some(("journald" | "syslog", _)) => None,
            _ => Some(log),
        }
    }
}

enum Word<'a> {
    Option(&'a str, Option<&'a OsStr>),
    Plain(&'a OsStr),
}

struct Words<'a> {
    words: &'a [OsString],
    at: usize,
}

impl<'a> Words<'a> {
    fn next(&mut self, valued: &[&str]) -> Option<Word<'a>> {
        let word: &'a OsStr = self.words.get(self.at)?;
        self.at += 1;
        let Some(option) = option(word) else { return Some(Word::Plain(word)) };
        let split = option.iter().position(|byte| *byte == b'=');
        let name = std::str::from_utf8(&option[..split.unwrap_or(option.len())]).unwrap_or("");
        if let Some(split) = split {
            return Some(Word::Option(name, Some(OsStr::from_bytes(&option[split + 1..]))));
        }
        if valued.contains(&name) {
            let value = self.words.get(self.at).map(OsString::as_os_str);
            self.at += 1;
            return Some(Word::Option(name, value));
        }
        // `-bDIR`, where the option is no longer one: Go's `-bundle`.
        let short = word.as_bytes().get(1) != Some(&b'-');
        match name.split_at_checked(1) {
            Some((first @ ("b" | "l" | "r"), value))
                if short && !value.is_empty() && valued.contains(&first) =>
            {
                Some(Word::Option(first, Some(OsStr::new(value))))
            }
            _ => Some(Word::Option(name, None)),
        }
    }
}

/// What follows the dashes of an option.
fn option(word: &OsStr) -> Option<&[u8]> {
    let bytes = word.as_bytes();
    let name = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-"))?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests;

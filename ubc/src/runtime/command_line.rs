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

/// The same of checkpoint and restore.
const OF_CRIU: [&str; 16] = [
    "b",
    "bundle",
    "console-socket",
    "empty-ns",
    "image-path",
    "lsm-mount-context",
    "lsm-profile",
    "manage-cgroups-mode",
    "network-lock",
    "page-server",
    "parent-path",
    "pid-file",
    "preserve-fds",
    "status-fd",
    "w",
    "work-path",
];

/// Where runc and crun put a container's images unless told otherwise.
const IMAGES: &str = "checkpoint";

/// What a runtime is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// `create`, `run`: makes a container of a bundle.
    Make,
    /// `checkpoint`: has CRIU write a container down.
    Checkpoint,
    /// `restore`: makes a container of what CRIU wrote.
    Restore,
    /// Anything else.
    Other,
}

/// A command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CommandLine {
    pub(super) verb: Verb,
    /// How many words are before it.
    pub(super) before: usize,
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
    /// The directory of CRIU's images.
    pub(super) images: PathBuf,
    /// `checkpoint --pre-dump`: the container runs on, and what is written is a part.
    pub(super) is_part: bool,
    /// `restore --detach`: the runtime ends when the container runs.
    pub(super) detaches: bool,
}

impl CommandLine {
    /// Reads the words behind the runtime's name.
    pub(super) fn read(words: &[OsString]) -> CommandLine {
        let mut line = CommandLine {
            verb: Verb::Other,
            before: words.len(),
            on_error: None,
            log: None,
            log_is_json: false,
            bundle: PathBuf::from("."),
            config: None,
            name: None,
            images: PathBuf::from(IMAGES),
            is_part: false,
            detaches: false,
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
        line.before = rest.at - 1;
        let valued = match verb.to_str() {
            Some("create" | "run") => {
                line.verb = Verb::Make;
                &OF_VERBS[..]
            }
            Some("checkpoint") => {
                line.verb = Verb::Checkpoint;
                &OF_CRIU[..]
            }
            Some("restore") => {
                line.verb = Verb::Restore;
                &OF_CRIU[..]
            }
            _ => return line,
        };
        while let Some(word) = rest.next(valued) {
            match word {
                Word::Option("b" | "bundle", Some(path)) => line.bundle = path.into(),
                Word::Option("f" | "config", Some(path)) => line.config = Some(path.into()),
                Word::Option("image-path", Some(path)) if !path.is_empty() => {
                    line.images = path.into();
                }
                Word::Option("pre-dump", value) => line.is_part = is_on(value),
                Word::Option("d" | "detach", value) => line.detaches = is_on(value),
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

/// What a switch says: Go's take a value behind `=`.
fn is_on(value: Option<&OsStr>) -> bool {
    value.is_none_or(|value| {
        !matches!(value.to_str(), Some("false" | "False" | "FALSE" | "f" | "F" | "0"))
    })
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

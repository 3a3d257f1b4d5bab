//! Kernel modules whose functions programs attach to.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

/// Asks for modules, named with spaces between them. Whether they came shows
/// when programs attach.
pub(crate) fn load(names: &str) {
    let quiet = || Stdio::null();
    let outcome = Command::new("modprobe")
        .arg("-a")
        .args(names.split_whitespace())
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .status();
    match outcome {
        Ok(status) if status.success() => {}
        Ok(status) => log::debug!("modprobe -a {names}: {status}"),
        Err(error) => log::debug!("modprobe: {error}"),
    }
}

/// Whether a module that is loaded has a function: lines of /proc/kallsyms are
/// `address type name`, and of modules `<tab>[module]` in addition.
pub(crate) fn have(function: &str) -> bool {
    let Ok(symbols) = File::open("/proc/kallsyms") else { return false };
    BufReader::new(symbols).lines().map_while(Result::ok).any(|line| {
        let mut words = line.split_whitespace().skip(1);
        matches!(words.next(), Some("t" | "T"))
            && words.next() == Some(function)
            && words.next().is_some()
    })
}

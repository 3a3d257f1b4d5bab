//! Kernel modules whose functions programs attach to.

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

/// What the loaded modules have: lines `address type name<tab>[module]`.
pub(crate) fn symbols() -> String {
    let all = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    // Modules come last.
    let first = all.find('[').and_then(|at| all[..at].rfind('\n')).unwrap_or(all.len());
    all[first..].to_owned()
}

/// Whether a function is among them.
pub(crate) fn have(symbols: &str, function: &str) -> bool {
    symbols.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        matches!(words.next(), Some("t" | "T")) && words.next() == Some(function)
    })
}

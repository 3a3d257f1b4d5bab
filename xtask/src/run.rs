//! Running programs, and saying what is going on.

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::Command;

/// What went wrong, in one line or with a report below it.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo told us about ourselves is not for the cargo we start.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG") || name.starts_with("CARGO_BIN") {
            command.env_remove(name);
        }
    }
    command.env_remove("CARGO_MANIFEST_DIR").current_dir(root());
    command
}

/// Runs a command to its end; an error unless it succeeds.
pub(crate) fn check(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| format!("{}: {error}", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", shown(command))) }
}

/// The command line, for people.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Lines of a report that are worth telling again at the end of everything, when what was
/// told on the way may have been cut off.
const TOLD_AGAIN: usize = 40;

/// The first line of a report, which says what failed, and the last ones, which say why.
pub(crate) fn in_short(report: &str) -> String {
    let (what, why) = report.split_once('\n').unwrap_or((report, ""));
    let mut lines: Vec<&str> = why.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.drain(..lines.len().saturating_sub(TOLD_AGAIN));
    lines.insert(0, what);
    lines.join("\n")
}

/// Announces what comes next.
pub(crate) fn step(text: &str) {
    if std::io::stdout().is_terminal() {
        println!("\n\u{1b}[1;36m== {text}\u{1b}[0m");
    } else {
        println!("\n== {text}");
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_long_report_is_told_again_with_what_failed_and_why() {
        let noise = (0..100).map(|line| format!("line {line}\n\n")).collect::<Vec<_>>().concat();
        let short = in_short(&format!("the test: ended with 1:\n{noise}WRONG: it hangs\n"));
        assert!(short.starts_with("the test: ended with 1:\nline 61\n"), "{short}");
        assert!(short.ends_with("line 99\nWRONG: it hangs"), "{short}");
        assert_eq!(in_short("nothing more"), "nothing more");
    }
}

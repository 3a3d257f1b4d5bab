//! The end of a log: what a failure report shows.

use std::fs;
use std::path::Path;

/// The last lines of a file, readable; says so when there are none.
pub(super) fn of_file(path: &Path, lines: usize) -> String {
    match fs::read(path) {
        Ok(bytes) if bytes.trim_ascii().is_empty() => "(nothing)".to_owned(),
        Ok(bytes) => of_bytes(&bytes, lines),
        Err(error) => format!("({}: {error})", path.display()),
    }
}

/// The last line with something in it, short enough for a progress line.
pub(super) fn last_line(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    of_bytes(&bytes, 1).trim().chars().take(100).collect()
}

/// A serial console writes colours, cursor moves and carriage returns; kept are
/// text, tabs and line ends. Within a line the last carriage return wins, as on
/// a screen.
fn of_bytes(bytes: &[u8], lines: usize) -> String {
    let text = plain(&String::from_utf8_lossy(bytes));
    let kept: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim_end_matches('\r').rsplit('\r').next())
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    kept[kept.len().saturating_sub(lines)..].join("\n")
}

/// Without escape sequences and other control characters.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            // CSI: parameters, then one letter. Anything else: two characters.
            if chars.next() == Some('[') {
                while chars.next().is_some_and(|c| !matches!(c, '@'..='~')) {}
            }
        } else if !c.is_control() || matches!(c, '\n' | '\r' | '\t') {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_with_text_are_shown() {
        assert_eq!(of_bytes(b"one\n\ntwo\r\n\r\nthree\n\n", 2), "two\nthree");
    }

    #[test]
    fn a_short_log_is_shown_whole() {
        assert_eq!(of_bytes(b"one", 20), "one");
        assert_eq!(of_bytes(b"", 20), "");
    }

    #[test]
    fn colours_and_redrawn_lines_do_not_garble_the_report() {
        let log = b"\x1b[0;32m  OK  \x1b[0m done\r\n10%\r90%\rall\n\x1bcKernel panic\xff\n";
        assert_eq!(of_bytes(log, 3), "  OK   done\nall\nKernel panic\u{fffd}");
    }

    #[test]
    fn an_empty_or_absent_log_is_named_as_such() {
        let empty = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(of_file(empty.path(), 5), "(nothing)");
        assert!(of_file(Path::new("/nonexistent/serial"), 5).contains("/nonexistent/serial"));
    }
}

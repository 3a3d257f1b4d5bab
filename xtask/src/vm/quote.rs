//! Words that a remote shell reads back unchanged.

/// One command line of which a POSIX shell makes exactly these words again.
pub(super) fn command<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

/// Always in single quotes: within them only a single quote means anything.
pub(crate) fn word(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What a real shell makes of it.
    fn read_back(words: &[&str]) -> Vec<String> {
        let line = format!("printf '%s\\0' {}", command(words.iter().copied()));
        let out = Command::new("sh").arg("-c").arg(line).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        text.strip_suffix('\0').unwrap().split('\0').map(str::to_owned).collect()
    }

    #[test]
    fn nothing_is_expanded_split_or_run() {
        let words = [
            "plain",
            "",
            " two  spaces ",
            "it's",
            "'",
            "''",
            "\"$HOME\"",
            "$(reboot)",
            "`id`",
            "a;b&c|d>e<f",
            "*?[x]",
            "~",
            "\\",
            "\\'",
            "line\nbreak\n",
            "-n",
            "é\t!",
            "#no comment",
        ];
        assert_eq!(read_back(&words), words);
    }

    #[test]
    fn a_shell_script_survives_as_one_word() {
        let script = "for i in 1 2; do echo \"$i's\"; done; exit 7";
        let line = command(["sh", "-c", script]);
        let out = Command::new("sh").arg("-c").arg(line).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stdout), "1's\n2's\n");
        assert_eq!(out.status.code(), Some(7));
    }
}

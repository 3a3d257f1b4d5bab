//! docs/dependencies.md: why each crate is here.

use std::collections::BTreeSet;

use crate::run::Result;

/// Where the table begins of crates that were thought of and not taken.
const NOT_USED: &str = "\n## Not used\n";

/// The crates of both tables.
pub(super) struct Reasons {
    used: BTreeSet<String>,
    unused: BTreeSet<String>,
}

impl Reasons {
    pub(super) fn parse(text: &str) -> Result<Reasons> {
        let (used, unused) = text
            .split_once(NOT_USED)
            .ok_or_else(|| format!("docs/dependencies.md: no heading{}", NOT_USED.trim_end()))?;
        Ok(Reasons { used: crates(used), unused: crates(unused) })
    }

    /// Direct dependencies, with the versions that are asked for, which the tables do not
    /// know, and the other way round.
    pub(super) fn wrong(&self, direct: &BTreeSet<(&str, &str)>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, version) in direct {
            if !self.used.contains(*name) {
                wrong.push(format!("{name}: docs/dependencies.md does not say why it is here"));
            }
            if self.unused.contains(*name) {
                wrong.push(format!("{name}: docs/dependencies.md says why it is not used"));
            }
            if version.contains('*') {
                wrong.push(format!("{name} {version}: any version at all"));
            }
        }
        let names: BTreeSet<&str> = direct.iter().map(|(name, _)| *name).collect();
        let gone = self.used.iter().filter(|name| !names.contains(name.as_str()));
        wrong.extend(gone.map(|name| format!("{name}: in docs/dependencies.md, and not used")));
        wrong
    }
}

/// What stands in the first column.
fn crates(table: &str) -> BTreeSet<String> {
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    // Without the head.
    let names = rows.filter(|cell| *cell != "crate").flat_map(|cell| cell.split(", "));
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Dependencies\n\n| crate | used by | why |\n|---|---|---|\n\
                        | one, two | ubc | both, | for a reason |\n\n## Not used\n\n\
                        | crate | why not |\n|---|---|\n| three | no |\n";

    fn wrong(direct: &[(&str, &str)]) -> Vec<String> {
        Reasons::parse(TEXT).unwrap().wrong(&direct.iter().copied().collect())
    }

    #[test]
    fn a_dependency_that_nobody_gave_a_reason_for_is_told() {
        assert_eq!(wrong(&[("one", "^1"), ("two", "=2")]), Vec::<String>::new());
        let wrong = wrong(&[("four", "^1"), ("one", "^1"), ("two", "=2")]);
        assert_eq!(wrong, ["four: docs/dependencies.md does not say why it is here"]);
    }

    #[test]
    fn a_reason_for_what_is_gone_or_against_what_is_here_is_told() {
        assert_eq!(wrong(&[("one", "^1")]), ["two: in docs/dependencies.md, and not used"]);
        let wrong = wrong(&[("one", "^1"), ("three", "^1"), ("two", "=2")]);
        assert!(wrong.iter().any(|it| it.ends_with("says why it is not used")), "{wrong:?}");
        assert!(Reasons::parse("| crate |\n").is_err());
    }

    #[test]
    fn a_dependency_of_any_version_is_told() {
        assert_eq!(wrong(&[("one", "*"), ("two", "=2")]), ["one *: any version at all"]);
    }
}

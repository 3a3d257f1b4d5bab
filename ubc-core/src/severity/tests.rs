use std::string::ToString;

use super::*;

#[test]
fn a_plain_severity_counts_its_refusals() {
    let ask = Ask::from(Severity::Soft);
    assert_eq!(ask, Ask { severity: Severity::Soft, quiet: false });
}

#[test]
fn quiet_keeps_the_severity() {
    for severity in [Severity::Hard, Severity::Soft, Severity::Force] {
        assert_eq!(severity.quiet(), Ask { severity, quiet: true });
    }
}

#[test]
fn severities_print_as_one_lower_case_word() {
    let words = [Severity::Hard, Severity::Soft, Severity::Force].map(|s| s.to_string());
    assert_eq!(words, ["hard", "soft", "force"]);
}

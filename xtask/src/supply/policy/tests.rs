use super::*;

fn policy() -> Policy {
    let text = r#"
        [graph]
        targets = ["x86_64-unknown-linux-gnu"]
        [licenses]
        allow = ["MIT", "Zlib"]
        exceptions = [{ crate = "tool", allow = ["MPL-2.0"] }]
        clarify = [{ crate = "silent", expression = "MIT", license-files = [] }]
        [bans]
        deny = [{ crate = "bad", reason = "because" }]
        [sources]
        allow-registry = ["https://one.example/index"]
    "#;
    Policy::parse(text).unwrap()
}

#[test]
fn a_licence_that_nobody_allowed_is_refused() {
    let policy = policy();
    for says in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "Apache-2.0 OR MPL-2.0", "GPL-2.0+"] {
        assert!(policy.judge("any", Some(says)).is_err(), "{says}");
    }
    for says in ["MIT", "MIT OR GPL-3.0-only", "GPL-3.0-only/MIT", "(MIT OR Apache-2.0) AND Zlib"] {
        assert_eq!(policy.judge("any", Some(says)), Ok(()), "{says}");
    }
}

#[test]
fn what_one_crate_may_another_may_not() {
    let policy = policy();
    assert_eq!(policy.judge("tool", Some("MPL-2.0 AND MIT")), Ok(()));
    assert!(policy.judge("any", Some("MPL-2.0 AND MIT")).unwrap_err().starts_with("any: MPL-2.0"));
}

#[test]
fn a_crate_that_says_nothing_or_nonsense_is_not_taken_for_a_free_one() {
    let policy = policy();
    assert_eq!(policy.judge("silent", None), Ok(()));
    for says in [None, Some(""), Some("non-standard"), Some("MIT or so"), Some("MIT OR")] {
        assert!(policy.judge("any", says).is_err(), "{says:?}");
    }
}

#[test]
fn what_is_said_of_crates_that_are_gone_does_not_stay() {
    let idle = policy().idle(&BTreeSet::from(["tool", "any"]));
    assert_eq!(idle.len(), 1, "{idle:?}");
    assert!(idle[0].starts_with("silent: "), "{idle:?}");
}

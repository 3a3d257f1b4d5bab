use std::collections::BTreeMap;

use ubc_core::{ContainerId, Resource};

use super::*;

fn refusal(comm: &str) -> Refusal {
    Refusal {
        time: 1_790_000_000.5,
        id: ContainerId::new(101).unwrap(),
        resource: Resource::NumFile,
        asked: 1,
        held: 16,
        barrier: 16,
        limit: 20,
        pid: 77,
        comm: comm.to_owned(),
        dropped: 3,
    }
}

fn fields(refusal: &Refusal, failcnt: Option<u64>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    with_fields(refusal, failcnt, |fields| {
        for (name, value) in fields {
            assert_eq!(all.insert((*name).to_owned(), value.to_string()), None, "{name} twice");
        }
    });
    all
}

#[test]
fn a_process_cannot_forge_a_field_or_a_line_by_its_name() {
    let hostile = refusal("a\nUBC_CTID=7\u{1b}[2J");
    let all = fields(&hostile, Some(5));
    assert_eq!(all["UBC_COMM"], "a\\nUBC_CTID=7\\u{1b}[2J");
    assert_eq!(all["UBC_CTID"], "101");
    for (name, value) in &all {
        assert!(!value.contains(|c: char| c.is_control()), "{name}={value:?}");
    }
    assert!(!hostile.to_string().contains(|c: char| c.is_control()), "{hostile}");
}

#[test]
fn each_part_has_the_number_it_is_named_after() {
    let all = fields(&refusal("sh"), Some(5));
    let expected = [
        ("UBC_ASKED", "1"),
        ("UBC_BARRIER", "16"),
        ("UBC_COMM", "sh"),
        ("UBC_CTID", "101"),
        ("UBC_DROPPED", "3"),
        ("UBC_FAILCNT", "5"),
        ("UBC_HELD", "16"),
        ("UBC_LIMIT", "20"),
        ("UBC_PID", "77"),
        ("UBC_RESOURCE", "numfile"),
    ];
    for (name, value) in expected {
        assert_eq!(all[name], value, "{name}");
    }
    // A row nobody counts has no number, rather than 0.
    assert!(!fields(&refusal("sh"), None).contains_key("UBC_FAILCNT"));
}

#[test]
fn the_journal_takes_each_name_and_the_documentation_has_it() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let (document, catalog) = (read("docs/operating.md"), read("dist/ubc.catalog"));
    for name in fields(&refusal("sh"), Some(5)).into_keys() {
        // As the journal has it: an invalid name would be changed on the way.
        assert!(name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_uppercase()), "{name}");
        assert!(name.bytes().all(|c| c.is_ascii_uppercase() || c == b'_'), "{name}");
        assert!(document.contains(&format!("`{name}`")), "{name} is not documented");
    }
    assert!(REFUSED.len() == 32 && REFUSED.bytes().all(|c| c.is_ascii_hexdigit()));
    assert!(document.contains(REFUSED), "the id is not documented");
    assert!(catalog.contains(&format!("-- {REFUSED}\n")), "the catalog explains another one");
}

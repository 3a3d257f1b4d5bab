use super::*;

/// A record as version 1 writes it.
fn saved() -> Saved {
    let registry = ubc_core::Registry::new();
    let id = ubc_core::ContainerId::new(101).unwrap();
    let container = registry.create(id).unwrap();
    let mut seen = ubc_core::Observation::held(7);
    seen.failures = Some(3);
    container.observe(ubc_core::Resource::NumFile, seen).unwrap();
    container.observe(ubc_core::Resource::NumFile, seen).unwrap();
    let mut limits = ubc_node::Wanted::default();
    limits[ubc_core::Resource::NumFile] = Some(ubc_core::Limits::both(300).unwrap());
    Saved {
        version: Saved::VERSION,
        counts: Box::new(registry.snapshot_of(id)),
        limits: Box::new(limits),
        schedule: Box::default(),
    }
}

#[test]
fn what_is_written_beside_the_images_is_read_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    assert_eq!(read(&path), Ok(None));
    // Over a longer one from a checkpoint before.
    std::fs::write(&path, " ".repeat(100_000)).unwrap();
    write(&path, &saved()).unwrap();
    assert_eq!(read(&path), Ok(Some(saved())));
}

#[test]
fn a_damaged_record_is_named_and_not_taken_for_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let whole = serde_json::to_string(&saved()).unwrap();
    let other = whole.replacen("\"version\":1", "\"version\":2", 1);
    let more = whole.replacen("\"version\":1", "\"version\":1,\"more\":1", 1);
    for (text, says) in [
        ("", "EOF"),
        (&whole[..whole.len() - 1], "EOF"),
        (&other, "version 2; accepted: 1"),
        (&more, "unknown field `more`"),
        (&" ".repeat(usize::try_from(LONGEST).unwrap() + 1), "longer than"),
    ] {
        std::fs::write(&path, text).unwrap();
        let failure = read(&path).unwrap_err();
        let begin = format!("{}: ", path.display());
        assert!(failure.message.starts_with(&begin) && failure.message.contains(says), "{failure}");
        assert_eq!(failure.kind, Kind::Config);
    }
}

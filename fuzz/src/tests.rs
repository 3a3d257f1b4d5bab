use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;

fn names(dir: &str, suffix: &str) -> BTreeSet<String> {
    fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(dir))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.strip_suffix(suffix).unwrap().to_owned())
        .collect()
}

#[test]
fn every_target_has_a_corpus_and_an_entry_point_and_no_leftovers() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(targets.len(), TARGETS.len(), "a name twice");
    assert_eq!(names("corpus", ""), targets);
    assert_eq!(names("found", ""), targets);
    assert_eq!(names("fuzz_targets", ".rs"), targets);
    let manifest =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    for name in &targets {
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "no [[bin]] for {name}");
        let entry = format!("{}/fuzz_targets/{name}.rs", env!("CARGO_MANIFEST_DIR"));
        let entry = fs::read_to_string(entry).unwrap();
        assert!(entry.contains(&format!("libfuzzer!(\"{name}\")")), "{name} starts another");
    }
}

#[test]
fn every_corpus_reaches_both_outcomes_of_its_target() {
    use std::str::from_utf8;
    use ubc_cgroup::{CgroupName, parse};
    use ubc_core::{
        ContainerId, Defaults, PageSize, Reading, Registry, Restore, Snapshot, UbId, Unit,
    };
    use ubc_procfs::text::layout::File::UserBeancounters;
    use ubc_procfs::text::parse::{Bounds, strict, tolerant};
    use ubc_procfs::text::{
        idmap::outside_of_zero, name::resource_by_config_name, value::parse_limits,
    };

    type Accepted = fn(&[u8]) -> bool;
    fn text<T>(data: &[u8], read: impl Fn(&str) -> Option<T>) -> bool {
        from_utf8(data).ok().and_then(read).is_some()
    }
    let accepted: [(&str, Accepted); _] = [
        ("cgroup_files", |data| parse::Stat::parse(data).is_ok()),
        ("cgroup_name", |data| text(data, |text| CgroupName::new(text).ok())),
        ("container_id", |data| text(data, |text| text.parse::<ContainerId>().ok())),
        ("history", |data| ubc::fuzzing::history(data) > 0),
        ("hook_state", |data| ubc::fuzzing::hook_state(data).is_ok()),
        ("idmap", |data| text(data, outside_of_zero)),
        ("mountinfo", |data| !parse::mounts(data).is_empty()),
        ("proc_files", |data| parse::status(data).is_ok()),
        ("proc_locks", |data| !parse::locks(data).is_empty()),
        ("protocol_request", ubc::fuzzing::request),
        ("protocol_response", ubc::fuzzing::response),
        ("reading_json", |data| serde_json::from_slice::<Reading>(data).is_ok()),
        ("resource_name", |data| text(data, |text| resource_by_config_name(text).ok())),
        ("snapshot_json", |data| {
            serde_json::from_slice::<Snapshot>(data).is_ok_and(|snapshot| {
                Registry::from_snapshot(Defaults::new(), &snapshot, Restore::WithHeld).is_ok()
            })
        }),
        ("sock_diag", |data| parse::inet_socket(data).is_some()),
        ("table_strict", |data| strict(data, UserBeancounters, Bounds::DEFAULT).is_ok()),
        ("table_tolerant", |data| tolerant(data, Bounds::DEFAULT).is_ok()),
        ("ub_id", |data| text(data, |text| text.parse::<UbId>().ok())),
        ("value", |data| {
            text(data, |text| parse_limits(text, Unit::Pages, PageSize::DEFAULT).ok())
        }),
        ("vz_config", |data| {
            ubc_config::Document::parse(data)
                .is_ok_and(|file| ubc_config::Config::read(&file, PageSize::DEFAULT).is_ok())
        }),
    ];
    assert_eq!(
        accepted.map(|(target, _)| target),
        *TARGETS.iter().map(|t| t.name).collect::<Vec<_>>()
    );
    // A corpus of refused inputs only would never test a round trip.
    for (target, accepted) in accepted {
        let dir = format!("{}/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        let mut outcomes = BTreeSet::new();
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let outcome = accepted(&fs::read(&path).unwrap());
            let bad =
                path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"bad-"));
            // A message that a change of the protocol left behind tests nothing.
            assert!(!target.starts_with("protocol") || outcome != bad, "{}", path.display());
            outcomes.insert(outcome);
        }
        assert_eq!(outcomes.len(), 2, "{target}: all accepted are {outcomes:?}");
    }
}

#[test]
fn a_seed_gives_the_same_inputs_every_time() {
    let corpus = [b"512:512".to_vec(), b"unlimited".to_vec()];
    let run = |seed| {
        let mut rng = mutate::Rng::new(seed);
        (0..500).map(|_| mutate::mutated(&corpus, &mut rng)).collect::<Vec<_>>()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
    assert!(run(7).iter().collect::<BTreeSet<_>>().len() > 400, "mutations repeat themselves");
    assert!(run(7).iter().all(|input| input.len() <= mutate::LONGEST));
}

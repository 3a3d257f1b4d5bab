use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use proptest::prelude::*;
use rustix::fs::FallocateFlags;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use ubc_core::{ContainerId, PerResource, Reading, Resource, Row};

use super::entry::Rows;
use super::*;

fn id(number: u32) -> ContainerId {
    ContainerId::new(number).unwrap()
}

fn reading(number: u32, held: u64, failcnt: u64) -> Reading {
    let mut rows = PerResource::from_fn(|_| Numbers::NONE.row());
    rows[Resource::NumFile] = Row { held, maxheld: held, failcnt, ..Numbers::NONE.row() };
    Reading { id: id(number), rows }
}

fn played(dir: &Path) -> (Vec<Entry>, Vec<String>) {
    let (mut entries, mut damages) = (Vec::new(), Vec::new());
    for entry in Player::open(dir).unwrap() {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(damage) => damages.push(damage.to_string()),
        }
    }
    (entries, damages)
}

fn size(dir: &Path) -> u64 {
    Files::list(dir).unwrap().size()
}

proptest! {
    /// Whatever happened between two readings, the lines lead from one to the other.
    #[test]
    fn a_change_that_is_written_is_the_change_that_is_read(
        moments in proptest::collection::vec(
            proptest::collection::btree_map(1_u32..5, (0_u64..3, 0_u64..3), 0..4), 1..12),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = Recorder::open(dir.path(), Space::new(Space::LEAST).unwrap()).unwrap();
        let mut expected = Vec::new();
        for (time, containers) in (0_u32..).zip(&moments) {
            let all: Vec<Reading> =
                containers.iter().map(|(n, (held, failed))| reading(*n, *held, *failed)).collect();
            let moment = Moment::of(&all);
            if expected.last() != Some(&moment) {
                expected.push(moment.clone());
            }
            recorder.reading(moment, f64::from(time)).unwrap();
        }
        let mut now = Moment::default();
        let mut found = Vec::new();
        for entry in played(dir.path()).0 {
            now.apply(&entry);
            found.push(now.clone());
        }
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_history_never_outgrows_its_space_and_its_rest_stands_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::open(dir.path(), Space::new(Space::LEAST).unwrap()).unwrap();
    let mut last = Moment::default();
    for time in 0..4000_u32 {
        let all: Vec<Reading> =
            (1..=4).map(|n| reading(n, u64::from(time + n), u64::from(time / 7))).collect();
        last = Moment::of(&all);
        recorder.reading(last.clone(), f64::from(time)).unwrap();
        assert!(size(dir.path()) <= Space::LEAST, "at {time}");
    }
    assert!(size(dir.path()) > Space::LEAST / 2, "room is used");
    let (entries, damages) = played(dir.path());
    assert!(damages.is_empty(), "{damages:?}");
    assert!(matches!(&entries[0], Entry::Reading { whole: true, time, .. } if *time > 0.0));
    let mut now = Moment::default();
    for entry in &entries {
        now.apply(entry);
    }
    assert_eq!(now, last);
}

#[test]
fn more_containers_than_the_space_holds_are_an_error_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::open(dir.path(), Space::new(Space::LEAST).unwrap()).unwrap();
    let many: Vec<Reading> = (1..10_000).map(|n| reading(n, u64::from(n), 0)).collect();
    let error = recorder.reading(Moment::of(&many), 1.0).unwrap_err();
    assert!(error.to_string().contains("9999 containers do not fit into --size"), "{error}");
    // With fewer it goes on.
    recorder.reading(Moment::of(&many[..10]), 2.0).unwrap();
    assert_eq!(played(dir.path()).0.len(), 1);
}

#[test]
fn a_torn_last_line_is_not_read_and_a_broken_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let space = Space::new(Space::LEAST).unwrap();
    for run in 0..3 {
        let mut recorder = Recorder::open(dir.path(), space).unwrap();
        recorder.reading(Moment::of(&[reading(1, run, 0)]), 1.0).unwrap();
        recorder.reading(Moment::of(&[reading(1, run + 10, 0)]), 2.0).unwrap();
    }
    let paths: Vec<_> = Files::list(dir.path()).unwrap().paths().collect();
    assert_eq!(paths.len(), 3, "no recorder goes on with another's file");
    let append = |path: &Path, text: &[u8]| {
        OpenOptions::new().append(true).open(path).unwrap().write_all(text).unwrap();
    };
    append(&paths[0], b"{\"read");
    append(&paths[1], b"nonsense\n");
    std::fs::write(&paths[2], b"{\"ubc_history\":77}\n{}\n").unwrap();
    let (entries, damages) = played(dir.path());
    assert_eq!(entries.len(), 4);
    assert_eq!(damages.len(), 2, "{damages:?}");
    assert!(damages[0].contains("000000000002.ndjson:4: expected"), "{damages:?}");
    assert!(damages[1].contains(":1: version 77; this ubc reads version 1"), "{damages:?}");
}

#[test]
fn a_recorder_that_ended_leaves_no_space_set_aside() {
    use std::os::unix::fs::MetadataExt as _;
    let dir = tempfile::tempdir().unwrap();
    let space = Space::new(64 << 20).unwrap();
    let used = || {
        let paths: Vec<_> = Files::list(dir.path()).unwrap().paths().collect();
        paths.iter().map(|path| path.metadata().unwrap().blocks() * 512).sum::<u64>()
    };
    for _ in 0..5 {
        let mut recorder = Recorder::open(dir.path(), space).unwrap();
        recorder.reading(Moment::of(&[reading(1, 5, 0)]), 1.0).unwrap();
        drop(recorder);
        assert!(used() < 1 << 20, "{}", used());
    }
    // One that was killed could not give it back.
    let newest = Files::list(dir.path()).unwrap().paths().last().unwrap();
    let newest = OpenOptions::new().write(true).open(newest).unwrap();
    if rustix::fs::fallocate(&newest, FallocateFlags::KEEP_SIZE, 0, 8 << 20).is_ok() {
        assert!(used() >= 8 << 20);
    }
    drop(Recorder::open(dir.path(), space).unwrap());
    assert!(used() < 1 << 20, "{}", used());
}

#[test]
fn two_recorders_do_not_write_into_one_directory() {
    let dir = tempfile::tempdir().unwrap();
    let space = Space::new(Space::LEAST).unwrap();
    let one = Recorder::open(dir.path(), space).unwrap();
    let error = Recorder::open(dir.path(), space).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
    drop(one);
    Recorder::open(dir.path(), space).unwrap();
}

#[test]
fn a_container_that_ended_and_one_that_came_back_are_told_apart_from_silence() {
    let (one, two) = (Moment::of(&[reading(1, 5, 2)]), Moment::of(&[]));
    let Entry::Reading { gone, containers, .. } = two.since(&one, 1.0) else { panic!() };
    assert!(containers.is_empty() && gone.contains(&id(1)));
    let Entry::Reading { containers, .. } = one.since(&two, 2.0) else { panic!() };
    assert_eq!(containers.keys().collect::<Vec<_>>(), [&id(1)]);
    assert_eq!(one.reading(id(1)).unwrap(), reading(1, 5, 2));
    assert_eq!(one.reading(id(2)), None);
    let empty = BTreeMap::from([(id(3), Rows::new())]);
    assert_eq!(Moment::of(&[reading(3, 0, 0)]), Moment(empty));
}

/// A file system that is unmounted at the end.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = unmount(self.0, UnmountFlags::DETACH);
    }
}

#[test]
fn a_disk_that_stays_full_gets_no_file_with_each_attempt_and_the_record_goes_on_after() {
    let dir = tempfile::tempdir().unwrap();
    let (flags, options) = (MountFlags::empty(), Some(c"size=1m"));
    if let Err(error) = mount("none", dir.path(), "tmpfs", flags, options) {
        return println!("SKIP: cannot mount a tmpfs: {error}");
    }
    let _mounted = Mounted(dir.path());
    let mut recorder = Recorder::open(dir.path(), Space::new(Space::LEAST).unwrap()).unwrap();
    let filler = dir.path().join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    for time in 0..20_u32 {
        let moment = Moment::of(&[reading(1, u64::from(time), 0)]);
        let error = recorder.reading(moment, f64::from(time)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
    }
    assert_eq!(Files::list(dir.path()).unwrap().paths().count(), 0);
    drop(file);
    std::fs::remove_file(filler).unwrap();
    recorder.reading(Moment::of(&[reading(1, 99, 0)]), 21.0).unwrap();
    let (entries, damages) = played(dir.path());
    assert!(damages.is_empty() && entries.len() == 1, "{entries:?} {damages:?}");
}

#[test]
fn a_clock_that_is_set_back_hides_nothing_that_was_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::open(dir.path(), Space::new(Space::LEAST).unwrap()).unwrap();
    // An hour back in the middle, and before 1970 at the end.
    for (held, time) in [(1, 7200.0), (2, 7201.0), (3, 3601.0), (4, 3602.0), (5, 0.0)] {
        recorder.reading(Moment::of(&[reading(1, held, 0)]), time).unwrap();
    }
    let (entries, damages) = played(dir.path());
    assert!(damages.is_empty(), "{damages:?}");
    let mut now = Moment::default();
    let held: Vec<u64> = entries
        .iter()
        .map(|entry| {
            now.apply(entry);
            now.reading(id(1)).unwrap().rows[Resource::NumFile].held
        })
        .collect();
    assert_eq!(held, [1, 2, 3, 4, 5]);
}

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use ubc_core::{Limits, PerResource, Resource, UNLIMITED};

use super::Control;
use crate::{BlockDevice, CpuUnits, Error, Rate, Schedule, Scheduler};

/// A container as a runtime made it.
fn fixture() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (file, value) in [
        ("pids.max", "50\n"),
        ("memory.max", "67108864\n"),
        ("memory.high", "max\n"),
        ("cpu.weight", "79\n"),
        ("io.max", ""),
    ] {
        fs::write(dir.path().join(file), value).unwrap();
    }
    dir
}

fn control(dir: &Path) -> Control {
    let handle = fs::File::open(dir).unwrap();
    let scheduler = Scheduler::of_directory(handle.as_fd(), dir, handle.as_fd()).unwrap();
    Control { scheduler, account: None, notes: Vec::new() }
}

fn numproc(most: u64) -> PerResource<Option<Limits>> {
    let mut limits = PerResource::default();
    limits[Resource::NumProc] = Some(Limits { barrier: most, limit: most });
    limits
}

fn units(units: u32) -> Schedule {
    Schedule { cpu_units: CpuUnits::new(units), ..Schedule::default() }
}

fn read(dir: &Path, file: &str) -> String {
    fs::read_to_string(dir.join(file)).unwrap().trim().to_owned()
}

#[test]
fn a_failed_knob_takes_the_limits_of_the_same_change_back() {
    let dir = fixture();
    fs::remove_file(dir.path().join("cpu.weight")).unwrap();
    fs::create_dir(dir.path().join("cpu.weight")).unwrap();
    let mut control = control(dir.path());
    let error = control.apply(&numproc(30), &units(3000)).unwrap_err();
    assert!(error.to_string().starts_with("cpuunits: cannot write 300 to"), "{error}");
    assert_eq!(read(dir.path(), "pids.max"), "50");
    assert!(control.notes.is_empty());
}

#[test]
fn a_failed_limit_keeps_the_knobs_of_the_same_change_away() {
    let dir = fixture();
    fs::remove_file(dir.path().join("pids.max")).unwrap();
    fs::create_dir(dir.path().join("pids.max")).unwrap();
    let error = control(dir.path()).apply(&numproc(30), &units(3000)).unwrap_err();
    assert!(matches!(error, Error::Limit { .. }), "{error}");
    assert_eq!(read(dir.path(), "cpu.weight"), "79");
}

#[test]
fn a_runtime_gets_back_what_it_had_set() {
    let dir = fixture();
    let mut control = control(dir.path());
    let mut limits = numproc(30);
    limits[Resource::PhysPages] = Some(Limits { barrier: 0, limit: UNLIMITED });
    for weight in [3000, 4000] {
        let (enforced, scheduled) = control.apply(&limits, &units(weight)).unwrap();
        assert!(enforced[Resource::NumProc].is_enforced());
        assert_eq!(scheduled.len(), 1);
    }
    assert_eq!(read(dir.path(), "memory.max"), "max");
    assert!(control.restore().is_empty());
    for (file, value) in [("pids.max", "50"), ("memory.max", "67108864"), ("cpu.weight", "79")] {
        assert_eq!(read(dir.path(), file), value, "{file}");
    }
    // It is over then.
    fs::write(dir.path().join("pids.max"), "30").unwrap();
    assert!(control.restore().is_empty());
    assert_eq!(read(dir.path(), "pids.max"), "30");
}

#[test]
fn what_somebody_else_has_set_since_is_left_alone() {
    let dir = fixture();
    let mut control = control(dir.path());
    control.apply(&numproc(30), &units(3000)).unwrap();
    fs::write(dir.path().join("pids.max"), "40").unwrap();
    control.restore();
    assert_eq!((read(dir.path(), "pids.max"), read(dir.path(), "cpu.weight")), pair("40", "79"));
    // Between two changes of ours, it is what is given back.
    control.apply(&numproc(30), &Schedule::default()).unwrap();
    fs::write(dir.path().join("pids.max"), "45").unwrap();
    control.apply(&numproc(20), &Schedule::default()).unwrap();
    control.restore();
    assert_eq!(read(dir.path(), "pids.max"), "45");
    // Also if we then asked for the same.
    control.apply(&numproc(30), &Schedule::default()).unwrap();
    fs::write(dir.path().join("pids.max"), "33").unwrap();
    control.apply(&numproc(33), &Schedule::default()).unwrap();
    control.restore();
    assert_eq!(read(dir.path(), "pids.max"), "33");
}

fn pair(a: &str, b: &str) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

#[test]
fn the_limits_of_two_devices_are_given_back_one_by_one() {
    let dir = fixture();
    let io_max = dir.path().join("io.max");
    fs::write(&io_max, "8:0 rbps=10 wbps=20 riops=max wiops=max\n").unwrap();
    let mut control = control(dir.path());
    let device = |minor| BlockDevice { major: 8, minor };
    let schedule = |minor| Schedule {
        io_limit: Some(Rate::per_second(99)),
        devices: vec![device(minor)],
        ..Schedule::default()
    };
    control.apply(&PerResource::default(), &schedule(0)).unwrap();
    assert_eq!(read(dir.path(), "io.max"), "8:0 rbps=99 wbps=99");
    control.apply(&PerResource::default(), &schedule(16)).unwrap();
    assert_eq!(control.notes.len(), 2, "one for each device");
    // A plain file has only the last line written; a real one has both.
    let both = "8:0 rbps=99 wbps=99 riops=max wiops=max\n8:16 rbps=1 wbps=99\n";
    fs::write(&io_max, both).unwrap();
    assert!(control.restore().is_empty());
    assert_eq!(read(dir.path(), "io.max"), "8:0 rbps=10 wbps=20");
}

#[test]
fn a_file_that_cannot_be_given_back_is_told_and_the_rest_is_given() {
    let dir = fixture();
    let mut control = control(dir.path());
    control.apply(&numproc(30), &units(3000)).unwrap();
    fs::remove_file(dir.path().join("cpu.weight")).unwrap();
    let failed = control.restore();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].to_string().starts_with("cpuunits: cannot write 79"), "{}", failed[0]);
    assert_eq!(read(dir.path(), "pids.max"), "50");
}

#[test]
fn a_change_that_was_cut_short_can_be_undone_by_another_process() {
    let dir = fixture();
    fs::write(dir.path().join("io.max"), "8:0 rbps=1 wbps=max riops=max wiops=max\n").unwrap();
    let before = control(dir.path()).before().unwrap();
    for (file, value) in [("pids.max", "30"), ("memory.max", "max"), ("io.max", "8:0 rbps=2")] {
        fs::write(dir.path().join(file), value).unwrap();
    }
    control(dir.path()).roll_back(&before).unwrap();
    for (file, value) in [
        ("pids.max", "50"),
        ("memory.max", "67108864"),
        ("memory.high", "max"),
        ("io.max", "8:0 rbps=1 wbps=max riops=max wiops=max"),
    ] {
        assert_eq!(read(dir.path(), file), value);
    }
}

#[test]
fn what_is_to_be_given_back_is_given_back_by_another_process() {
    let dir = fixture();
    let mut first = control(dir.path());
    first.apply(&numproc(30), &units(3000)).unwrap();
    let notes = first.notes();
    drop(first);
    let mut second = control(dir.path()).with_notes(notes);
    assert!(second.restore().is_empty());
    assert_eq!((&*read(dir.path(), "pids.max"), &*read(dir.path(), "cpu.weight")), ("50", "79"));
}

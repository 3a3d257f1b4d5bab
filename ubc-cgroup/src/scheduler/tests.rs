use std::fs;
use std::num::NonZeroU32;
use std::os::fd::AsFd;
use std::path::Path;

use super::{
    BlockDevice, CpuLimit, CpuUnits, Ids, IoPriority, Knob, Machine, Mask, Processors, Rate,
    Schedule, Scheduled, Scheduler, Target, Weigher,
};
use crate::{Error, Result};

const DISK: BlockDevice = BlockDevice { major: 8, minor: 0 };
const NODE: Processors = Processors { online: 2, megahertz: NonZeroU32::new(2000) };

/// A directory with the files as the kernel fills them at creation.
fn fixture() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (file, value) in [
        ("cpu.weight", "100\n"),
        ("cpu.max", "max 100000\n"),
        ("cpuset.cpus", "\n"),
        ("cpuset.cpus.effective", "0-1\n"),
        ("cpuset.mems", "\n"),
        ("cpuset.mems.effective", "0\n"),
        ("io.weight", "default 100\n"),
        ("io.max", ""),
    ] {
        fs::write(dir.path().join(file), value).unwrap();
    }
    dir
}

fn scheduler(dir: &Path) -> Scheduler {
    let handle = fs::File::open(dir).unwrap();
    Scheduler::of_directory(handle.as_fd(), dir, handle.as_fd()).unwrap()
}

fn apply(
    scheduler: &mut Scheduler,
    schedule: &Schedule,
) -> Result<std::collections::BTreeMap<Knob, Scheduled>> {
    let weigher = Weigher { io_cost: true, bfq: false };
    scheduler.apply_on(schedule, &Machine { processors: NODE, weigher })
}

fn everything() -> Schedule {
    Schedule {
        cpu_units: CpuUnits::new(3000),
        cpu_limit: Some(CpuLimit::Megahertz(1000)),
        cpus: Some(1),
        cpu_mask: Some(Mask::All),
        node_mask: Some(Mask::Only(Ids::new([0]).unwrap())),
        io_priority: IoPriority::new(7),
        io_limit: Some(Rate::per_second(1000)),
        iops_limit: None,
        devices: vec![DISK],
    }
}

fn read(dir: &Path, file: &str) -> String {
    fs::read_to_string(dir.join(file)).unwrap().trim().to_owned()
}

#[test]
fn each_knob_says_which_file_keeps_it() {
    let dir = fixture();
    let status = apply(&mut scheduler(dir.path()), &everything()).unwrap();
    for (file, value) in [
        ("cpu.weight", "300"),
        ("cpu.max", "50000 100000"),
        ("cpuset.cpus", ""),
        ("cpuset.mems", "0"),
        ("io.weight", "default 128"),
        ("io.max", "8:0 rbps=1000 wbps=1000"),
    ] {
        assert_eq!(read(dir.path(), file), value, "{file}");
    }
    assert_eq!(status.len(), 7, "one for each knob given: {status:?}");
    for (knob, said) in status {
        assert_eq!(said, Scheduled::by(knob.file()), "{knob}");
    }
}

#[test]
fn a_failure_puts_back_what_was_written_before_it() {
    let dir = fixture();
    fs::remove_file(dir.path().join("io.max")).unwrap();
    fs::create_dir(dir.path().join("io.max")).unwrap();
    let mut scheduler = scheduler(dir.path());
    let error = apply(&mut scheduler, &everything()).unwrap_err();
    let Error::Limit { target, source, restore, .. } = &error else { panic!("{error}") };
    assert_eq!(*target, Target::Knob(Knob::IoLimit));
    assert_eq!(source.raw_os_error(), Some(libc::EISDIR));
    assert!(restore.is_empty() && error.to_string().starts_with("iolimit: cannot write"));
    for (file, value) in [
        ("cpu.weight", "100"),
        ("cpu.max", "max 100000"),
        ("cpuset.mems", ""),
        ("io.weight", "default 100"),
    ] {
        assert_eq!(read(dir.path(), file), value, "{file}");
    }
    // What failed is not remembered as given either.
    let cpus = Schedule { cpus: Some(2), ..Schedule::default() };
    apply(&mut scheduler, &cpus).unwrap();
    assert_eq!(read(dir.path(), "cpu.max"), "200000 100000");
}

#[test]
fn a_change_of_cpulimit_does_not_lose_cpus() {
    let dir = fixture();
    let mut scheduler = scheduler(dir.path());
    let mut set = |cpu_limit, cpus| {
        let schedule = Schedule { cpu_limit, cpus, ..Schedule::default() };
        apply(&mut scheduler, &schedule).unwrap();
        read(dir.path(), "cpu.max")
    };
    assert_eq!(set(None, Some(1)), "100000 100000");
    assert_eq!(set(Some(CpuLimit::Percent(150)), None), "100000 100000");
    assert_eq!(set(Some(CpuLimit::Percent(50)), None), "50000 100000");
    assert_eq!(set(Some(CpuLimit::Unlimited), None), "100000 100000");
    assert_eq!(set(None, Some(0)), "max 100000");
}

#[test]
fn a_mask_of_absent_cpus_is_an_error_not_all_cpus() {
    let dir = fixture();
    let mask = Some(Mask::Only(Ids::new([7]).unwrap()));
    let schedule = Schedule { cpu_mask: mask, cpu_units: CpuUnits::new(8), ..Schedule::default() };
    for _ in 0..2 {
        let error = apply(&mut scheduler(dir.path()), &schedule).unwrap_err();
        let Error::LimitReadsBack { wanted, got, path, .. } = &error else { panic!("{error}") };
        assert_eq!((wanted.as_str(), got.as_str()), ("7", "0-1"));
        assert!(path.ends_with("cpuset.cpus.effective"));
        assert_eq!(read(dir.path(), "cpu.weight"), "100");
        // The second time the mask is there already, and no better.
        fs::write(dir.path().join("cpuset.cpus"), "7\n").unwrap();
    }
}

#[test]
fn a_knob_nobody_applies_is_reported_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let status = apply(&mut scheduler(dir.path()), &everything()).unwrap();
    assert_eq!(status.len(), 7);
    assert!(status.values().all(|said| matches!(said, Scheduled::Not(_))), "{status:?}");
    assert_eq!(
        status[&Knob::CpuUnits].to_string(),
        "not applied: this cgroup has no cpu.weight: the cpu controller is not enabled for it"
    );
    let dir = fixture();
    let schedule = Schedule { devices: vec![], ..everything() };
    let status = apply(&mut scheduler(dir.path()), &schedule).unwrap();
    assert!(status[&Knob::IoLimit].to_string().contains("no block device"));
}

#[test]
fn an_empty_schedule_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert!(apply(&mut scheduler(dir.path()), &Schedule::default()).unwrap().is_empty());
}

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use ubc_core::{Observation, PerResource, Resource};

use super::Controllers;
use crate::meter::Findings;
use crate::{Error, Metered, Result};

/// The stat and event files of a real cgroup. In the binary, so that the
/// tests also run on a machine without the sources.
macro_rules! fixture {
    ($kernel:literal) => {
        [
            (
                "memory.stat",
                include_str!(concat!("../../../tests/fixtures/", $kernel, "/memory.stat")),
            ),
            (
                "memory.events",
                include_str!(concat!("../../../tests/fixtures/", $kernel, "/memory.events")),
            ),
            (
                "memory.swap.events",
                include_str!(concat!("../../../tests/fixtures/", $kernel, "/memory.swap.events")),
            ),
            (
                "pids.events",
                include_str!(concat!("../../../tests/fixtures/", $kernel, "/pids.events")),
            ),
        ]
    };
}

type Fixture = [(&'static str, &'static str); 4];
const LINUX_6_1: Fixture = fixture!("linux-6.1");
const LINUX_6_12: Fixture = fixture!("linux-6.12");

/// A directory that looks like a cgroup of this kernel, with these numbers.
fn cgroup(kernel: Fixture, numbers: Fixture) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (file, text) in kernel.into_iter().chain(numbers) {
        fs::write(dir.path().join(file), text).unwrap();
    }
    dir
}

fn read(dir: &Path) -> Result<(PerResource<Observation>, PerResource<Metered>)> {
    let handle = fs::File::open(dir).unwrap();
    let mut findings = Findings::default();
    Controllers::open(handle.as_fd(), dir)?.find(&mut findings)?;
    Ok(findings.finish())
}

const NUMBERS: Fixture = [
    ("memory.current", "1134592\n"),
    ("memory.peak", "2000000\n"),
    ("memory.swap.current", "8192\n"),
    ("pids.current", "3\n"),
];

#[test]
fn the_files_of_both_kernels_give_every_row_they_hold() {
    for (kernel, kernel_bytes, reclaimable, anon) in
        [(LINUX_6_1, 77_824, 200, 49_152u64), (LINUX_6_12, 86_016, 0, 53_248)]
    {
        let dir = cgroup(kernel, NUMBERS);
        let (rows, metered) = read(dir.path()).unwrap();
        let page = rustix::param::page_size() as u64;
        let held = |row: Resource| rows[row].held.unwrap();
        assert_eq!(held(Resource::KmemSize), kernel_bytes);
        assert_eq!(held(Resource::DcacheSize), reclaimable);
        assert_eq!(held(Resource::ShmPages), 1_003_520u64.div_ceil(page));
        assert_eq!(held(Resource::OomGuarPages), (anon + 8192).div_ceil(page));
        assert_eq!(held(Resource::SwapPages), 8192 / page);
        assert_eq!(
            rows[Resource::PhysPages],
            Observation {
                held: Some(1_134_592u64.div_ceil(page)),
                peak: Some(2_000_000u64.div_ceil(page)),
                failures: Some(0)
            }
        );
        // No pids.peak here: the peak is unknown, not 0.
        let numproc = Observation { held: Some(3), peak: None, failures: Some(0) };
        assert_eq!(rows[Resource::NumProc], numproc);
        assert_eq!(metered[Resource::KmemSize].to_string(), "memory.stat kernel (near)");
    }
}

#[test]
fn failures_come_from_the_counter_that_means_them() {
    let dir = cgroup(LINUX_6_1, NUMBERS);
    let write = |file: &str, text: &str| fs::write(dir.path().join(file), text).unwrap();
    write("memory.events", "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n");
    write("memory.swap.events", "high 7\nmax 8\nfail 9\n");
    write("pids.events", "max 10\n");
    let (rows, _) = read(dir.path()).unwrap();
    let failures = |row: Resource| rows[row].failures;
    assert_eq!(failures(Resource::PhysPages), Some(4), "reclaim that helped is no failure");
    assert_eq!(failures(Resource::OomGuarPages), Some(5));
    assert_eq!(failures(Resource::SwapPages), Some(8), "a full swap device is not this limit");
    assert_eq!(failures(Resource::NumProc), Some(10));
}

#[test]
fn a_kernel_without_the_kernel_line_gives_the_sum_of_its_parts() {
    let dir = cgroup(LINUX_6_1, NUMBERS);
    let text = fs::read_to_string(dir.path().join("memory.stat")).unwrap();
    fs::write(dir.path().join("memory.stat"), text.replace("kernel 77824\n", "")).unwrap();
    let (rows, metered) = read(dir.path()).unwrap();
    assert_eq!(rows[Resource::KmemSize].held, Some(25_776 + 20_480));
    assert!(metered[Resource::KmemSize].to_string().ends_with("(lower bound)"));
}

#[test]
fn a_cgroup_without_controllers_knows_nothing_rather_than_zero() {
    let dir = tempfile::tempdir().unwrap();
    let (rows, metered) = read(dir.path()).unwrap();
    for (resource, row) in rows.iter() {
        assert_eq!(*row, Observation::default(), "{resource}");
        assert!(!metered[resource].is_present());
    }
    assert_eq!(
        metered[Resource::KmemSize].to_string(),
        "absent: memory controller is not in cgroup v2 here"
    );
}

#[test]
fn garbage_is_an_error_with_file_and_line() {
    for (file, text, line) in [
        ("memory.stat", "anon 1\nfile many\n", 2),
        ("memory.current", "12 pages\n", 1),
        ("pids.events", "max\n", 1),
    ] {
        let dir = cgroup(LINUX_6_12, NUMBERS);
        fs::write(dir.path().join(file), text).unwrap();
        let Err(Error::Parse { path, source }) = read(dir.path()) else { panic!("{file}") };
        assert_eq!((path, source.line), (dir.path().join(file), line));
    }
}

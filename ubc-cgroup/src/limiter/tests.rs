use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use ubc_core::{Limits, PerResource, Resource, UNLIMITED};

use super::{Limiter, plan};
use crate::{Cgroup, Enforced, Error, Host, Target};

fn limits(rows: &[(Resource, u64, u64)]) -> PerResource<Option<Limits>> {
    let mut limits = PerResource::default();
    for (resource, barrier, limit) in rows {
        limits[*resource] = Some(Limits::new(*barrier, *limit).unwrap());
    }
    limits
}

fn planned(rows: &[(Resource, u64, u64)]) -> Vec<(&'static str, String)> {
    plan::writes(&limits(rows), 4096).into_iter().map(|w| (w.file, w.value)).collect()
}

fn expect(pairs: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    pairs.iter().map(|(file, value)| (*file, (*value).to_owned())).collect()
}

#[test]
fn fork_stops_at_the_lower_of_barrier_and_limit() {
    assert_eq!(planned(&[(Resource::NumProc, 100, 200)]), expect(&[("pids.max", "100")]));
    assert_eq!(planned(&[(Resource::NumProc, 200, 100)]), expect(&[("pids.max", "100")]));
    assert_eq!(planned(&[(Resource::NumProc, 0, 0)]), expect(&[("pids.max", "0")]));
    // More than the kernel takes (EINVAL above PID_MAX_LIMIT) is no limit.
    for most in [4 << 20, UNLIMITED] {
        assert_eq!(planned(&[(Resource::NumProc, most, most)]), expect(&[("pids.max", "max")]));
    }
}

#[test]
fn a_barrier_of_zero_does_not_throttle_a_container_to_nothing() {
    // PHYSPAGES="0:65536" is what every configuration of the time says.
    assert_eq!(
        planned(&[(Resource::PhysPages, 0, 65_536)]),
        expect(&[("memory.high", "max"), ("memory.max", "268435456")])
    );
    assert_eq!(
        planned(&[(Resource::PhysPages, 50_000, 65_536)]),
        expect(&[("memory.high", "204800000"), ("memory.max", "268435456")])
    );
    assert_eq!(
        planned(&[(Resource::PhysPages, 65_536, 65_536)])[0],
        ("memory.high", "max".to_owned())
    );
}

#[test]
fn values_beyond_the_kernels_counter_are_no_limit_and_nothing_overflows() {
    for pages in [UNLIMITED, UNLIMITED - 1, UNLIMITED / 4096, u64::MAX >> 12] {
        let writes = planned(&[(Resource::SwapPages, pages, pages)]);
        assert_eq!(writes, expect(&[("memory.swap.max", "max")]), "{pages}");
    }
    let largest = UNLIMITED / 4096 - 1;
    assert_eq!(
        planned(&[(Resource::SwapPages, 0, largest)]),
        expect(&[("memory.swap.max", "9223372036854767616")])
    );
}

#[test]
fn an_unlimited_guarantee_does_not_protect_everything() {
    assert_eq!(
        planned(&[(Resource::OomGuarPages, UNLIMITED, UNLIMITED)]),
        expect(&[("memory.low", "0")])
    );
    assert_eq!(
        planned(&[(Resource::OomGuarPages, 1000, UNLIMITED)]),
        expect(&[("memory.low", "4096000")])
    );
}

/// A directory with controller files as the kernel fills them at creation.
fn fixture() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (file, value) in [
        ("memory.high", "max\n"),
        ("memory.max", "max\n"),
        ("memory.swap.max", "max\n"),
        ("memory.low", "0\n"),
        ("pids.max", "max\n"),
    ] {
        fs::write(dir.path().join(file), value).unwrap();
    }
    dir
}

fn limiter(dir: &Path) -> Limiter {
    Limiter::of_directory(fs::File::open(dir).unwrap().as_fd(), dir).unwrap()
}

#[test]
fn each_row_says_which_file_keeps_its_limit() {
    let dir = fixture();
    let rows = [
        (Resource::PhysPages, 0, 1000),
        (Resource::SwapPages, 0, 0),
        (Resource::NumProc, 50, 50),
        (Resource::OomGuarPages, 10, UNLIMITED),
        (Resource::NumFile, 10, 10),
    ];
    let enforced = limiter(dir.path()).apply(&limits(&rows)).unwrap();
    let page = rustix::param::page_size();
    let read = |file: &str| fs::read_to_string(dir.path().join(file)).unwrap();
    assert_eq!(read("memory.max"), (1000 * page).to_string());
    assert_eq!(read("memory.swap.max"), "0");
    assert_eq!(read("pids.max"), "50");
    assert_eq!(read("memory.low"), (10 * page).to_string());
    assert_eq!(enforced[Resource::NumProc].to_string(), "pids.max (untested)");
    assert_eq!(enforced[Resource::OomGuarPages], Enforced::Guarantee("memory.low"));
    assert!(matches!(enforced[Resource::NumFile], Enforced::ObservedOnly(_)));
    assert!(matches!(enforced[Resource::KmemSize], Enforced::ObservedOnly(_)));
}

#[test]
fn a_failure_puts_back_what_was_written_before_it() {
    let dir = fixture();
    // Reading a directory fails with EISDIR, after three files were written.
    fs::remove_file(dir.path().join("pids.max")).unwrap();
    fs::create_dir(dir.path().join("pids.max")).unwrap();
    let rows = [
        (Resource::PhysPages, 500, 1000),
        (Resource::SwapPages, 0, 7),
        (Resource::NumProc, 50, 50),
    ];
    let error = limiter(dir.path()).apply(&limits(&rows)).unwrap_err();
    let Error::Limit { target, path, value, source, restore } = &error else { panic!("{error}") };
    assert_eq!((*target, value.as_str()), (Target::Row(Resource::NumProc), "50"));
    assert_eq!(path, &dir.path().join("pids.max"));
    assert_eq!(source.raw_os_error(), Some(libc::EISDIR));
    assert!(restore.is_empty());
    for file in ["memory.high", "memory.max", "memory.swap.max"] {
        assert_eq!(fs::read_to_string(dir.path().join(file)).unwrap(), "max", "{file}");
    }
}

#[test]
fn a_symlink_in_the_place_of_a_file_is_not_followed() {
    let dir = fixture();
    let target = dir.path().join("victim");
    fs::write(&target, "max\n").unwrap();
    fs::remove_file(dir.path().join("pids.max")).unwrap();
    std::os::unix::fs::symlink(&target, dir.path().join("pids.max")).unwrap();
    assert!(limiter(dir.path()).apply(&limits(&[(Resource::NumProc, 5, 5)])).is_err());
    assert_eq!(fs::read_to_string(target).unwrap(), "max\n");
}

/// The files every real cgroup has, controller or not, stand in for the
/// controllers' here: they too are parsed, kept and refused by the kernel.
#[test]
fn the_kernels_own_refusal_and_rounding_are_noticed_and_undone() {
    let host = match Host::probe() {
        Ok(host) => host,
        Err(error) => {
            crate::testing::skip(&error);
            return;
        }
    };
    let cgroup =
        Cgroup::create(&host, &format!("ubc-test-limiter-{}", std::process::id())).unwrap();
    let limiter = Limiter::new(&cgroup).unwrap();
    let write =
        |file, value: &str| plan::Write::new(Resource::NumProc, file, value.to_owned(), true);
    let refused = limiter
        .apply_all(&[write("cgroup.max.descendants", "9"), write("cgroup.max.depth", "-3")])
        .unwrap_err();
    let after_refusal = cgroup.read("cgroup.max.descendants").unwrap();
    // The kernel takes hexadecimal and keeps 16.
    let rounded = limiter
        .apply_all(&[write("cgroup.max.depth", "7"), write("cgroup.max.descendants", "0x10")])
        .unwrap_err();
    let after_rounding =
        [cgroup.read("cgroup.max.depth").unwrap(), cgroup.read("cgroup.max.descendants").unwrap()];
    let good = limiter.apply_all(&[write("cgroup.max.depth", "7")]);
    let kept = cgroup.read("cgroup.max.depth").unwrap();
    cgroup.remove().unwrap();
    let gone = limiter.apply_all(&[write("cgroup.max.depth", "8")]);

    assert!(matches!(refused, Error::Limit { .. }), "{refused}");
    assert_eq!(after_refusal, b"max\n");
    let Error::LimitReadsBack { wanted, got, .. } = &rounded else { panic!("{rounded}") };
    assert_eq!((wanted.as_str(), got.as_str()), ("0x10", "16"));
    assert_eq!(after_rounding, [b"max\n", b"max\n"]);
    assert!(good.unwrap()[Resource::NumProc].is_enforced());
    assert_eq!(kept, b"7\n");
    assert!(matches!(gone, Err(Error::Removed { .. })), "{gone:?}");
}

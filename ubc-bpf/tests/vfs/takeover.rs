//! Programs outlive the process that installed them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libbpf_rs::MapHandle;
use ubc_bpf::{Enforcer, Faults, Standing};
use ubc_core::{Limits, PerResource, Resource};

use crate::common::storm::{Exposed, Gust, storm};
use crate::common::task::Task;
use crate::common::{Scratch, all_given_back, disown, enforcer, install, refuses, turn};
use crate::storms;

#[test]
fn limits_hold_while_nobody_watches_and_another_build_takes_over() {
    let test = "limits_hold_while_nobody_watches_and_another_build_takes_over";
    // Nobody else installs programs meanwhile.
    let _turn = turn();
    let before = programs();
    let (first, options) = install();
    if !refuses(test, &first) {
        drop(first);
        Enforcer::uninstall(&options.root).expect("everything is removed");
        return;
    }
    assert!(before.is_none() || loaded_since(before.as_ref()) > 0);
    let scratch = Scratch::new();
    let slot = first.add(scratch.dir.as_fd(), 1, None).expect("there is room");
    let mut task = Task::start(&scratch.path, |port| {
        let mut files = Vec::new();
        loop {
            match port.hear() {
                0 => break,
                1 => {
                    let open = File::open("/dev/null");
                    port.say(
                        open.as_ref()
                            .err()
                            .and_then(std::io::Error::raw_os_error)
                            .unwrap_or(0)
                            .into(),
                    );
                    files.extend(open);
                }
                _ => {
                    files.pop();
                    port.say(0);
                }
            }
        }
    });
    let mut limits = PerResource::default();
    limits[Resource::NumFile] = Some(Limits { barrier: 3, limit: 3 });
    first.set_limits(slot, &limits).expect("writable");
    let try_open = |task: &mut Task| {
        task.say(1);
        task.hear()
    };
    for _ in 0..3 {
        assert_eq!(try_open(&mut task), 0);
    }
    drop(first);
    assert_eq!(try_open(&mut task), libc::ENFILE.into(), "while nobody watches");
    let second = Enforcer::open(&options).expect("it takes over");
    let count = second.counts(slot).expect("readable")[Resource::NumFile];
    assert_eq!((count.held, count.maxheld, count.failcnt), (3, 3, 1));
    let again = second.add(scratch.dir.as_fd(), 1, None).expect("it is there");
    assert_eq!(again, slot, "the same place");
    assert_eq!(try_open(&mut task), libc::ENFILE.into());
    drop(second);

    disown(&options.root);
    let maps = options.root.join("maps");
    let mut unknown = MapHandle::from_pinned_path(maps.join("ubc_faults")).expect("a map");
    unknown.pin(maps.join("ubc_of_another_build")).expect("pinned");
    let third = Enforcer::open(&options).expect("it takes over");
    assert!(maps.join("ubc_faults").exists());
    assert!(!maps.join("ubc_of_another_build").exists(), "a map that nobody knows");
    assert!(third.standings().iter().any(|(_, standing)| *standing == Standing::OnDuty));
    let left: Vec<_> = fs::read_dir(&options.root)
        .expect("it is there")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("text"))
        .collect();
    assert!(left.iter().any(|name| name.starts_with("2-")), "{left:?}");
    assert!(!left.iter().any(|name| name.starts_with("1-")), "{left:?}");
    assert_eq!(third.counts(slot).expect("readable")[Resource::NumFile].held, 3);
    assert_eq!(try_open(&mut task), libc::ENFILE.into(), "after the change");
    task.say(2);
    assert_eq!(task.hear(), 0);
    assert_eq!(try_open(&mut task), 0, "given back to the new one");
    assert_eq!(try_open(&mut task), libc::ENFILE.into());
    let count = third.counts(slot).expect("readable")[Resource::NumFile];
    assert_eq!((count.held, count.maxheld, count.failcnt), (3, 3, 4));
    task.say(0);
    task.join();
    all_given_back(&third);
    assert_eq!(third.faults().expect("readable"), Faults::default());

    // Nothing of it stays.
    let pinned = pins(&options.root);
    assert!(pinned.iter().any(|name| name == "ubc_file_alloc"), "{pinned:?}");
    drop(third);
    assert!(Enforcer::uninstall(&options.root).expect("removable"));
    assert!(!options.root.exists());
    assert!(!Enforcer::uninstall(&options.root).expect("nothing to remove"));
    // The kernel lets go of them when no processor can be in one any more.
    for _ in 0..60 {
        if loaded_since(before.as_ref()) == 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    assert_eq!(loaded_since(before.as_ref()), 0, "programs of ours in the kernel");
}

#[test]
fn a_change_of_builds_in_a_storm_loses_nothing() {
    let test = "a_change_of_builds_in_a_storm_loses_nothing";
    let Some(installed) = enforcer(test) else { return };
    let scratch = Scratch::new();
    let slot = installed.add(scratch.dir.as_fd(), 1, None).expect("there is room");
    let mut limits = PerResource::default();
    for (resource, limit) in [
        (Resource::NumProc, 6),
        (Resource::NumFile, 12),
        (Resource::NumFlock, 5),
        (Resource::NumPty, 2),
    ] {
        limits[resource] = Some(Limits { barrier: limit, limit });
    }
    installed.set_limits(slot, &limits).expect("writable");
    let gusts = [storms::forks, storms::opens, storms::ptys, storms::locks] as [Gust; 4];
    let exposed = Exposed { cgroup: &scratch.path, slot, gusts: &gusts };
    let mut changes = 0;
    storm(&installed, &[exposed], Duration::from_secs(1), false, |_| {
        if changes < 2 {
            disown(&installed.options.root);
            Enforcer::open(&installed.options).expect("it takes over");
            changes += 1;
        }
    });
    all_given_back(&installed);
    // Of kernel memory a cgroup keeps some as long as it is there.
    let counts = installed.counts(slot).expect("readable");
    for (resource, count) in counts.iter().filter(|(row, _)| *row != Resource::KmemSize) {
        assert_eq!(count.held, 0, "{resource}");
    }
    // Both builds may have looked at what happened during the change itself. The
    // second then takes the first one's record for an old one and replaces it.
    let faults = installed.faults().expect("readable");
    println!("{faults:?}");
    assert_eq!(Faults { stale_objects: 0, ..faults }, Faults::default());
}

/// What is pinned below a directory.
fn pins(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        found.push(entry.file_name().to_string_lossy().into_owned());
        found.extend(pins(&entry.path()));
    }
    found
}

/// The programs of ours the kernel has, by their numbers, which are never used again.
fn programs() -> Option<BTreeSet<u64>> {
    let Ok(list) = Command::new("bpftool").args(["prog", "list"]).output() else {
        println!("SKIP: counting programs: no bpftool");
        return None;
    };
    let list = String::from_utf8_lossy(&list.stdout);
    let ours = list.lines().filter(|line| line.contains("name ubc_"));
    Some(ours.filter_map(|line| line.split_once(':')?.0.parse().ok()).collect())
}

/// How many of them came later.
fn loaded_since(before: Option<&BTreeSet<u64>>) -> usize {
    match (programs(), before) {
        (Some(now), Some(before)) => now.difference(before).count(),
        _ => 0,
    }
}

//! Programs outlive the process that installed them.

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Command;

use ubc_bpf::{Enforcer, Standing};
use ubc_core::{Limits, PerResource, Resource};

use crate::common::task::Task;
use crate::common::{Scratch, enforcer};

#[test]
fn limits_hold_while_nobody_watches_and_another_build_takes_over() {
    let test = "limits_hold_while_nobody_watches_and_another_build_takes_over";
    let before = programs();
    let Some(installed) = enforcer(test) else { return };
    assert!(before.is_none() || programs() > before);
    let (first, options) = installed.keep();
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
                        open.as_ref().err().and_then(|e| e.raw_os_error()).unwrap_or(0).into(),
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

    // What another build left: its generation is not ours.
    let generation = fs::read_dir(&options.root)
        .expect("it is there")
        .map(|entry| entry.expect("readable").path())
        .find(|path| !path.ends_with("maps"))
        .expect("one generation");
    fs::rename(&generation, options.root.join("1-0123456789abcdef")).expect("renamed");
    let third = Enforcer::open(&options).expect("it takes over");
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
    for _ in 0..200 {
        if third.objects() == 0 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(third.objects(), 0);
    assert_eq!(third.faults().expect("readable"), ubc_bpf::Faults::default());

    // Nothing of it stays.
    let pinned = pins(&options.root);
    assert!(pinned.iter().any(|name| name == "ubc_file_alloc"), "{pinned:?}");
    drop(third);
    assert!(Enforcer::uninstall(&options.root).expect("removable"));
    assert!(!options.root.exists());
    assert!(!Enforcer::uninstall(&options.root).expect("nothing to remove"));
    for _ in 0..500 {
        if programs() == before {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(programs(), before, "programs of ours in the kernel");
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

/// How many programs of ours the kernel has.
fn programs() -> Option<usize> {
    let Ok(list) = Command::new("bpftool").args(["prog", "list"]).output() else {
        println!("SKIP: counting programs: no bpftool");
        return None;
    };
    Some(String::from_utf8_lossy(&list.stdout).matches("name ubc_").count())
}

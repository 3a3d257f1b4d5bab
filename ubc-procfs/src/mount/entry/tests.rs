//! The way itself, on a name that every procfs has. That the name is
//! `user_beancounters` needs a kernel module, and is tested where one is built.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ubc_core::{PerResource, Reading, Resource, Row};

use super::*;
use crate::text::meminfo::{HostMemory, MemorySize};

#[path = "../../../tests/common/container.rs"]
mod container;

use container::{Container, skip};

const SIZE: MemorySize = MemorySize::Pages(65536);

/// With a physpages limit, and one page more held at each reading.
#[derive(Default)]
struct Limited(AtomicU64);

impl Source for Limited {
    fn ids(&self) -> Vec<ContainerId> {
        vec![ctid()]
    }

    fn reading(&self, id: ContainerId) -> io::Result<Reading> {
        let mut rows = PerResource::from_fn(|_| Row::default());
        rows[Resource::PhysPages].limit = 65536;
        rows[Resource::PhysPages].held = self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Reading { id, rows })
    }

    fn host_memory(&self) -> io::Result<HostMemory> {
        Ok(HostMemory { ram: 1 << 40, swap: 0, page: 4096 })
    }
}

fn ctid() -> ContainerId {
    ContainerId::new(101).unwrap()
}

fn attach(container: &Container, contents: &[Content]) -> Result<NativeEntry, AttachError> {
    let process = ContainerProcess::open(container.init).unwrap();
    let source: Arc<dyn Source> = Arc::<Limited>::default();
    let place = Place::default();
    let keeping = Keeping::by_nobody(&place, process.owner()?);
    NativeEntry::attach(ctid(), &process, &place, &source, contents, &keeping)
}

const TOTAL: &str = "MemTotal:         262144 kB\n";

#[test]
fn the_file_is_on_the_name_and_nothing_else_of_proc_changes() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let list = "ls -a /proc | grep -v '^[0-9]*$'; stat -f -c %T /proc; readlink -m /proc/uptime";
    let before = container.sh(list).unwrap();
    let view = attach(&container, &[Content::Meminfo(SIZE)]).unwrap();
    assert_eq!(container.sh("head -n 1 /proc/meminfo").unwrap(), TOTAL);
    assert_eq!(
        container.sh("stat -c '%s %a %F' /proc/meminfo").unwrap(),
        "4096 444 regular file\n"
    );
    assert_eq!(container.sh(list).unwrap(), before);
    assert!(container.sh("echo 1 > /proc/meminfo").is_err());
    assert!(container.sh("chmod 600 /proc/meminfo").unwrap_err().contains("not permitted"));
    // A reader that goes by the size gets all of it, by sendfile(2) too.
    let lines = container.sh("wc -l < /proc/meminfo; busybox cat /proc/meminfo | wc -l").unwrap();
    assert_eq!(lines, "13\n13\n");

    let again = attach(&container, &[Content::Meminfo(SIZE)]);
    assert!(matches!(again, Err(AttachError::Covered { .. })));
    assert_eq!(container.sh("head -n 1 /proc/meminfo").unwrap(), TOTAL);

    view.detach(&ContainerProcess::open(container.init).unwrap()).unwrap();
    assert_ne!(container.sh("head -n 1 /proc/meminfo").unwrap(), TOTAL);
    assert_eq!(container.sh(list).unwrap(), before);
}

#[test]
fn top_which_rewinds_its_descriptor_sees_the_memory_change() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let _view = attach(&container, &[Content::Meminfo(SIZE)]).unwrap();
    let script = "import os
fd = os.open('/proc/meminfo', os.O_RDONLY)
free = lambda: int(os.pread(fd, 4096, 0).split()[4])
print(free() - free(), free() - free())";
    assert_eq!(container.sh(&format!("python3 -c \"{script}\"")).unwrap(), "4 4\n");
}

#[test]
fn a_mount_of_somebody_else_on_top_is_theirs_to_take_away() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let view = attach(&container, &[Content::Meminfo(SIZE)]).unwrap();
    container.sh("mount --bind /proc/version /proc/meminfo").unwrap();
    let error = view.detach(&ContainerProcess::open(container.init).unwrap()).unwrap_err();
    assert!(matches!(error, AttachError::Mount { .. }), "{error}");
    assert!(container.sh("cat /proc/meminfo").unwrap().starts_with("Linux version"));
}

#[test]
fn one_name_that_cannot_be_covered_leaves_none_covered() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    if std::path::Path::new("/proc/user_beancounters").exists() {
        return println!("SKIP: this kernel has the name");
    }
    let both = [Content::Meminfo(SIZE), Content::UserBeancounters];
    let error = attach(&container, &both).unwrap_err();
    assert!(matches!(error, AttachError::Mount { .. }), "{error}");
    assert!(error.to_string().contains("/proc/user_beancounters"), "{error}");
    assert_ne!(container.sh("head -n 1 /proc/meminfo").unwrap(), TOTAL);
}

#[test]
fn a_name_covered_by_somebody_else_is_refused_even_by_the_same_procfs() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    container.sh("mount --bind /proc/version /proc/meminfo").unwrap();
    let error = attach(&container, &[Content::Meminfo(SIZE)]).unwrap_err();
    assert!(matches!(error, AttachError::Covered { .. }), "{error}");
    assert!(container.sh("cat /proc/meminfo").unwrap().starts_with("Linux version"));
}

#[test]
fn a_namespace_made_by_the_container_cannot_uncover_the_name() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let _view = attach(&container, &[Content::Meminfo(SIZE)]).unwrap();
    // Root of a user namespace of its own, with a copy of all mounts.
    let script = "umount /proc/meminfo || umount -l /proc/meminfo; head -n 1 /proc/meminfo";
    let nested = container.sh(&format!("unshare -Urm sh -c '{script}'")).unwrap();
    assert_eq!(nested, TOTAL);
    // Root that may not mount.
    let bare = format!("setpriv --bounding-set -sys_admin sh -c '{script}'");
    assert_eq!(container.sh(&bare).unwrap(), TOTAL);
}

#[test]
fn the_server_ends_with_the_container_and_is_in_no_namespace_of_it() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let view = attach(&container, &[Content::Meminfo(SIZE)]).unwrap();
    assert!(view.is_served());
    let inside = std::fs::metadata(format!("/proc/{}/ns/mnt", container.init)).unwrap().ino();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        // Helpers of other tests may end meanwhile.
        let Ok(found) = std::fs::metadata(task.unwrap().path().join("ns/mnt")) else { continue };
        assert_ne!(found.ino(), inside);
    }
    drop(container);
    let started = Instant::now();
    while view.is_served() {
        assert!(started.elapsed() < Duration::from_secs(20), "still served");
        std::thread::sleep(Duration::from_millis(5));
    }
}

//! The view in the /proc of a real container: new pid and mount namespaces
//! made by util-linux' unshare(1), looked at through nsenter(1).
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Container, Counting, attached, ctid, skip};
use ubc_procfs::text::meminfo::MemorySize;
use ubc_procfs::{AttachError, ContainerProcess, Meminfo, Place, PlainView, ProcView, Way};

/// The number in the numproc row of a file.
fn numproc(text: &str) -> u64 {
    let row = text.lines().find(|line| line.contains("numproc")).expect("a numproc row");
    row.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_container_sees_its_file_and_the_rest_of_proc_stays_native() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (view, _process) = attached(&container);
    assert!(view.is_served());

    let text = container.sh("cat /proc/user_beancounters").unwrap();
    assert_eq!(text.lines().next(), Some("Version: 2.5"));
    assert_eq!(text.lines().count(), 26);
    let size = container.sh("stat -c '%s %a %U' /proc/user_beancounters").unwrap();
    assert_eq!(size, format!("{} 400 root\n", text.len()));
    let bc = container.sh("ls /proc/bc /proc/bc/101; cat /proc/bc/101/resources").unwrap();
    assert!(bc.starts_with("/proc/bc:\n101\nresources\n\n/proc/bc/101:\nresources\n"), "{bc}");
    assert!(bc.contains("swappages"));
    assert!(container.sh("cat /proc/bc/102/resources").is_err());

    // Native files, processes, magic links and writes work below it.
    assert!(container.sh("cat /proc/meminfo /proc/self/status").unwrap().contains("MemTotal"));
    assert_eq!(container.sh("cat /proc/1/comm").unwrap(), "sleep\n");
    assert!(container.sh("readlink /proc/1/exe").unwrap().ends_with("/sleep\n"));
    assert_eq!(container.sh("echo hello | cat /proc/self/fd/0").unwrap(), "hello\n");
    assert!(container.sh("cat /proc/sys/kernel/ostype").unwrap() == "Linux\n");
    let ps = container.sh("ps -e -o comm=").unwrap();
    assert!(ps.lines().any(|name| name == "sleep"), "{ps}");
}

#[test]
fn the_listing_names_everything_once_and_hides_the_native_directory() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let list = "ls -a /proc | grep -v '^[0-9]*$' | sort";
    let before = container.sh(list).unwrap();
    let (_view, _process) = attached(&container);
    let after = container.sh(list).unwrap();
    let mut expected: Vec<&str> = before.lines().chain(["bc", "user_beancounters"]).collect();
    expected.sort_unstable();
    let mut shown: Vec<&str> = after.lines().collect();
    shown.sort_unstable();
    assert_eq!(shown, expected);
    assert!(container.sh("ls /proc").unwrap().lines().any(|name| name == "1"));
}

#[test]
fn two_opens_never_mix_their_readings() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (_view, _process) = attached(&container);
    // Two files open at once, read in small pieces, turn about.
    let script = "exec 3</proc/user_beancounters 4</proc/user_beancounters
        : >/tmp/ubc-a-$$; : >/tmp/ubc-b-$$
        i=0; while [ $i -lt 60 ]; do
            dd bs=64 count=1 <&3 >>/tmp/ubc-a-$$ 2>/dev/null
            dd bs=64 count=1 <&4 >>/tmp/ubc-b-$$ 2>/dev/null
            i=$((i + 1))
        done
        cat /tmp/ubc-a-$$ /tmp/ubc-b-$$; rm /tmp/ubc-a-$$ /tmp/ubc-b-$$";
    let both = container.sh(script).unwrap();
    let (a, b) = both.split_at(both.rfind("Version").unwrap());
    assert_eq!(a.lines().count(), 26);
    assert_eq!(b.lines().count(), 26);
    assert_eq!(numproc(b), numproc(a) + 1, "each open is one reading");
}

#[test]
fn a_reader_that_rewinds_gets_a_new_reading() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (_view, _process) = attached(&container);
    let script = "import os
fd = os.open('/proc/user_beancounters', os.O_RDONLY)
held = lambda: int([l for l in os.pread(fd, 9999, 0).splitlines() if b'numproc' in l][0].split()[1])
first = held()
print(held() - first, held() - first)";
    assert_eq!(container.sh(&format!("python3 -c \"{script}\"")).unwrap(), "1 2\n");
}

#[test]
fn only_root_of_the_container_may_read_and_nobody_may_write() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (_view, _process) = attached(&container);
    let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let error = container.sh(&format!("{nobody} cat /proc/user_beancounters")).unwrap_err();
    assert!(error.contains("Permission denied"), "{error}");
    let error = container.sh(&format!("{nobody} readlink -v /proc/1/exe")).unwrap_err();
    assert!(error.contains("Permission denied"), "{error}");
    assert!(container.sh(&format!("{nobody} cat /proc/1/comm")).is_ok());
    for script in [
        "echo 1 > /proc/user_beancounters",
        "touch /proc/new",
        "mkdir /proc/new",
        "rm /proc/user_beancounters",
        "chmod 666 /proc/user_beancounters",
    ] {
        assert!(container.sh(script).is_err(), "{script}");
    }
}

#[test]
fn root_of_a_user_namespace_is_the_owner_of_its_file() {
    if skip() {
        return;
    }
    let container = Container::start(&["--map-root-user"]);
    let (_view, _process) = attached(&container);
    let inside = |script: &str| {
        let output = Command::new("nsenter")
            .args(["-t", &container.init.to_string(), "-U", "-p", "-m", "sh", "-c", script])
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (ok, text) = inside("cat /proc/user_beancounters");
    assert!(ok && text.starts_with("Version: 2.5\n"), "{text}");
}

#[test]
fn attaching_twice_is_refused_and_detaching_brings_the_native_proc_back() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (view, process) = attached(&container);
    let again = ProcView::attach(ctid(), &process, &Place::default(), Arc::<Counting>::default());
    assert!(matches!(again, Err(AttachError::AlreadyAttached { .. })));
    view.detach(&process).unwrap();
    assert!(container.sh("test ! -e /proc/user_beancounters && cat /proc/1/comm").is_ok());
    assert_eq!(
        container.sh("grep -c ' /proc .* fuse.ubc ' /proc/self/mountinfo || true").unwrap(),
        "0\n"
    );
    assert!(
        ProcView::attach(ctid(), &process, &Place::default(), Arc::<Counting>::default()).is_ok()
    );
}

#[test]
fn a_directory_that_is_no_procfs_is_refused_and_left_alone() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let process = ContainerProcess::open(container.init).unwrap();
    for path in ["/", "/proc/sys", "/tmp"] {
        let place = Place { path: Path::new(path), ..Place::default() };
        let result = ProcView::attach(ctid(), &process, &place, Arc::<Counting>::default());
        assert!(matches!(result, Err(AttachError::NotProcfs { .. })), "{path}: {result:?}");
    }
    assert_eq!(
        container
            .sh("awk '$5 ~ \"^(/|/proc|/proc/sys|/tmp)$\"' /proc/self/mountinfo | grep -c fuse.ubc || true")
            .unwrap(),
        "0\n"
    );
}

/// A root file system as a runtime has it before it changes to it.
const ROOTFS: &str = "mount -t tmpfs none /mnt && mkdir /mnt/proc /mnt/real && \
    mount -t proc proc /mnt/proc && ln -s proc /mnt/link && ln -s / /mnt/out";

#[test]
fn before_the_runtime_changes_its_root_the_view_goes_below_it() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    container.sh(ROOTFS).unwrap();
    let process = ContainerProcess::open(container.init).unwrap();
    let below = |path: &str| {
        let source = Arc::<Counting>::default();
        let place = Place { root: Path::new("/mnt"), path: Path::new(path), meminfo: None };
        ProcView::attach(ctid(), &process, &place, source)
    };
    let view = below("/proc").unwrap();
    let text = container.sh("cat /mnt/proc/user_beancounters; ls /proc").unwrap();
    assert!(text.starts_with("Version: 2.5\n") && !text.contains("\nuser_bean"), "{text}");
    assert!(matches!(below("/proc"), Err(AttachError::AlreadyAttached { .. })));
    view.detach(&process).unwrap();
    container.sh("test ! -e /mnt/proc/user_beancounters && cat /mnt/proc/1/comm").unwrap();
}

#[test]
fn a_view_put_in_place_before_the_root_changed_is_found_after_it() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    container.sh(ROOTFS).unwrap();
    let process = ContainerProcess::open(container.init).unwrap();
    let place = Place { root: Path::new("/mnt"), ..Place::default() };
    let view = ProcView::attach(ctid(), &process, &place, Arc::<Counting>::default()).unwrap();
    container.sh("cd /mnt && mkdir old && pivot_root . old").unwrap();
    view.detach(&process).unwrap();
}

#[test]
fn a_link_in_a_hostile_root_file_system_leads_nowhere() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    container.sh(ROOTFS).unwrap();
    let process = ContainerProcess::open(container.init).unwrap();
    for path in ["/link", "/out/proc", "/real", "/../../proc/sys", "/nothing"] {
        let place = Place { root: Path::new("/mnt"), path: Path::new(path), meminfo: None };
        let result = ProcView::attach(ctid(), &process, &place, Arc::<Counting>::default());
        assert!(result.is_err(), "{path}");
    }
    let mounts = container.sh("grep -c fuse.ubc /proc/self/mountinfo || true").unwrap();
    let outside = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let inherited = outside.lines().filter(|line| line.contains("fuse.ubc")).count();
    assert!(mounts.trim().parse::<usize>().unwrap() <= inherited, "{mounts}");
}

#[test]
fn the_server_ends_with_its_container() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (view, _process) = attached(&container);
    container.sh("cat /proc/user_beancounters").unwrap();
    drop(container);
    let started = Instant::now();
    while view.is_served() {
        assert!(started.elapsed() < Duration::from_mins(1), "still served");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A view with a meminfo of 65536 pages. Rows of the source have no limits but
/// 0, so that physpages has one: nothing.
fn with_meminfo(container: &Container) -> (ProcView, ContainerProcess) {
    let process = ContainerProcess::open(container.init).unwrap();
    let place = Place { meminfo: Some(MemorySize::Pages(65536)), ..Place::default() };
    let view = ProcView::attach(ctid(), &process, &place, Arc::<Counting>::default()).unwrap();
    (view, process)
}

#[test]
fn a_meminfo_of_its_own_is_read_by_any_user_and_the_native_one_comes_back() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (view, process) = with_meminfo(&container);
    assert_eq!(view.meminfo(), Meminfo::Own(MemorySize::Pages(65536)));
    let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let text = container.sh(&format!("{nobody} cat /proc/meminfo")).unwrap();
    assert!(text.starts_with("MemTotal:              0 kB\nMemFree:"), "{text}");
    let stat = container.sh("stat -c '%s %a %F' /proc/meminfo").unwrap();
    assert_eq!(stat, "4096 444 regular file\n");
    // Listed once, as a file, and among the others.
    let find = "find /proc -maxdepth 1 -name meminfo -type f";
    assert_eq!(container.sh(find).unwrap(), "/proc/meminfo\n");
    assert!(container.sh("cat /proc/user_beancounters /proc/uptime").is_ok());
    assert!(container.sh("echo 1 > /proc/meminfo").is_err());
    view.detach(&process).unwrap();
    let native = std::fs::read_to_string("/proc/meminfo").unwrap();
    let total = container.sh("head -n 1 /proc/meminfo").unwrap();
    assert_eq!(Some(total.trim_end()), native.lines().next());
}

#[test]
fn opens_of_meminfo_by_anybody_do_not_use_up_those_of_root() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (_view, _process) = with_meminfo(&container);
    let script = "import os, sys
files = []
try:
    while len(files) < 2000: files.append(os.open('/proc/meminfo', os.O_RDONLY))
except OSError as error: print(error.errno, len(files))
os.read(os.open('/proc/user_beancounters', os.O_RDONLY), 9)";
    let said = container.sh(&format!("ulimit -n 4096; python3 -c \"{script}\"")).unwrap();
    assert_eq!(said, format!("{} 1024\n", libc_enfile()));
}

fn libc_enfile() -> i32 {
    rustix::io::Errno::NFILE.raw_os_error()
}

#[test]
fn a_meminfo_that_something_else_covers_is_left_alone() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    // As lxcfs does.
    container
        .sh("mount -t tmpfs none /mnt && echo theirs >/mnt/m && mount --bind /mnt/m /proc/meminfo")
        .unwrap();
    let (view, process) = with_meminfo(&container);
    assert_eq!(view.meminfo(), Meminfo::LeftToOther);
    assert_eq!(container.sh("cat /proc/meminfo").unwrap(), "theirs\n");
    assert!(container.sh("cat /proc/user_beancounters").is_ok());
    view.detach(&process).unwrap();
    assert_eq!(container.sh("cat /proc/meminfo").unwrap(), "theirs\n");
}

#[test]
fn the_way_is_told_by_what_the_procfs_has() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let here = Path::new("/proc/user_beancounters").exists();
    assert_eq!(Way::here() == Way::NativeEntry, here);
    let (view, _process) = attached(&container);
    assert_eq!(view.way(), Way::here());
}

#[test]
fn the_hosts_plain_view_shows_the_same_and_leaves_nothing_mounted() {
    if skip() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let owner = ubc_procfs::Owner::default();
    let view = PlainView::mount(dir.path(), Arc::<Counting>::default(), owner).unwrap();
    let text = std::fs::read_to_string(dir.path().join("user_beancounters")).unwrap();
    assert!(text.starts_with("Version: 2.5\n"));
    let mut names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["bc", "user_beancounters"]);
    assert!(std::fs::read(dir.path().join("bc/101/resources")).is_ok());
    assert!(!dir.path().join(".proc").exists());
    assert!(!dir.path().join("1").exists());
    drop(view);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn what_a_dead_server_left_is_cleared_and_nothing_else() {
    if skip() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let owner = ubc_procfs::Owner::default();
    let left = PlainView::mount(dir.path(), Arc::<Counting>::default(), owner).unwrap();
    std::mem::forget(left);
    PlainView::clear(dir.path()).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    // A mount that is no view stays.
    PlainView::clear(Path::new("/proc")).unwrap();
    assert!(Path::new("/proc/self/status").exists());
}

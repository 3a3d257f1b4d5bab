//! All that can be asked of a file system, of one that can only be read.
#![allow(unsafe_code, reason = "no safe wrapper has mmap(2)")]

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{
    Access, AtFlags, CWD, FallocateFlags, FileType, FlockOperation, Gid, Mode, SeekFrom,
    Timestamps, Uid, XattrFlags,
};

use crate::common::{Node, skip};
use crate::usage::{Guard, proc_of};

/// What the view answers is the file, and nothing else.
fn reads(file: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.starts_with("Version: 2.5\n") && text.lines().count() == 26, "{text}");
}

/// A page of a file, by a private mapping; `None` where it cannot be mapped.
fn mapped(file: &File, protection: i32, flags: i32) -> Option<[u8; 8]> {
    // SAFETY: a new mapping at an address of the kernel's choice, looked at only
    // as far as a page, and unmapped before anybody else knows of it.
    unsafe {
        let none = std::ptr::null_mut();
        let page = libc::mmap(none, 4096, protection, flags, file.as_raw_fd(), 0);
        if page == libc::MAP_FAILED {
            return None;
        }
        let start = page.cast::<[u8; 8]>().read();
        libc::munmap(page, 4096);
        Some(start)
    }
}

#[test]
fn nothing_that_is_asked_of_the_view_changes_it_or_ends_its_server() {
    if skip() {
        return;
    }
    let node = Node::start();
    let _guard = Guard::over(&node);
    let container = node.container("90000720", &["--meminfo", "pages:16384"]);
    let (proc, daemon) = (proc_of(&node, "90000720"), node.daemon_pid());
    let files = ["user_beancounters", "bc/resources", "bc/90000720/resources", "meminfo"];
    for file in files.map(|name| proc.join(name)) {
        attack_file(&file);
        attack_names(&file);
        assert_eq!(node.daemon_pid(), daemon);
    }
    for directory in ["", "bc", "bc/90000720", "1"].map(|name| proc.join(name)) {
        attack_directory(&directory);
    }
    for directory in ["bc", "bc/90000720", "1"].map(|name| proc.join(name)) {
        attack_names(&directory);
    }
    reads(&proc.join("user_beancounters"));
    assert_eq!(node.daemon_pid(), daemon);
    assert_eq!(container.end(), Some(0));
}

fn attack_file(path: &Path) {
    let text = std::fs::read(path).unwrap();
    // Not to be written, by whatever flags.
    let mut ways: Vec<OpenOptions> = Vec::new();
    for way in 0..5 {
        let mut open = OpenOptions::new();
        match way {
            0 => open.write(true),
            1 => open.read(true).write(true),
            2 => open.append(true),
            3 => open.write(true).truncate(true),
            _ => open.write(true).create_new(true),
        };
        ways.push(open);
    }
    for open in &ways {
        assert!(open.open(path).is_err(), "{}: {open:?}", path.display());
    }
    let flags = libc::O_TRUNC | libc::O_DIRECT | libc::O_SYNC | libc::O_NOATIME;
    drop(OpenOptions::new().read(true).custom_flags(flags).open(path));
    let file = File::open(path).unwrap();
    // Everywhere and as much as one likes: a part of the text, and nothing else.
    let mut large = vec![0; 4 << 20];
    for offset in [0, 1, text.len() as u64, 4095, 1 << 31, 1 << 62, i64::MAX as u64 - 4096] {
        let read = file.read_at(&mut large, offset).unwrap_or(0);
        assert!(read as u64 <= (text.len() as u64 + 64).saturating_sub(offset), "{offset}");
    }
    for place in [
        SeekFrom::Start(u64::MAX >> 1),
        SeekFrom::End(0),
        SeekFrom::End(-1),
        SeekFrom::End(i64::MIN),
        SeekFrom::Current(i64::MAX),
        SeekFrom::Data(0),
        SeekFrom::Hole(1 << 40),
    ] {
        let _ = rustix::fs::seek(&file, place);
        let _ = rustix::io::read(&file, &mut [0; 16][..]);
    }
    assert!(file.write_at(b"x", 0).is_err() && file.set_len(0).is_err());
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    assert!(rustix::fs::fallocate(&file, punch, 0, 4096).is_err());
    let _ = (rustix::fs::fsync(&file), rustix::fs::fdatasync(&file), rustix::fs::syncfs(&file));
    let _ = rustix::io::ioctl_fionread(&file);
    let _ = rustix::io::ioctl_fionbio(&file, true);
    let _ = rustix::fs::ioctl_getflags(&file);
    let _ = rustix::fs::ioctl_blksszget(&file);
    assert!(rustix::fs::ioctl_ficlone(&file, &file).is_err());
    assert!(rustix::fs::copy_file_range(&file, None, &file, None, 4096).is_err());
    // Locks are the kernel's; whoever has one keeps nobody from reading.
    let _ = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
    let _ = rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockShared);
    assert!(!std::fs::read(path).unwrap().is_empty());
    let is_start = |start: [u8; 8]| text.starts_with(&start);
    assert!(mapped(&file, libc::PROT_READ, libc::MAP_SHARED).is_none_or(is_start));
    assert!(mapped(&file, libc::PROT_READ, libc::MAP_PRIVATE).is_none_or(is_start));
    let writable = libc::PROT_READ | libc::PROT_WRITE;
    assert!(mapped(&file, writable, libc::MAP_SHARED).is_none());
    // An executable one too: the mount has noexec.
    assert!(mapped(&file, libc::PROT_EXEC, libc::MAP_PRIVATE).is_none());
    assert!(std::process::Command::new(path).spawn().is_err());
}

fn attack_names(path: &Path) {
    let mut value = vec![0; 65536];
    for name in ["user.x", "security.capability", "trusted.x", "system.posix_acl_access", "x"] {
        assert!(rustix::fs::getxattr(path, name, &mut value[..]).is_err(), "{name}");
        assert!(rustix::fs::setxattr(path, name, &value, XattrFlags::CREATE).is_err(), "{name}");
        assert!(rustix::fs::removexattr(path, name).is_err(), "{name}");
    }
    assert!(rustix::fs::listxattr(path, &mut value[..]).unwrap_or(0) == 0);
    let other = path.with_file_name("other");
    assert!(std::fs::rename(path, &other).is_err() && std::fs::hard_link(path, &other).is_err());
    assert!(std::fs::remove_file(path).is_err() && std::fs::remove_dir(path).is_err());
    let (uid, gid) = (Some(Uid::ROOT), Some(Gid::ROOT));
    assert!(rustix::fs::chownat(CWD, path, uid, gid, AtFlags::empty()).is_err());
    assert!(rustix::fs::chmodat(CWD, path, Mode::RWXU, AtFlags::empty()).is_err());
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    assert!(rustix::fs::utimensat(CWD, path, &times, AtFlags::empty()).is_err());
    assert_eq!(rustix::fs::access(path, Access::EXISTS), Ok(()));
    let _ = (rustix::fs::statfs(path), rustix::fs::access(path, Access::WRITE_OK));
}

fn attack_directory(path: &Path) {
    for name in ["x", "90000721", "..x", "\u{1b}[2J\n\u{9b}", "%s%n", &"x".repeat(255)] {
        let name = path.join(name);
        assert!(File::create(&name).is_err() && std::fs::create_dir(&name).is_err());
        assert!(std::os::unix::fs::symlink("/", &name).is_err());
        for kind in [FileType::Fifo, FileType::Socket, FileType::CharacterDevice] {
            assert!(rustix::fs::mknodat(CWD, &name, kind, Mode::RWXU, 0x103).is_err());
        }
        assert!(std::fs::metadata(&name).is_err());
    }
    assert!(std::fs::metadata(path.join("x".repeat(1024))).is_err());
    let directory = File::open(path).unwrap();
    // From wherever, also where no entry is.
    for place in [0, 1, 3, 1 << 20, 1 << 40, i64::MAX as u64] {
        let _ = rustix::fs::seek(&directory, SeekFrom::Start(place));
        let mut names = Vec::with_capacity(4096);
        let mut entries = rustix::fs::RawDir::new(&directory, names.spare_capacity_mut());
        while let Some(Ok(_)) = entries.next() {}
    }
    assert!(rustix::io::read(&directory, &mut [0; 16][..]).is_err());
}

#[test]
fn a_container_finds_no_numbers_but_its_own() {
    if skip() {
        return;
    }
    let node = Node::start();
    let _guard = Guard::over(&node);
    let mut hostile = node.container("90000722", &[]);
    let other = node.container("90000723", &["--numproc", "7654321"]);
    assert_eq!(hostile.sh("ls /proc/bc"), "90000722\nresources");
    let numbers = "cat /proc/user_beancounters /proc/bc/resources /proc/bc/*/resources";
    for found in ["90000723", "7654321"] {
        let (own, behind) = (format!("{numbers} | grep -c {found}"), "/proc/bc/90000723/resources");
        assert_eq!(hostile.sh(&own), "0");
        assert_eq!(hostile.sh(&format!("cat {behind} 2>/dev/null | wc -c")), "0");
    }
    for name in ["0", "090000723", "90000723", "+90000723", "90000723/..", "../../run/ubc"] {
        assert_eq!(hostile.sh(&format!("ls -d /proc/bc/{name} 2>/dev/null")), "", "{name}");
    }
    // Nor the socket, nor what is kept of it.
    assert_eq!(hostile.sh("find / -xdev -name ubc.sock -o -xdev -name kept 2>/dev/null"), "");
    assert_eq!(hostile.sh("ls /run/ubc /var/lib/ubc 2>/dev/null"), "");
    assert_eq!(hostile.end(), Some(0));
    assert_eq!(other.end(), Some(0));
}

//! Ways to use up kernel memory, each until it is refused.

use std::fs;

use ubc_core::Resource;

use crate::common::unified;

pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) bomb: Bomb,
    /// tmpfs says ENOSPC when it gets no inode.
    pub(crate) errnos: &'static [i32],
    /// A row that counts the same objects: it must not count what kmemsize refused.
    pub(crate) row: Option<Resource>,
}

pub(crate) const KINDS: [Kind; 10] = [
    Kind { name: "fork", bomb: forks, errnos: &[libc::ENOMEM], row: Some(Resource::NumProc) },
    Kind { name: "open", bomb: files, errnos: &[libc::ENOMEM], row: Some(Resource::NumFile) },
    Kind {
        name: "socket",
        bomb: sockets,
        errnos: &[libc::ENOMEM],
        row: Some(Resource::NumTcpSock),
    },
    Kind { name: "mmap", bomb: maps, errnos: &[libc::ENOMEM], row: None },
    Kind { name: "msgsnd", bomb: messages, errnos: &[libc::ENOMEM], row: None },
    Kind { name: "msgget", bomb: queues, errnos: &[libc::ENOMEM], row: None },
    Kind { name: "semget", bomb: semaphores, errnos: &[libc::ENOMEM], row: None },
    Kind {
        name: "shmget",
        bomb: segments,
        errnos: &[libc::ENOMEM, libc::ENOSPC],
        row: Some(Resource::ShmPages),
    },
    Kind { name: "tmpfs files", bomb: tmpfs_files, errnos: &[libc::ENOSPC], row: None },
    Kind { name: "cgroups", bomb: cgroups, errnos: &[libc::ENOMEM], row: None },
];

/// What a process does until it is refused: how often it was not, and the errno.
pub(crate) type Bomb = fn() -> (i64, i32);

pub(crate) const MOST: i64 = 200_000;

pub(crate) fn repeat(mut once: impl FnMut(i64) -> i64) -> (i64, i32) {
    for done in 0..MOST {
        if once(done) < 0 {
            return (done, std::io::Error::last_os_error().raw_os_error().unwrap_or(0));
        }
    }
    (MOST, 0)
}

pub(crate) fn forks() -> (i64, i32) {
    repeat(|_| forks_once())
}

pub(crate) fn files() -> (i64, i32) {
    repeat(|_| files_once())
}

pub(crate) fn sockets() -> (i64, i32) {
    repeat(|_| sockets_once())
}

/// Maps 2 MiB at a time and touches one page of each: a table of pages for each.
pub(crate) fn maps() -> (i64, i32) {
    // SAFETY: new mappings of our own, which are read.
    repeat(|at| unsafe {
        let (prot, flags) = if at % 2 == 0 {
            (libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)
        } else {
            (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)
        };
        let map = libc::mmap(std::ptr::null_mut(), 2 << 20, prot, flags, -1, 0);
        if map == libc::MAP_FAILED {
            return -1;
        }
        std::ptr::read_volatile(map.cast::<u8>());
        0
    })
}

/// One mapping, refused nothing, and touched: its tables are nobody's to refuse.
pub(crate) fn touches() -> (i64, i32) {
    touch(MOST)
}

/// Touches until there are so many tables of 4 KiB.
pub(crate) fn touch(tables: i64) -> (i64, i32) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping of our own, of which pages are read.
    unsafe {
        let map = libc::mmap(std::ptr::null_mut(), 1 << 40, libc::PROT_READ, flags, -1, 0);
        assert_ne!(map, libc::MAP_FAILED);
        let mut next = map.cast::<u8>();
        repeat(|at| {
            if at == tables {
                return -1;
            }
            std::ptr::read_volatile(next);
            next = next.add(2 << 20);
            0
        })
    }
}

pub(crate) fn messages() -> (i64, i32) {
    repeat(|_| {
        // SAFETY: a message as long as is said.
        unsafe {
            let queue = libc::msgget(libc::IPC_PRIVATE, 0o600);
            let message = [1i64; 1024];
            let sent =
                |_| libc::msgsnd(queue, message.as_ptr().cast(), 8000, libc::IPC_NOWAIT) == 0;
            if queue >= 0 && (0..2).all(sent) { 0 } else { -1 }
        }
    })
}

pub(crate) fn queues() -> (i64, i32) {
    // SAFETY: numbers only.
    repeat(|_| i64::from(unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) }))
}

pub(crate) fn semaphores() -> (i64, i32) {
    // SAFETY: numbers only.
    repeat(|_| i64::from(unsafe { libc::semget(libc::IPC_PRIVATE, 50, 0o600) }))
}

pub(crate) fn segments() -> (i64, i32) {
    // SAFETY: numbers only.
    repeat(|_| i64::from(unsafe { libc::shmget(libc::IPC_PRIVATE, 1, 0o600) }))
}

/// Empty files of a tmpfs, which is unmounted when the process ends.
pub(crate) fn tmpfs_files() -> (i64, i32) {
    // SAFETY: strings that end; the mounts are in a namespace of the process.
    unsafe {
        assert_eq!(libc::unshare(libc::CLONE_NEWNS), 0);
        let (none, root) = (std::ptr::null(), c"/".as_ptr());
        let private = libc::MS_REC | libc::MS_PRIVATE;
        assert_eq!(libc::mount(none, root, none, private, std::ptr::null()), 0);
        let (tmpfs, mnt) = (c"tmpfs".as_ptr(), c"/mnt".as_ptr());
        assert_eq!(libc::mount(tmpfs, mnt, tmpfs, 0, c"nr_inodes=0".as_ptr().cast()), 0);
    }
    repeat(|at| {
        let name = format!("/mnt/{at}\0");
        // SAFETY: a string that ends.
        i64::from(unsafe { libc::mknod(name.as_ptr().cast(), libc::S_IFREG | 0o600, 0) })
    })
}

/// Cgroups beside the one that this process makes for itself, each with the
/// structures of a controller: without one the kernel charges hardly anything.
pub(crate) fn cgroups() -> (i64, i32) {
    let path = fs::read_to_string("/proc/self/cgroup").expect("readable");
    let path = path.lines().find_map(|line| line.strip_prefix("0::/")).expect("it is in v2");
    let own = unified().join(path);
    fs::create_dir(own.join("leaf")).expect("made");
    fs::write(own.join("leaf/cgroup.procs"), "0").expect("entered");
    fs::write(own.join("cgroup.subtree_control"), "+memory").expect("enabled");
    repeat(|at| {
        assert!(at < 5000, "{at} cgroups");
        let name = format!("{}\0", own.join(at.to_string()).display());
        // SAFETY: a string that ends.
        i64::from(unsafe { libc::mkdir(name.as_ptr().cast(), 0o700) })
    })
}

pub(crate) fn forks_once() -> i64 {
    // SAFETY: numbers only; the child sleeps until the cgroup is killed.
    unsafe {
        match libc::fork() {
            0 => loop {
                libc::pause();
            },
            pid => i64::from(pid),
        }
    }
}

pub(crate) fn files_once() -> i64 {
    // SAFETY: a string that ends; the descriptor stays open.
    i64::from(unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY) })
}

pub(crate) fn sockets_once() -> i64 {
    // SAFETY: numbers only; the descriptor stays open.
    i64::from(unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) })
}

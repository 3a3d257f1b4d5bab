//! The system calls no crate in use wraps. The only module with `unsafe`.
#![allow(unsafe_code)]

use std::cmp::Ordering;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd};

/// `KCMP_FILE`: do two descriptors share an open file description?
const KCMP_FILE: libc::c_int = 0;
/// `KCMP_VM`: do two processes share an address space?
const KCMP_VM: libc::c_int = 1;

/// A descriptor of a process, as the caller's pid namespace numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) pid: u32,
    pub(crate) fd: u32,
}

/// Orders two descriptors by the open file description behind them.
pub(crate) fn compare_files(a: Descriptor, b: Descriptor) -> io::Result<Ordering> {
    kcmp(a.pid, b.pid, KCMP_FILE, a.fd, b.fd)
}

/// Orders two processes by the address space they run in.
pub(crate) fn compare_address_spaces(a: u32, b: u32) -> io::Result<Ordering> {
    kcmp(a, b, KCMP_VM, 0, 0)
}

fn kcmp(pid1: u32, pid2: u32, kind: libc::c_int, idx1: u32, idx2: u32) -> io::Result<Ordering> {
    // SAFETY: kcmp takes five numbers and touches no memory of ours.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_kcmp,
            libc::c_long::from(pid1),
            libc::c_long::from(pid2),
            libc::c_long::from(kind),
            libc::c_long::from(idx1),
            libc::c_long::from(idx2),
        )
    };
    match answer {
        0 => Ok(Ordering::Equal),
        1 => Ok(Ordering::Less),
        2 => Ok(Ordering::Greater),
        // 3: different, order unknown. No kernel in use answers it for files.
        3 => Err(io::Error::from(io::ErrorKind::Unsupported)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `struct ipt_getinfo` and `struct ip6t_getinfo`: the same layout.
#[repr(C)]
#[derive(Clone, Copy)]
struct TableInfo {
    name: [u8; 32],
    valid_hooks: u32,
    hook_entry: [u32; 5],
    underflow: [u32; 5],
    num_entries: u32,
    size: u32,
}

/// `IPT_SO_GET_INFO` and `IP6T_SO_GET_INFO`.
const GET_INFO: libc::c_int = 64;

/// The number of entries of a legacy iptables (`v6`: ip6tables) table, the
/// chains' policies and the closing error entry included.
pub(crate) fn table_entries(socket: BorrowedFd<'_>, v6: bool, table: &[u8]) -> io::Result<u32> {
    let mut info = TableInfo {
        name: [0; 32],
        valid_hooks: 0,
        hook_entry: [0; 5],
        underflow: [0; 5],
        num_entries: 0,
        size: 0,
    };
    // The name ends in a NUL inside the array.
    if table.len() >= info.name.len() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    info.name[..table.len()].copy_from_slice(table);
    let mut len = libc::socklen_t::try_from(size_of::<TableInfo>())
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut buffer = MaybeUninit::new(info);
    // SAFETY: the kernel reads and writes at most `len` bytes at `buffer`,
    // which is that long, initialised and ours; every bit pattern is a valid
    // TableInfo.
    let (answer, info) = unsafe {
        let answer = libc::getsockopt(
            socket.as_raw_fd(),
            if v6 { libc::IPPROTO_IPV6 } else { libc::IPPROTO_IP },
            GET_INFO,
            buffer.as_mut_ptr().cast(),
            &raw mut len,
        );
        (answer, buffer.assume_init())
    };
    if answer == 0 { Ok(info.num_entries) } else { Err(io::Error::last_os_error()) }
}

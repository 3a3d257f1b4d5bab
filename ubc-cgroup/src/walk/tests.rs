use std::path::PathBuf;
use std::process::{Command, Stdio};

use procfs::process::Process;

use super::{NsId, gone, read};
use crate::{Cgroup, Error, Host};

/// The guard against pids that are given away again: all reads go through
/// the directory of the process that was opened, so they end with it.
#[test]
fn a_process_that_died_is_gone_and_never_another_one() {
    let mut child =
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let process = Process::new(child.id().cast_signed()).unwrap();
    let mut buffer = Vec::new();
    read(&process, "cgroup", &mut buffer).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    for file in ["cgroup", "status", "smaps_rollup"] {
        assert!(gone(&read(&process, file, &mut buffer).unwrap_err()), "{file}");
    }
    assert_eq!(NsId::of(&process, "ns/net").unwrap(), None);
    assert!(super::open_directory(&process, "fd").is_err_and(|error| gone(&error)));
}

/// Between the end of a process and its wait(2) its directory is still there.
#[test]
fn a_process_that_ends_while_it_is_looked_at_fails_no_reading() {
    let mut child =
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let process = Process::new(child.id().cast_signed()).unwrap();
    child.kill().unwrap();
    let mut buffer = Vec::new();
    let state = |buffer: &mut Vec<u8>| {
        read(&process, "status", buffer).unwrap();
        crate::parse::status(buffer).unwrap().state
    };
    while state(&mut buffer) != b'Z' {
        std::thread::yield_now();
    }
    for file in ["mountinfo", "smaps_rollup", "net/ip_tables_names", "net/ip6_tables_names"] {
        let told = read(&process, file, &mut buffer);
        assert!(told.as_ref().is_err_and(gone), "{file}: {told:?}");
    }
    for link in ["ns/net", "ns/ipc", "ns/mnt"] {
        assert_eq!(NsId::of(&process, link).unwrap(), None, "{link}");
    }
    child.wait().unwrap();
}

#[test]
fn a_process_outside_the_cgroup_is_no_member_even_if_its_pid_was_listed() {
    let host = match Host::probe() {
        Ok(host) => host,
        Err(error) => {
            crate::testing::skip(&error);
            return;
        }
    };
    let name = format!("ubc-test-walk-{}", std::process::id());
    let cgroup = Cgroup::create(&host, &name).unwrap();
    let mut buffer = Vec::new();
    let member = super::member(&cgroup, std::process::id(), &mut buffer).unwrap();
    cgroup.remove().unwrap();
    assert!(member.is_none());
}

#[test]
fn only_disappearance_is_forgiven() {
    let io = |code| Error::io("read", PathBuf::new(), std::io::Error::from_raw_os_error(code));
    assert!(gone(&io(libc::ESRCH)) && gone(&io(libc::ENOENT)));
    assert!(!gone(&io(libc::EMFILE)) && !gone(&io(libc::EACCES)));
    assert!(!gone(&Error::NoCgroup2));
}

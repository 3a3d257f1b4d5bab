use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen,
};

use super::{Protocol, protocol};

fn own_descriptors() -> OwnedFd {
    openat(CWD, "/proc/self/fd", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

/// The root of a FUSE file system whose server never answers, and the server.
fn mute() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let device = openat(CWD, "/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let context = fsopen("fuse", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let set = |name, value: &str| fsconfig_set_string(context.as_fd(), name, value);
    set("fd", &device.as_raw_fd().to_string())?;
    set("rootmode", "40555")?;
    set("user_id", "0")?;
    set("group_id", "0")?;
    fsconfig_create(context.as_fd())?;
    let flags = FsMountFlags::FSMOUNT_CLOEXEC;
    Ok((fsmount(context.as_fd(), flags, MountAttrFlags::empty())?, device))
}

#[test]
fn a_file_that_takes_the_place_of_a_socket_cannot_keep_the_reader_waiting() {
    let (root, server) = match mute() {
        Ok(mute) => mute,
        Err(error) => {
            crate::testing::skip(&error);
            return;
        }
    };
    let name = root.as_raw_fd().to_string();
    let (told, tell) = channel();
    std::thread::spawn(move || told.send(protocol(&own_descriptors(), &name)));
    let said = tell.recv_timeout(Duration::from_mins(1));
    // Whoever waits for it gets an error now.
    drop(server);
    assert_eq!(said, Ok(Protocol::Other));
}

#[test]
fn a_socket_is_known_for_what_it_is() {
    let directory = own_descriptors();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert_eq!(protocol(&directory, &tcp.as_raw_fd().to_string()), Protocol::Tcp);
    let unix = UnixDatagram::unbound().unwrap();
    assert_eq!(protocol(&directory, &unix.as_raw_fd().to_string()), Protocol::Other);
}

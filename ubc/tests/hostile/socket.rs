//! The socket of commands, and who must not have it or keep it.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Uid, getrlimit, setrlimit};

use crate::common::{Node, skip, wait_until};
use crate::usage::{Guard, Usage};

/// Connections that are served at once, as docs/security.md says.
const MOST: usize = 512;

/// Longest request, in bytes.
const LONGEST: usize = 128 << 10;

const HELLO: &[u8] = b"{\"op\":\"hello\",\"version\":5}\n";

/// More connections than a program may have at first.
fn have_room() {
    let limits = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits }).unwrap();
}

fn connect(socket: &Path) -> UnixStream {
    UnixStream::connect(socket).unwrap()
}

#[test]
fn thousands_of_connections_that_say_nothing_or_nonsense_keep_no_command_out() {
    if skip() {
        return;
    }
    have_room();
    let node = Node::start();
    let _guard = Guard::over(&node);
    // Its command keeps a connection as well, and needs it.
    let container = node.container("90000710", &[]);
    let (socket, daemon) = (node.dir.path().join("ubc.sock"), node.daemon_pid());
    node.done(&["list"]);
    let before = Usage::of(daemon);
    let mut kept = Vec::new();
    for round in 0..4 {
        for number in 0..400 {
            kept.push(connect(&socket));
            // Some ask and never take the answer.
            let asks = b"{\"op\":\"list\"}\n".repeat(usize::from(number % 20 == 0) * 10);
            for said in [
                &b"{\"op\":\"hello\""[..],
                b"\0\xff\x1b[2J\n",
                b"{\"op\":\"list\"}\n",
                &[b'['; 4096],
                &[HELLO, &asks].concat(),
            ] {
                let mut stream = connect(&socket);
                // It may have been closed already.
                drop(stream.write_all(said));
                kept.push(stream);
            }
        }
        let list = node.json(&["list", "--json"]);
        assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
        node.done(&["set", "90000710", "--numproc", &format!("{}", 500 + round)]);
        let now = Usage::of(daemon);
        // Twice as many end while others begin.
        assert!(now.is_within(2 * MOST, 256, before), "{before:?}, then {now:?}");
    }
    assert_eq!(kept.len(), 4 * 400 * 6);
    drop(kept);
    wait_until("their end", || Usage::of(daemon).is_within(8, 256, before));
    assert_eq!(node.daemon_pid(), daemon);
    assert_eq!(container.end(), Some(0));
}

#[test]
fn a_request_that_does_not_end_is_not_collected() {
    if skip() {
        return;
    }
    have_room();
    let node = Node::start();
    let _guard = Guard::over(&node);
    let socket = node.dir.path().join("ubc.sock");
    for greeting in [&b""[..], HELLO] {
        let mut stream = connect(&socket);
        stream.write_all(greeting).unwrap();
        let mut sent = 0;
        let error = loop {
            match stream.write(&[b' '; 4096]) {
                Ok(more) => sent += more,
                Err(error) => break error,
            }
            assert!(sent < 64 * LONGEST, "no end to it");
        };
        assert!(
            matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
            "{error}"
        );
    }
    node.done(&["list"]);
}

/// Does something as a user without any rights, in a thread of its own.
fn as_nobody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let nobody = Uid::from_raw(65534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

#[test]
fn who_has_no_right_to_the_socket_is_refused_by_the_kernel_and_by_the_daemon() {
    if skip() {
        return;
    }
    have_room();
    let node = Node::start();
    let _guard = Guard::over(&node);
    let socket = node.dir.path().join("ubc.sock");
    let refused = as_nobody(|| UnixStream::connect(&socket).map(drop)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    // Only the directory, then the socket as well.
    open(node.dir.path(), 0o755);
    let refused = as_nobody(|| UnixStream::connect(&socket).map(drop)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    open(&socket, 0o666);
    let answer = as_nobody(|| {
        let mut stream = connect(&socket);
        // As soon as it is known who it is, whatever is asked.
        drop(stream.write_all(HELLO));
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let mut answer = String::new();
        // Reset at the end, because what was asked was not read.
        drop(stream.read_to_string(&mut answer));
        answer
    });
    let expected = r#"{"is":"failed","failure":{"kind":"no-permission","message":"needs root"}}"#;
    assert_eq!(answer, format!("{expected}\n"));
    let said = node.said();
    assert!(said.contains("a connection of user 65534, process "), "{said}");
    assert!(said.contains("is refused: needs root"), "{said}");
    for _ in 0..100 {
        as_nobody(|| connect(&socket));
    }
    node.done(&["list"]);
    let lines = node.said().lines().filter(|line| line.contains("is refused")).count();
    assert!(lines <= 8, "{lines} lines about it");
}

use std::io;

use super::{Family, error_of, framed, inet_request, rules_request, unix_request, works};

#[test]
fn requests_are_laid_out_as_the_kernel_reads_them() {
    let inet = inet_request(libc::AF_INET6, libc::IPPROTO_TCP);
    // struct inet_diag_req_v2: family, protocol, extensions, pad, states.
    assert_eq!(inet.payload.len(), 56);
    assert_eq!(inet.payload[..4], [10, 6, 1 << 6, 0]);
    let states = u32::from_ne_bytes(*inet.payload[4..].first_chunk().unwrap());
    assert_eq!(states & (1 << 6 | 1 << 3), 0, "TIME_WAIT and SYN_RECV are no sockets");
    for state in [1, 2, 4, 5, 7, 8, 9, 10, 11] {
        assert_ne!(states & 1 << state, 0, "state {state}");
    }
    assert_eq!(unix_request().payload.len(), 24);
    let rules = rules_request();
    assert_eq!((rules.kind, rules.payload.as_slice()), (10 << 8 | 7, &[0u8; 4][..]));
    let message = framed(&rules, 9).unwrap();
    assert_eq!(message.len(), 20);
    assert_eq!(message[..4], 20u32.to_ne_bytes());
}

#[test]
fn a_refusal_is_an_errno_and_an_ack_is_none() {
    assert!(error_of(&0i32.to_ne_bytes()).is_ok());
    let refused = error_of(&(-libc::EPERM).to_ne_bytes()).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
    assert_eq!(error_of(&[1]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    // No errno at all, and no overflow on the way.
    assert!(error_of(&i32::MIN.to_ne_bytes()).is_err());
}

#[test]
fn a_probe_that_says_yes_means_it() {
    // Whatever it says must be what ss(8) and nft(8) would meet: a socket of
    // ours is found where the dump is said to work.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let inode = rustix::fs::fstat(&listener).unwrap().st_ino;
    let socket = netlink_sys::Socket::new(Family::Inet.protocol()).unwrap();
    let found = super::Dumper::new(socket).dump(
        &inet_request(libc::AF_INET, libc::IPPROTO_TCP),
        || false,
        |found: &mut bool, payload| {
            *found |= crate::parse::inet_socket(payload)
                .is_some_and(|socket| u64::from(socket.inode) == inode);
            true
        },
    );
    assert_eq!(works(Family::Inet), matches!(found, Ok((true, true))));
}

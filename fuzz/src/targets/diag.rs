//! Replies of the socket diagnosis.

use ubc_cgroup::parse::{inet_socket, unix_socket};

/// Positions in linux/sock_diag.h, linux/inet_diag.h and linux/unix_diag.h.
const INET_HEADER: usize = 72;
const INET_MEMORY: u16 = 7;
const UNIX_HEADER: usize = 16;
const UNIX_MEMORY: u16 = 5;

/// A socket's state and inode are those of its header, its sizes those of one
/// attribute, and what follows a broken attribute does not matter.
///
/// # Panics
///
/// If that does not hold.
pub fn sock_diag(data: &[u8]) {
    if let Some(socket) = inet_socket(data) {
        let Some((header, _)) = data.split_at_checked(INET_HEADER) else {
            panic!("a socket without a header");
        };
        assert_eq!((socket.state, Some(socket.inode)), (header[1], word(header, 68)));
        let sizes = [socket.receive, 0, socket.send, 0, 0, socket.queued];
        assert_eq!(inet_socket(&reply(header, INET_MEMORY, &sizes)), Some(socket));
        let bare = inet_socket(header).map(|bare| (bare.inode, bare.receive, bare.send));
        assert_eq!(bare, Some((socket.inode, 0, 0)));
        let broken = [header, &[3, 0], &data[INET_HEADER..]].concat();
        assert_eq!(inet_socket(&broken), inet_socket(header), "an attribute of 3 bytes");
    }
    if let Some(socket) = unix_socket(data) {
        let Some((header, _)) = data.split_at_checked(UNIX_HEADER) else {
            panic!("a socket without a header");
        };
        assert_eq!(Some(socket.inode), word(header, 4));
        let sizes = [0, 0, socket.send];
        assert_eq!(unix_socket(&reply(header, UNIX_MEMORY, &sizes)), Some(socket));
        assert_eq!(
            unix_socket(header).map(|bare| (bare.inode, bare.send)),
            Some((socket.inode, 0))
        );
    }
}

fn word(header: &[u8], at: usize) -> Option<u32> {
    header.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

fn reply(header: &[u8], attribute: u16, words: &[u32]) -> Vec<u8> {
    let mut bytes = header.to_vec();
    let length = u16::try_from(4 + words.len() * 4).unwrap_or(4);
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&attribute.to_ne_bytes());
    bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
    bytes
}

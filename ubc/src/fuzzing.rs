//! What the fuzz targets assert of the protocol.

use std::fmt::Debug;
use std::path::Path;

use serde::Serialize;

use crate::command::replay;
use crate::history::{Entry, Lines, Moment};
use crate::hook::State;
use crate::protocol::{Message, Request, Response, receive, send};

/// Reads what a command may send; whether it is a request.
///
/// # Panics
///
/// If a request does not survive being written and read again.
pub fn request(line: &[u8]) -> bool {
    survives::<Request>(line)
}

/// Reads what a daemon may answer; whether it is an answer.
///
/// # Panics
///
/// If an answer does not survive being written and read again.
pub fn response(line: &[u8]) -> bool {
    survives::<Response>(line)
}

/// Reads a container's state as the hook does; why it is refused.
///
/// # Errors
///
/// The line the hook would say.
///
/// # Panics
///
/// If what the hook would ask the daemon for does not survive being sent.
pub fn hook_state(state: &[u8]) -> Result<(), String> {
    let state = State::read(state).map_err(|failure| failure.to_string())?;
    let adopt = state.adopt(Path::new("/")).map_err(|failure| failure.to_string())?;
    let mut line = Vec::new();
    let sent = send(&mut line, &Request::Adopt(adopt));
    assert!(sent.is_ok() && survives::<Request>(&line), "{sent:?}");
    Ok(())
}

/// Reads a file of a history and tells what happened in it; how many of its
/// lines could be read.
///
/// # Panics
///
/// If what was read is not what is written again, or tells of a line of its own.
pub fn history(file: &[u8]) -> usize {
    let mut lines = Lines::new(file);
    let mut entries: Vec<Entry> = Vec::new();
    while let Some(entry) = lines.next() {
        match entry {
            Ok(entry) => entries.push(entry),
            Err((why, rest)) => {
                assert_eq!(why.lines().count(), 1, "{why}");
                if !rest {
                    break;
                }
            }
        }
    }
    let mut now = Moment::default();
    for entry in &entries {
        let written = serde_json::to_vec(entry).unwrap_or_default();
        assert_eq!(serde_json::from_slice::<Entry>(&written).ok().as_ref(), Some(entry));
        let before = now.clone();
        now.apply(entry);
        let mut again = before.clone();
        again.apply(&now.since(&before, 0.0));
        assert_eq!(again, now);
    }
    for line in replay::tell(&entries) {
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    entries.len()
}

fn survives<T: Message + Serialize + PartialEq + Debug>(line: &[u8]) -> bool {
    let mut rest = line;
    let Ok(Some(message)) = receive::<T>(&mut rest) else { return false };
    let read = line.len() - rest.len();
    assert_eq!(line[..read].iter().position(|&byte| byte == b'\n'), Some(read - 1), "not one line");

    let mut written = Vec::new();
    let sent = send(&mut written, &message);
    assert!(sent.is_ok(), "{message:?}: {sent:?}");
    assert_eq!(written.iter().position(|&byte| byte == b'\n'), Some(written.len() - 1));
    // Whatever follows belongs to the next message.
    written.extend_from_slice(b"{");
    let mut written = written.as_slice();
    assert_eq!(receive::<T>(&mut written).ok().flatten(), Some(message));
    assert_eq!(written, b"{");
    true
}

//! The descriptors that are kept, by the protocol of systemd's
//! `sd_pid_notify_with_fds(3)`.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Most descriptors that are kept: what a machine's containers may need.
const MOST: usize = 262_144;

/// What a message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// It serves.
    Ready,
    /// It lives.
    Alive,
    /// What is kept has changed, or something that does not matter here.
    Other,
}

/// Descriptors by name.
#[derive(Debug, Default)]
pub(super) struct Store(BTreeMap<String, OwnedFd>);

impl Store {
    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, BorrowedFd<'_>)> {
        self.0.iter().map(|(name, fd)| (name.as_str(), fd.as_fd()))
    }

    /// Does what a message says. Descriptors that it does not ask to be kept
    /// are closed, which is all there is to a barrier.
    pub(super) fn take(&mut self, text: &str, fds: Vec<OwnedFd>) -> Message {
        let has = |line: &str| text.lines().any(|other| other == line);
        let name = text.lines().find_map(|line| line.strip_prefix("FDNAME="));
        if let Some(name) = name {
            if has("FDSTORE=1") && self.0.len() < MOST {
                self.0.extend(fds.into_iter().next().map(|fd| (name.to_owned(), fd)));
            } else if has("FDSTOREREMOVE=1") {
                self.0.remove(name);
            }
        }
        match (has("READY=1"), has("WATCHDOG=1")) {
            (true, _) => Message::Ready,
            (_, true) => Message::Alive,
            _ => Message::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fd() -> OwnedFd {
        tempfile::tempfile().unwrap().into()
    }

    #[test]
    fn what_is_kept_goes_by_its_newest_name_and_a_barrier_is_not_kept() {
        let mut store = Store::default();
        let names =
            |store: &Store| store.all().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
        for name in ["101-0d", "101-0l", "101-0d"] {
            let text = format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0\n");
            assert_eq!(store.take(&text, vec![fd()]), Message::Other);
        }
        assert_eq!(names(&store), ["101-0d", "101-0l"]);
        let (heard, kept) = std::io::pipe().unwrap();
        store.take("BARRIER=1", vec![kept.into()]);
        // Would wait for ever if the other end were kept.
        assert_eq!(std::io::read_to_string(heard).unwrap(), "");
        store.take("FDSTORE=1\nFDNAME=nothing", Vec::new());
        store.take("FDNAME=x", vec![fd()]);
        store.take("FDSTOREREMOVE=1\nFDNAME=101-0d", Vec::new());
        assert_eq!(names(&store), ["101-0l"]);
        assert_eq!(store.take("WATCHDOG=1", Vec::new()), Message::Alive);
        assert_eq!(store.take("STATUS=x\nREADY=1", Vec::new()), Message::Ready);
    }
}

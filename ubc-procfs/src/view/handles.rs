//! Open files: each holds the text of one reading, until it is read anew.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

use fuse_backend_rs::api::filesystem::ZeroCopyWriter;
use parking_lot::Mutex;
use rustix::io::Errno;

use super::ledger::{Ledger, Noted, Opens};
use super::offset_index;

/// How many opens of one view may be alive at once. Each keeps a few KiB;
/// what a container can make the server hold is bounded by this.
pub(super) const MAX_OPEN: usize = 1024;

/// The opens of one view.
#[derive(Debug, Default)]
pub(super) struct Handles {
    inner: Mutex<Inner>,
    /// Where they are written down for a successor.
    kept: Option<(Ledger, Opens)>,
    /// Numbers up to this one were a predecessor's.
    before: u64,
}

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    open: HashMap<u64, Open>,
    /// Slots of the ledger that are not in use.
    free: BTreeSet<u64>,
}

#[derive(Debug)]
struct Open {
    /// None: it is a predecessor's, and its reader has got all of it.
    text: Option<Arc<[u8]>>,
    len: u64,
    /// Whether its beginning was read already.
    begun: bool,
    /// Its slot of the ledger, and what that says of the text.
    slot: Option<u64>,
    noted: Note,
}

/// What a successor would know of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Note {
    Nothing,
    /// That its reader has got all of it.
    Whole,
    /// All of it.
    Text,
}

/// Nanoseconds since boot: a number that no server before this one has given
/// to an open file, since none gives out one in a nanosecond.
pub(super) fn since_boot() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

impl Open {
    fn new(text: Arc<[u8]>, begun: bool) -> Open {
        Open { len: text.len() as u64, text: Some(text), begun, slot: None, noted: Note::Nothing }
    }
}

impl Handles {
    /// Those that a predecessor had, and where changes are written down.
    /// Numbers above `before`, which no predecessor reached, are for new ones.
    pub(super) fn kept(ledger: &Ledger, opens: Opens, before: u64) -> io::Result<Handles> {
        let mut inner = Inner { last: before, ..Inner::default() };
        inner.free = (0..MAX_OPEN as u64).collect();
        for Noted { slot, handle, len, text } in ledger.noted(opens)? {
            inner.free.remove(&slot);
            let noted = if text.is_some() { Note::Text } else { Note::Whole };
            let text = text.map(Into::into);
            inner.open.insert(handle, Open { text, len, begun: true, slot: Some(slot), noted });
        }
        Ok(Handles { inner: Mutex::new(inner), kept: Some((ledger.clone(), opens)), before })
    }

    /// Keeps a text until [`Handles::close`]; the number names it.
    ///
    /// # Errors
    ///
    /// ENFILE when [`MAX_OPEN`] are alive already.
    pub(super) fn open(&self, text: Vec<u8>) -> io::Result<u64> {
        let mut inner = self.inner.lock();
        if inner.open.len() >= MAX_OPEN {
            return Err(Errno::NFILE.into());
        }
        inner.last += 1;
        let handle = inner.last;
        inner.open.insert(handle, Open::new(text.into(), false));
        Ok(handle)
    }

    /// Copies a part of the text of an open file; how much.
    ///
    /// A reader that comes back to the beginning gets a new reading, as of the
    /// kernel's own files: `top` opens meminfo once and rewinds it.
    ///
    /// # Errors
    ///
    /// EBADF when the file is not open; what `renew` fails with.
    pub(super) fn read(
        &self,
        handle: u64,
        offset: u64,
        size: u32,
        out: &mut dyn ZeroCopyWriter,
        renew: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> io::Result<usize> {
        let text = self.text(handle, offset, renew)?;
        let from = offset_index(offset).min(text.len());
        let to = from.saturating_add(size as usize).min(text.len());
        self.note(handle, &text, from, to);
        out.write_all(&text[from..to])?;
        Ok(to - from)
    }

    /// The text of an open file, for a read from this offset.
    fn text(
        &self,
        handle: u64,
        offset: u64,
        renew: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> io::Result<Arc<[u8]>> {
        {
            let mut inner = self.inner.lock();
            match inner.open.get_mut(&handle) {
                Some(open) if offset > 0 || !open.begun => {
                    open.begun |= offset == 0;
                    match &open.text {
                        Some(text) => return Ok(Arc::clone(text)),
                        // All of it was read, and there is no more.
                        None if offset >= open.len => return Ok(Arc::default()),
                        None => {}
                    }
                }
                Some(_) => {}
                // Its predecessor opened it and nothing was read yet.
                None if handle <= self.before => {}
                None => return Err(Errno::BADF.into()),
            }
        }
        // Not under the lock: a reading takes its time.
        let text: Arc<[u8]> = renew()?.into();
        let mut inner = self.inner.lock();
        let room = inner.open.len() < MAX_OPEN;
        match inner.open.get_mut(&handle) {
            Some(open) => {
                *open = Open { slot: open.slot, ..Open::new(Arc::clone(&text), true) };
            }
            None if handle <= self.before && room => {
                inner.open.insert(handle, Open::new(Arc::clone(&text), offset == 0));
            }
            None => {}
        }
        Ok(text)
    }

    /// Before a reader gets this part of a text.
    fn note(&self, handle: u64, text: &[u8], from: usize, to: usize) {
        let Some((ledger, opens)) = &self.kept else { return };
        let mut inner = self.inner.lock();
        let Inner { open, free, .. } = &mut *inner;
        let Some(open) = open.get_mut(&handle) else { return };
        // Whoever comes back for another part has to get it from this text.
        let whole = from == 0 && to == text.len();
        let enough = match open.noted {
            Note::Nothing => false,
            Note::Whole => whole,
            Note::Text => true,
        };
        if enough || from == text.len() {
            return;
        }
        let Some(slot) = open.slot.or_else(|| free.pop_first()) else { return };
        open.slot = Some(slot);
        open.noted = if whole { Note::Whole } else { Note::Text };
        ledger.note(*opens, slot, handle, text, whole);
    }

    /// Forgets an open file.
    pub(super) fn close(&self, handle: u64) {
        let mut inner = self.inner.lock();
        let slot = inner.open.remove(&handle).and_then(|open| open.slot);
        if let (Some(slot), Some((ledger, opens))) = (slot, &self.kept) {
            ledger.forget(*opens, slot);
            inner.free.insert(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_never_closes_cannot_fill_the_server() {
        let handles = Handles::default();
        let first = handles.open(b"text".to_vec()).unwrap();
        for _ in 1..MAX_OPEN {
            handles.open(Vec::new()).unwrap();
        }
        let error = handles.open(Vec::new()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::NFILE.raw_os_error()));
        handles.close(first);
        let renew = || Ok(Vec::new());
        assert!(handles.text(first, 0, renew).is_err());
        assert!(handles.open(Vec::new()).is_ok());
    }

    #[test]
    fn a_reader_that_rewinds_gets_new_numbers_and_never_a_mixture() {
        let handles = Handles::default();
        let handle = handles.open(b"one".to_vec()).unwrap();
        let text =
            |offset, next: &[u8]| handles.text(handle, offset, || Ok(next.to_vec())).unwrap();
        // A reader may begin in the middle.
        assert_eq!(*text(2, b"not"), *b"one");
        assert_eq!(*text(0, b"not"), *b"one");
        assert_eq!(*text(3, b"not"), *b"one");
        assert_eq!(*text(0, b"two"), *b"two");
        assert_eq!(*text(1, b"not"), *b"two");
        let failed = handles.text(handle, 0, || Err(Errno::IO.into()));
        assert_eq!(failed.unwrap_err().raw_os_error(), Some(Errno::IO.raw_os_error()));
        assert_eq!(*text(1, b"not"), *b"two");
    }
}

//! Open files: each holds the text of one reading, until it is read anew.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use fuse_backend_rs::api::filesystem::ZeroCopyWriter;
use parking_lot::Mutex;
use rustix::io::Errno;

use super::offset_index;

/// How many opens of one view may be alive at once. Each keeps a few KiB;
/// what a container can make the server hold is bounded by this.
pub(super) const MAX_OPEN: usize = 1024;

/// The opens of one view.
#[derive(Debug, Default)]
pub(super) struct Handles(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    open: HashMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    text: Arc<[u8]>,
    /// Whether its beginning was read already.
    begun: bool,
}

impl Handles {
    /// Keeps a text until [`Handles::close`]; the number names it.
    ///
    /// # Errors
    ///
    /// ENFILE when [`MAX_OPEN`] are alive already.
    pub(super) fn open(&self, text: Vec<u8>) -> io::Result<u64> {
        let mut inner = self.0.lock();
        if inner.open.len() >= MAX_OPEN {
            return Err(Errno::NFILE.into());
        }
        inner.last += 1;
        let handle = inner.last;
        inner.open.insert(handle, Open { text: text.into(), begun: false });
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
            let mut inner = self.0.lock();
            let open = inner.open.get_mut(&handle).ok_or(Errno::BADF)?;
            if offset > 0 || !open.begun {
                open.begun |= offset == 0;
                return Ok(Arc::clone(&open.text));
            }
        }
        // Not under the lock: a reading takes its time.
        let text: Arc<[u8]> = renew()?.into();
        if let Some(open) = self.0.lock().open.get_mut(&handle) {
            open.text = Arc::clone(&text);
        }
        Ok(text)
    }

    /// Forgets an open file.
    pub(super) fn close(&self, handle: u64) {
        self.0.lock().open.remove(&handle);
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

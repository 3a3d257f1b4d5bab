//! Open files: each holds the text of its one reading.

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
    open: HashMap<u64, Arc<[u8]>>,
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
        inner.open.insert(handle, text.into());
        Ok(handle)
    }

    /// Copies a part of the text of an open file; how much.
    ///
    /// # Errors
    ///
    /// EBADF when the file is not open.
    pub(super) fn read(
        &self,
        handle: u64,
        offset: u64,
        size: u32,
        out: &mut dyn ZeroCopyWriter,
    ) -> io::Result<usize> {
        let text = self.get(handle).ok_or(Errno::BADF)?;
        let from = offset_index(offset).min(text.len());
        let to = from.saturating_add(size as usize).min(text.len());
        out.write_all(&text[from..to])?;
        Ok(to - from)
    }

    /// The text of an open file.
    fn get(&self, handle: u64) -> Option<Arc<[u8]>> {
        self.0.lock().open.get(&handle).cloned()
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
        assert!(handles.get(first).is_none());
        assert!(handles.open(Vec::new()).is_ok());
    }
}

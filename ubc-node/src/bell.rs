//! Wakes a thread that waits for descriptors.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// Wakes a loop that polls, so that it need not look again and again.
#[derive(Debug)]
pub struct Bell(UnixStream);

/// What becomes readable when the bell rings.
#[derive(Debug)]
pub struct Rung(UnixStream);

impl Bell {
    /// A bell, and what becomes readable when it rings.
    ///
    /// # Errors
    ///
    /// Out of descriptors.
    pub fn new() -> io::Result<(Bell, Rung)> {
        let (bell, rung) = UnixStream::pair()?;
        for end in [&bell, &rung] {
            end.set_nonblocking(true)?;
        }
        Ok((Bell(bell), Rung(rung)))
    }

    /// Rings; never waits.
    pub fn ring(&self) {
        // Full means that it rings already.
        drop((&self.0).write(&[1]));
    }
}

impl Rung {
    /// Silences it: once woken is enough, however often it rang.
    pub fn clear(&self) {
        drop((&self.0).read(&mut [0; 64]));
    }
}

impl AsFd for Rung {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

//! What a view has promised its readers, kept where a successor finds it: in
//! memory behind a descriptor, which outlives the process if somebody else
//! holds the descriptor too.
//!
//! Two things of a view are not encoded in its node ids: which name has which
//! number, and what a reader who is in the middle of a file has read so far.
//! Both are written down before the reader gets them. A write that a kill cut
//! short is one that nobody has seen the result of.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use log::debug;
use parking_lot::Mutex;
use rustix::fs::{FallocateFlags, MemfdFlags, SeekFrom, fallocate, memfd_create, seek};
use rustix::io::{Errno, pread, pwrite};

use super::handles::MAX_OPEN;

/// Room for names: each table has at most 4096, of at most 255 bytes.
const NAMES: u64 = 4 << 20;

/// Room for one open file. Nothing is spent on room that is not used.
const SLOT: u64 = 16 << 20;

/// The longest text that is kept: that of 5000 containers.
const LONGEST: u64 = SLOT - HEADER;

/// Number, length, and what is kept, as words of 64 bits.
const HEADER: u64 = 24;

/// The reader has got all of the text.
const WHOLE: u64 = 1;

/// The text follows.
const TEXT: u64 = 2;

/// Which table of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Statics = b's' as isize,
    PidEntries = b'p' as isize,
}

/// Whose open files.
#[derive(Clone, Copy, Debug)]
pub(super) enum Opens {
    Beancounters = 0,
    Meminfo = 1,
}

/// The descriptor, and where the next name goes.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    memory: Arc<OwnedFd>,
    names: Arc<Mutex<u64>>,
}

/// What is known of an open file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) slot: u64,
    pub(super) handle: u64,
    /// How long its text is.
    pub(super) len: u64,
    /// None: the reader has got all of it.
    pub(super) text: Option<Vec<u8>>,
}

impl Ledger {
    /// An empty one.
    pub(crate) fn new() -> io::Result<Ledger> {
        Ok(Ledger::over(memfd_create("ubc-view", MemfdFlags::CLOEXEC)?))
    }

    /// One that a predecessor kept.
    pub(crate) fn over(memory: OwnedFd) -> Ledger {
        Ledger { memory: Arc::new(memory), names: Arc::default() }
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }

    /// The names that have numbers, in the order of their numbers.
    pub(super) fn names(&self, table: Table) -> io::Result<Vec<CString>> {
        let end = match seek(&self.memory, SeekFrom::Hole(0)) {
            Ok(end) => end.min(NAMES),
            Err(Errno::NXIO) => 0,
            Err(error) => return Err(error.into()),
        };
        let mut text = vec![0; usize::try_from(end).unwrap_or(0)];
        let len = read_at(&self.memory, &mut text, 0)?;
        text.truncate(len);
        let mut names = Vec::new();
        let mut at = 0;
        // A record is the table's letter and the name with its zero; what was
        // never written is zero too.
        while let Some(record) = text.get(at..).filter(|rest| rest.first() > Some(&0)) {
            let Ok(name) = CStr::from_bytes_until_nul(&record[1..]) else { break };
            if record[0] == table as u8 {
                names.push(name.to_owned());
            }
            at += 1 + name.to_bytes_with_nul().len();
        }
        *self.names.lock() = at as u64;
        Ok(names)
    }

    /// A name gets the next number of its table, unless it cannot be written down: the
    /// next one takes its place then. A gap would end what a successor reads.
    pub(super) fn add_name(&self, table: Table, name: &CStr) -> io::Result<()> {
        let record = [&[table as u8], name.to_bytes_with_nul()].concat();
        let mut at = self.names.lock();
        let end = *at + record.len() as u64;
        if end > NAMES {
            return Err(Errno::NOSPC.into());
        }
        write_at(&self.memory, &record, *at)?;
        *at = end;
        Ok(())
    }

    /// Writes down that the reader of an open file is about to get all of its
    /// text, or a part of it.
    pub(super) fn note(&self, opens: Opens, slot: u64, handle: u64, text: &[u8], whole: bool) {
        let at = place(opens, slot);
        let len = text.len() as u64;
        let header = |kept: u64| [handle, len, kept].map(u64::to_ne_bytes).concat();
        let write = || {
            if whole || len > LONGEST {
                return write_at(&self.memory, &header(WHOLE), at);
            }
            // No header while the text is another one.
            write_at(&self.memory, &header(0), at)?;
            write_at(&self.memory, text, at + HEADER)?;
            write_at(&self.memory, &header(TEXT), at)
        };
        if let Err(error) = write() {
            debug!("view: an open file would not survive: {error}");
        }
    }

    /// An open file is closed.
    pub(super) fn forget(&self, opens: Opens, slot: u64) {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if let Err(error) = fallocate(&self.memory, flags, place(opens, slot), SLOT) {
            debug!("view: cannot forget an open file: {error}");
        }
    }

    /// What is known of open files.
    pub(super) fn noted(&self, opens: Opens) -> io::Result<Vec<Noted>> {
        let (mut all, mut slot) = (Vec::new(), 0);
        while slot < MAX_OPEN as u64 {
            // Straight to the next one that has anything.
            let data = match seek(&self.memory, SeekFrom::Data(place(opens, slot))) {
                Ok(at) => at,
                Err(Errno::NXIO) => break,
                Err(error) => return Err(error.into()),
            };
            slot = (data - place(opens, 0)) / SLOT;
            if slot < MAX_OPEN as u64 {
                all.extend(self.noted_in(opens, slot)?);
            }
            slot += 1;
        }
        Ok(all)
    }

    fn noted_in(&self, opens: Opens, slot: u64) -> io::Result<Option<Noted>> {
        let at = place(opens, slot);
        let mut header = [0; 24];
        debug_assert_eq!(header.len() as u64, HEADER);
        read_at(&self.memory, &mut header, at)?;
        let word = |n: usize| u64::from_ne_bytes(std::array::from_fn(|i| header[n * 8 + i]));
        let (handle, len, kept) = (word(0), word(1), word(2));
        let text = match kept {
            WHOLE => None,
            TEXT if len <= LONGEST => {
                let mut text = vec![0; usize::try_from(len).unwrap_or(0)];
                let read = read_at(&self.memory, &mut text, at + HEADER)?;
                text.truncate(read);
                Some(text)
            }
            _ => return Ok(None),
        };
        Ok(Some(Noted { slot, handle, len, text }))
    }
}

fn place(opens: Opens, slot: u64) -> u64 {
    NAMES + (opens as u64 * MAX_OPEN as u64 + slot) * SLOT
}

fn write_at(memory: &OwnedFd, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = pwrite(memory, bytes, at)?;
        bytes = &bytes[written..];
        at += written as u64;
    }
    Ok(())
}

fn read_at(memory: &OwnedFd, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    let mut have = 0;
    while have < bytes.len() {
        match pread(memory, &mut bytes[have..], at + have as u64)? {
            0 => break,
            more => have += more,
        }
    }
    Ok(have)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(ledger: &Ledger) -> Ledger {
        Ledger::over(ledger.as_fd().try_clone_to_owned().unwrap())
    }

    #[test]
    fn a_name_has_its_number_again_and_a_torn_one_none() {
        let ledger = Ledger::new().unwrap();
        assert_eq!(ledger.names(Table::Statics).unwrap(), Vec::<CString>::new());
        for (table, name) in
            [(Table::Statics, c"stat"), (Table::PidEntries, c"stat"), (Table::Statics, c"self")]
        {
            ledger.add_name(table, name).unwrap();
        }
        let end = *ledger.names.lock();
        write_at(&ledger.memory, b"stor", end).unwrap();
        let next = again(&ledger);
        let statics = [c"stat", c"self"].map(CStr::to_owned);
        assert_eq!(next.names(Table::Statics).unwrap(), statics);
        assert_eq!(next.names(Table::PidEntries).unwrap(), [c"stat".to_owned()]);
        // What was torn is written over.
        next.add_name(Table::Statics, c"mounts").unwrap();
        let names = again(&next).names(Table::Statics).unwrap();
        assert_eq!(names, [c"stat", c"self", c"mounts"].map(CStr::to_owned));
    }

    #[test]
    fn a_name_that_cannot_be_written_down_takes_no_other_with_it() {
        let ledger = Ledger::new().unwrap();
        ledger.add_name(Table::Statics, c"stat").unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&ledger.as_fd()));
        let readable = std::fs::File::open(path).unwrap();
        let failing = Ledger { memory: Arc::new(readable.into()), ..ledger.clone() };
        failing.add_name(Table::Statics, c"a long name").unwrap_err();
        ledger.add_name(Table::Statics, c"self").unwrap();
        let names = again(&ledger).names(Table::Statics).unwrap();
        assert_eq!(names, [c"stat", c"self"].map(CStr::to_owned));
    }

    #[test]
    fn a_reader_in_the_middle_of_a_file_is_found_and_one_that_closed_is_not() {
        let ledger = Ledger::new().unwrap();
        let last = MAX_OPEN as u64 - 1;
        ledger.note(Opens::Beancounters, 0, 10, b"all of it", true);
        ledger.note(Opens::Beancounters, last, 11, &[b'x'; 10_000], false);
        ledger.note(Opens::Meminfo, 7, 12, b"part", false);
        ledger.note(Opens::Meminfo, 8, 13, b"part", false);
        ledger.forget(Opens::Meminfo, 8);
        let next = again(&ledger);
        let mut found = next.noted(Opens::Beancounters).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], Noted { slot: 0, handle: 10, len: 9, text: None });
        let long = found.pop().unwrap();
        assert_eq!((long.slot, long.handle, long.len), (last, 11, 10_000));
        assert!(long.text.unwrap() == [b'x'; 10_000]);
        let text = Some(b"part".to_vec());
        assert_eq!(
            next.noted(Opens::Meminfo).unwrap(),
            [Noted { slot: 7, handle: 12, len: 4, text }]
        );
    }
}

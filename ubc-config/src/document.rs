//! The text of a file, of which every byte is kept.

mod word;

use std::ops::Range;

use crate::error::{Malformed, excerpt};
use crate::key::Key;

/// The lines of a file.
///
/// What vzctl reads it reads the same: `NAME="value"`, `NAME='value'` or
/// `NAME=value`, blanks before it and a comment after it; in double quotes a
/// backslash escapes as in a shell, a quoted value may go over several lines,
/// and one that a shell would not take ends at the line's last quote, as with
/// vzctl. Comments, empty lines and lines of no such form are kept as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    entries: Vec<Entry>,
}

/// A line, or several that are one assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// With its newline, which the last may lack.
    raw: Vec<u8>,
    /// Number of the first line, from 1; 0 for one that no file had yet.
    line: usize,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Blank or a comment.
    Blank,
    Assignment {
        name: String,
        value: Vec<u8>,
        /// The value with its quotes, in `raw`.
        at: Range<usize>,
    },
    /// None of these.
    Other,
}

/// One assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Assignment<'a> {
    pub(crate) line: usize,
    pub(crate) name: &'a str,
    pub(crate) value: &'a [u8],
}

impl Document {
    /// Reads a file's bytes, which need be in no encoding.
    ///
    /// # Errors
    ///
    /// A value whose quote is never closed, one with more text behind it, and a
    /// line that names a parameter of ours in another form: `NUMPROC 240`.
    pub fn parse(mut text: &[u8]) -> Result<Document, Malformed> {
        let mut document = Document::default();
        let mut line = 1;
        while !text.is_empty() {
            let (entry, rest) = Entry::parse(text, line)?;
            line += entry.raw.split(|byte| *byte == b'\n').skip(1).count();
            document.entries.push(entry);
            text = rest;
        }
        Ok(document)
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.entries.iter().flat_map(|entry| &entry.raw).copied().collect()
    }

    /// The value of the assignment that counts to vzctl: of rows the last, of
    /// anything else the first.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.position(name).and_then(|at| match &self.entries[at].kind {
            Kind::Assignment { value, .. } => Some(value.as_slice()),
            _ => None,
        })
    }

    /// The number of the line [`Document::get`] has it from; `None` also for
    /// one that was not read.
    pub fn line(&self, name: &str) -> Option<usize> {
        self.position(name).map(|at| self.entries[at].line).filter(|line| *line > 0)
    }

    /// Gives a parameter a value, where the one that counts stands, or at the
    /// end. Nothing else changes.
    ///
    /// `name` must be letters, digits and `_`, not starting with a digit.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        debug_assert!(word::name(name.as_bytes()) == name.len(), "{name:?}");
        let quoted = word::quote(value);
        if let Some(entry) = self.position(name).map(|at| &mut self.entries[at])
            && let Kind::Assignment { value: old, at, .. } = &mut entry.kind
        {
            entry.raw.splice(at.clone(), quoted.iter().copied());
            *at = at.start..at.start + quoted.len();
            *old = value.to_vec();
            return;
        }
        self.end_line();
        let start = name.len() + 1;
        let at = start..start + quoted.len();
        let raw = [name.as_bytes(), b"=", &quoted, b"\n"].concat();
        let kind = Kind::Assignment { name: name.to_owned(), value: value.to_vec(), at };
        self.entries.push(Entry { raw, line: 0, kind });
    }

    /// Takes every assignment of a parameter away. Whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.name() != Some(name));
        before != self.entries.len()
    }

    /// Ends the last line, so that what is written behind it is none of its value.
    fn end_line(&mut self) {
        let Some(Entry { raw, kind, .. }) = self.entries.last_mut() else { return };
        if let Kind::Assignment { at, .. } = kind
            && at.end == raw.len()
        {
            let escapes = raw.iter().rev().take_while(|byte| **byte == b'\\').count();
            if raw.ends_with(b"\\\n") {
                // The value went on, with nothing.
                raw.push(b'\n');
            } else if escapes % 2 == 1 {
                // With nothing behind it, it stood for itself.
                raw.push(b'\\');
                at.end += 1;
            }
        }
        if raw.last() != Some(&b'\n') {
            raw.push(b'\n');
        }
    }

    /// Adds a line of comment, which begins with `#`, or an empty one.
    pub fn comment(&mut self, text: &str) {
        self.end_line();
        let raw = format!("{text}\n").into_bytes();
        self.entries.push(Entry { raw, line: 0, kind: Kind::Blank });
    }

    /// Every parameter and its value, in the order of the file; one that is
    /// given twice comes twice.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.assignments().map(|one| (one.name, one.value))
    }

    /// Every assignment, in order.
    pub(crate) fn assignments(&self) -> impl Iterator<Item = Assignment<'_>> {
        self.entries.iter().filter_map(|entry| match &entry.kind {
            Kind::Assignment { name, value, .. } => {
                Some(Assignment { line: entry.line, name, value })
            }
            _ => None,
        })
    }

    /// Lines that are nothing, with their numbers.
    pub fn others(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let others = self.entries.iter().filter(|entry| entry.kind == Kind::Other);
        others.map(|entry| (entry.line, entry.raw.trim_ascii()))
    }

    fn position(&self, name: &str) -> Option<usize> {
        let is_it = |entry: &Entry| entry.name() == Some(name);
        if matches!(Key::from_name(name), Some(Key::Row(_))) {
            self.entries.iter().rposition(is_it)
        } else {
            self.entries.iter().position(is_it)
        }
    }
}

impl Entry {
    fn name(&self) -> Option<&str> {
        match &self.kind {
            Kind::Assignment { name, .. } => Some(name),
            _ => None,
        }
    }

    /// The first entry of a text that is not empty, and what follows.
    fn parse(text: &[u8], line: usize) -> Result<(Entry, &[u8]), Malformed> {
        let end = text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| at + 1);
        let entry = |length: usize, kind: Kind| {
            let (raw, rest) = text.split_at(length);
            (Entry { raw: raw.to_vec(), line, kind }, rest)
        };
        let start = text.iter().position(|byte| !b" \t\r".contains(byte)).unwrap_or(text.len());
        let this = text.get(start..end).unwrap_or_default();
        if this.is_empty() || this[0] == b'\n' || this[0] == b'#' {
            return Ok(entry(end, Kind::Blank));
        }
        let name_end = start + word::name(this);
        let name = String::from_utf8_lossy(&text[start..name_end]).into_owned();
        let malformed = |reason: &str| Malformed {
            line,
            key: if name.is_empty() { excerpt(this.trim_ascii()) } else { name.clone() },
            reason: reason.to_owned(),
        };
        if name.is_empty() || text.get(name_end) != Some(&b'=') {
            if Key::in_any_case(&name).is_some() {
                return Err(malformed("no assignment; accepted: NAME=\"value\" without blanks"));
            }
            return Ok(entry(end, Kind::Other));
        }
        let at = name_end + 1;
        let read = word::read(&text[at..end], end == text.len())
            .or_else(|reason| word::as_vzctl(&text[at..end]).ok_or(reason))
            .or_else(|reason| match reason {
                word::Reason::Unclosed => word::read(&text[at..], true),
                reason @ word::Reason::Trailing => Err(reason),
            });
        let word::Word { value, length, end } = read.map_err(|reason| malformed(reason.told()))?;
        Ok(entry(at + end, Kind::Assignment { name, value, at: at..at + length }))
    }
}

#[cfg(test)]
mod tests;

//! A value as a shell writes it.

/// A value and where it ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Without quotes and escapes.
    pub(super) value: Vec<u8>,
    /// Bytes of it as it is written.
    pub(super) length: usize,
    /// Bytes up to the end of its line, a comment and the newline included.
    pub(super) end: usize,
}

/// Why a text is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// A quote is open at the end.
    Unclosed,
    /// Something that is no comment follows.
    Trailing,
}

impl Reason {
    pub(super) fn told(self) -> &'static str {
        match self {
            Reason::Unclosed => "a quote is not closed; accepted: \"value\", 'value' or value",
            Reason::Trailing => {
                "text behind the value; accepted: quotes around a value with blanks, or a comment \
                 after `#`"
            }
        }
    }
}

/// How many bytes at the beginning are a name.
pub(super) fn name(text: &[u8]) -> usize {
    let end = text.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
    if text.first().is_some_and(u8::is_ascii_digit) { 0 } else { end.unwrap_or(text.len()) }
}

/// What stands between the parts of a line.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// Reads the value a text begins with, by a shell's rules of quoting. `whole`:
/// nothing follows the text.
pub(super) fn read(text: &[u8], whole: bool) -> Result<Word, Reason> {
    let mut value = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'\n' | b' ' | b'\t' | b'\r' => {
                at -= 1;
                break;
            }
            b'\'' => {
                let length = text[at..].iter().position(|byte| *byte == b'\'');
                let length = length.ok_or(Reason::Unclosed)?;
                value.extend_from_slice(&text[at..at + length]);
                at += length + 1;
            }
            b'"' => at = double_quoted(text, at, &mut value)?,
            b'\\' => match text.get(at) {
                // A line that goes on.
                Some(b'\n') if at + 1 == text.len() && !whole => return Err(Reason::Unclosed),
                Some(b'\n') => at += 1,
                Some(&escaped) => {
                    value.push(escaped);
                    at += 1;
                }
                None => value.push(b'\\'),
            },
            byte => value.push(byte),
        }
    }
    let end = rest_of_line(text, at).ok_or(Reason::Trailing)?;
    Ok(Word { value, length: at, end })
}

/// What is between double quotes, the first of which is before `at`; where it
/// ends.
fn double_quoted(text: &[u8], mut at: usize, value: &mut Vec<u8>) -> Result<usize, Reason> {
    loop {
        let byte = *text.get(at).ok_or(Reason::Unclosed)?;
        at += 1;
        match (byte, text.get(at)) {
            (b'"', _) => return Ok(at),
            (b'\\', Some(b'\n')) => at += 1,
            (b'\\', Some(&escaped)) if b"\"\\$`".contains(&escaped) => {
                value.push(escaped);
                at += 1;
            }
            _ => value.push(byte),
        }
    }
}

/// Where the line ends that goes on at `at` with nothing but blanks and a
/// comment.
fn rest_of_line(text: &[u8], at: usize) -> Option<usize> {
    let newline = text[at..].iter().position(|byte| *byte == b'\n');
    let end = newline.map_or(text.len(), |length| at + length + 1);
    let rest = text[at..end].strip_suffix(b"\n").unwrap_or(&text[at..end]);
    let told = rest.iter().position(|byte| !is_blank(*byte));
    match told {
        // A comment needs a blank before it, or it is part of the value.
        Some(told) if rest[told] != b'#' || told == 0 => None,
        _ => Some(end),
    }
}

/// What vzctl takes where a shell does not: all between the first quote and
/// the last of the line, unless that one is escaped: then the value goes on.
pub(super) fn as_vzctl(line: &[u8]) -> Option<Word> {
    let content = line.trim_ascii_end();
    let value = content.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let escapes = value.iter().rev().take_while(|byte| **byte == b'\\').count();
    if escapes % 2 == 1 {
        return None;
    }
    Some(Word { value: value.to_vec(), length: content.len(), end: line.len() })
}

/// A value as it is written: in double quotes, as vzctl does, unless a shell
/// and vzctl would read that differently.
pub(super) fn quote(value: &[u8]) -> Vec<u8> {
    let special = value.iter().any(|byte| b"\"\\$`".contains(byte));
    if special && !value.contains(&b'\'') {
        return [b"'", value, b"'"].concat();
    }
    let mut quoted = vec![b'"'];
    for byte in value {
        if b"\"\\$`".contains(byte) {
            quoted.push(b'\\');
        }
        quoted.push(*byte);
    }
    quoted.push(b'"');
    quoted
}

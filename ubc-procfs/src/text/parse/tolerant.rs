//! The forgiving form: words instead of columns.

use ubc_core::{Resource, Row};

use super::{Block, Bounds, ParseError, Table, lines, number, row};

/// The narrowest row a kernel printed: 32 bits, numbers 10 wide.
const NARROWEST: usize = 79;

/// Bytes of the longest name of a row. No kernel's has more than 13; what is longer is none,
/// and no message repeats it.
const NAME: usize = 64;

/// Reads a resource table as it is found in the field.
///
/// - Any widths, blanks, empty lines and carriage returns; the version line
///   and the header may be missing.
/// - A colon ends the id, wherever it stands. An id is any word of printable
///   ASCII: a number, a UUID, `parent.child`.
/// - Rows in any order, some missing; rows of unknown names, 64 bytes at
///   most, are kept in [`Block::others`]. Rows before any id belong to a block without one.
/// - A last line without a newline is used only if it is a whole row of a
///   file with columns, as wide as the row before it. Any other is left out,
///   since a number in it may lack digits, and [`Table::truncated`] is set.
///
/// # Errors
///
/// A line that is no row, a resource twice in one block, more than 4 dummies
/// in one block, a version other than 2.5, a number above 2^64-1, or more
/// than `bounds` allows.
pub fn tolerant(text: &[u8], bounds: Bounds) -> Result<Table, ParseError> {
    let mut reader = Reader { bounds, table: Table::default(), others: 0 };
    let mut width = 0;
    for (place, line, ended) in lines(text) {
        if !ended && !line.trim_ascii().is_empty() {
            let whole = line.len() >= NARROWEST && line.len() == width;
            if !whole {
                reader.table.truncated = true;
                break;
            }
        }
        reader.line(place, line)?;
        width = line.len();
    }
    Ok(reader.table)
}

struct Reader {
    bounds: Bounds,
    table: Table,
    /// Rows of unknown names so far.
    others: usize,
}

impl Reader {
    fn line(&mut self, place: usize, line: &[u8]) -> Result<(), ParseError> {
        if line.len() > self.bounds.line {
            let expected = format!("at most {} bytes in a line", self.bounds.line);
            return Err(ParseError::new(place, expected, line));
        }
        let line = line.trim_ascii();
        if line.is_empty() || words(line).next() == Some(b"uid") {
            return Ok(());
        }
        if let Some(version) = line.strip_prefix(b"Version:") {
            return match version.trim_ascii() {
                b"2.5" => Ok(()),
                other => Err(ParseError::new(place, "version 2.5", other)),
            };
        }
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            return self.row(place, line);
        };
        let (uid, row) = (line[..colon].trim_ascii(), &line[colon + 1..]);
        if uid.is_empty() || !uid.iter().all(u8::is_ascii_graphic) {
            return Err(ParseError::new(place, "an id before the colon", uid));
        }
        let uid = uid.iter().copied().map(char::from).collect();
        self.start(place, line, Block::named(uid))?;
        self.row(place, row)
    }

    /// Begins the block of another container.
    fn start(&mut self, place: usize, line: &[u8], block: Block) -> Result<(), ParseError> {
        if self.table.blocks.len() >= self.bounds.blocks {
            let expected = format!("at most {} containers", self.bounds.blocks);
            return Err(ParseError::new(place, expected, line));
        }
        self.table.blocks.push(block);
        Ok(())
    }

    /// A name and five numbers.
    fn row(&mut self, place: usize, line: &[u8]) -> Result<(), ParseError> {
        let mut fields = words(line);
        let name = fields.next().and_then(|name| std::str::from_utf8(name).ok());
        let is_name =
            |name: &&str| name.len() <= NAME && name.bytes().all(|byte| byte.is_ascii_graphic());
        let Some(name) = name.filter(is_name) else {
            return Err(ParseError::new(place, "the name of a resource", line));
        };
        let mut numbers = [0; 5];
        for to in &mut numbers {
            let field = fields.next().unwrap_or_default();
            *to = number(field).ok_or_else(|| {
                ParseError::new(place, format!("five numbers below 2^64 after {name}"), field)
            })?;
        }
        if let Some(field) = fields.next() {
            let expected = format!("the end of the line after five numbers of {name}");
            return Err(ParseError::new(place, expected, field));
        }
        if self.table.blocks.is_empty() {
            self.start(place, line, Block::default())?;
        }
        self.store(place, name, row(numbers))
    }

    fn store(&mut self, place: usize, name: &str, row: Row) -> Result<(), ParseError> {
        let Some(block) = self.table.blocks.last_mut() else { return Ok(()) };
        if let Some(resource) = Resource::from_name(name) {
            if block.rows[resource].replace(row).is_some() {
                let expected = "each resource once for a container";
                return Err(ParseError::new(place, expected, name.as_bytes()));
            }
        } else if name == "dummy" {
            if block.dummies.len() >= 4 {
                return Err(ParseError::new(place, "at most 4 dummies", name.as_bytes()));
            }
            block.dummies.push(row);
        } else {
            if self.others >= self.bounds.others {
                let expected = format!("at most {} rows of unknown names", self.bounds.others);
                return Err(ParseError::new(place, expected, name.as_bytes()));
            }
            self.others += 1;
            block.others.push((name.to_owned(), row));
        }
        Ok(())
    }
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

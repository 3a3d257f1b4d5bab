//! The exact form: every column, every row, nothing else.

use super::{Block, Bounds, ParseError, Table, lines, number, row};
use crate::text::layout::{
    File, HEADER, ID_WIDTH, NAME_AT, NAME_WIDTH, NUMBER_WIDTH, ROW_LEN, VERSION,
};

/// Where the colon behind the id stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Colon {
    /// Column 10, inside the field: 2.6.18 and 042stab ("layout B").
    Inside,
    /// Column 11, behind the field: Virtuozzo 7 and the oldest kernels
    /// ("layout A").
    Behind,
}

/// Reads a file exactly as 64-bit kernels print it: version line, header, all
/// rows in order with the exact widths, numeric ids, a newline at the end.
/// The colon behind the id may stand in column 10 or 11, in all of the file.
///
/// A file without containers is accepted, except for
/// [`File::ContainerResources`], which is exactly one.
///
/// # Errors
///
/// The first line that differs, or more containers than `bounds` allows.
pub fn strict(text: &[u8], file: File, bounds: Bounds) -> Result<Table, ParseError> {
    let mut lines = lines(text);
    if file.has_header() {
        exact(lines.next(), 1, VERSION, "\"Version: 2.5\"")?;
        exact(lines.next(), 2, HEADER, "the header, uid to failcnt, in exact columns")?;
    }
    let mut table = Table::default();
    let mut colon = None;
    while let Some(first) = lines.next() {
        if table.blocks.len() >= bounds.blocks {
            let expected = format!("at most {} containers", bounds.blocks);
            return Err(ParseError::new(first.0, expected, first.1));
        }
        if !file.has_header() && !table.blocks.is_empty() {
            return Err(ParseError::new(first.0, "the end after 21 rows", first.1));
        }
        table.blocks.push(block(first, &mut lines, file, &mut colon)?);
    }
    if !file.has_header() && table.blocks.is_empty() {
        return Err(ParseError::end(1, "21 rows"));
    }
    Ok(table)
}

type Line<'a> = (usize, &'a [u8], bool);

fn exact(
    line: Option<Line<'_>>,
    number: usize,
    wanted: &[u8],
    expected: &str,
) -> Result<(), ParseError> {
    match line {
        Some((_, line, true)) if wanted.strip_suffix(b"\n") == Some(line) => Ok(()),
        Some((_, line, _)) => Err(ParseError::new(number, expected, line)),
        None => Err(ParseError::end(number, expected)),
    }
}

/// Reads the rows of one container.
fn block<'a>(
    first: Line<'a>,
    lines: &mut impl Iterator<Item = Line<'a>>,
    file: File,
    colon: &mut Option<Colon>,
) -> Result<Block, ParseError> {
    let (mut place, mut line, mut ended) = first;
    let mut block = Block::default();
    for (i, resource) in file.rows().iter().enumerate() {
        if i > 0 {
            let name = resource.map_or("dummy", |resource| resource.name());
            (place, line, ended) = lines
                .next()
                .ok_or_else(|| ParseError::end(place + 1, format!("the row of {name}")))?;
        }
        let Ok(line): Result<&[u8; ROW_LEN - 1], _> = line.try_into() else {
            let expected = format!("a row of {} bytes", ROW_LEN - 1);
            return Err(ParseError::new(place, expected, line));
        };
        if !ended {
            return Err(ParseError::end(place, "a newline at the end of the row"));
        }
        if i == 0 && file.has_header() {
            let (uid, at) = uid(line).ok_or_else(|| {
                ParseError::new(place, "an id and a colon in column 10 or 11", line)
            })?;
            if *colon.get_or_insert(at) != at {
                return Err(ParseError::new(
                    place,
                    "the colon in the column of the first id",
                    line,
                ));
            }
            block = Block::named(uid);
        } else if line[..NAME_AT] != [b' '; NAME_AT] {
            return Err(ParseError::new(place, "12 blanks before the name", line));
        }
        let name = resource.map_or("dummy", |resource| resource.name());
        let (found, numbers) = line[NAME_AT..].split_at(NAME_WIDTH);
        // Blanks only: the kernel fills the column with nothing else.
        let blank = |rest: &[u8]| rest.iter().all(|&byte| byte == b' ');
        if !found.strip_prefix(name.as_bytes()).is_some_and(blank) {
            return Err(ParseError::new(place, format!("{name} in columns 13 to 24"), found));
        }
        let row = row(fields(numbers).ok_or_else(|| {
            ParseError::new(place, "five numbers, each right-aligned in 20 columns", numbers)
        })?);
        match resource {
            Some(resource) => block.rows[*resource] = Some(row),
            None => block.dummies.push(row),
        }
    }
    Ok(block)
}

/// The id in the first columns, and where its colon stands.
fn uid(line: &[u8; ROW_LEN - 1]) -> Option<(String, Colon)> {
    let (field, colon) = match &line[ID_WIDTH - 1..NAME_AT] {
        b":  " => (&line[..ID_WIDTH - 1], Colon::Inside),
        [_, b':', b' '] => (&line[..ID_WIDTH], Colon::Behind),
        _ => return None,
    };
    let digits = right_aligned(field)?;
    // Only digits, so this is text.
    Some((String::from_utf8(digits.to_vec()).ok()?, colon))
}

/// The five numbers behind the name.
fn fields(text: &[u8]) -> Option<[u64; 5]> {
    let mut numbers = [0; 5];
    for (to, field) in numbers.iter_mut().zip(text.chunks_exact(1 + NUMBER_WIDTH)) {
        let field = field.strip_prefix(b" ")?;
        *to = number(right_aligned(field)?)?;
    }
    Some(numbers)
}

/// Digits as a kernel prints them at the end of a field: blanks before, no
/// leading zero.
fn right_aligned(field: &[u8]) -> Option<&[u8]> {
    let blanks = field.iter().take_while(|&&byte| byte == b' ').count();
    let digits = &field[blanks..];
    match digits {
        [b'0', _, ..] | [] => None,
        _ => digits.iter().all(u8::is_ascii_digit).then_some(digits),
    }
}

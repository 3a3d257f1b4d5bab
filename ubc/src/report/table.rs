//! Plain aligned columns, the way system tools print them.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style as Ansi};

/// How a row is shown where colours are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// As it is.
    Plain,
    /// Much of it is used.
    Notice,
    /// Something was refused, or cannot be done.
    Alarm,
}

impl Style {
    fn ansi(self) -> Ansi {
        match self {
            Style::Plain => Ansi::new(),
            Style::Notice => AnsiColor::Yellow.on_default(),
            Style::Alarm => AnsiColor::Red.on_default(),
        }
    }
}

/// Heads of columns of words, which are set left; numbers and dashes are set
/// right. By its name alone, so that a table of no rows looks the same.
const WORDS: [&str; 16] = [
    "resource",
    "parameter",
    "unit",
    "use",
    "metered by",
    "metered without controllers by",
    "enforced by",
    "scheduler",
    "option",
    "values",
    "configured",
    "in force",
    "applied by",
    "by the controller",
    "kept without effect",
    "where",
];

/// Rows of text under a header.
pub(crate) struct Table {
    heads: Vec<Head>,
    rows: Vec<(Style, Vec<String>)>,
}

/// Of a column.
pub(crate) struct Head {
    pub(crate) text: String,
    /// Set left.
    pub(crate) words: bool,
}

impl Table {
    pub(crate) fn new<const N: usize>(heads: [&'static str; N]) -> Table {
        let head = |text: &str| Head { text: text.to_owned(), words: WORDS.contains(&text) };
        Table::of(heads.map(head).into())
    }

    pub(crate) fn of(heads: Vec<Head>) -> Table {
        Table { heads, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, style: Style, cells: impl Into<Vec<String>>) {
        self.rows.push((style, cells.into()));
    }

    pub(crate) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let heads: Vec<String> = self.heads.iter().map(|head| head.text.clone()).collect();
        self.line(out, Ansi::new().bold(), &heads, true)?;
        self.print_rows(out, true)
    }

    /// Without the heads, and as narrow as the rows are.
    pub(crate) fn print_bare(&self, out: &mut dyn Write) -> io::Result<()> {
        self.print_rows(out, false)
    }

    fn print_rows(&self, out: &mut dyn Write, headed: bool) -> io::Result<()> {
        self.rows.iter().try_for_each(|(style, row)| self.line(out, style.ansi(), row, headed))
    }

    fn width(&self, column: usize, headed: bool) -> usize {
        let cells = self.rows.iter().filter_map(|(_, row)| row.get(column));
        let head = self.heads.get(column).map(|head| &head.text).filter(|_| headed);
        cells.chain(head).map(|cell| cell.chars().count()).max().unwrap_or(0)
    }

    fn line(
        &self,
        out: &mut dyn Write,
        style: Ansi,
        cells: &[String],
        headed: bool,
    ) -> io::Result<()> {
        let mut text = String::new();
        for (column, (cell, head)) in cells.iter().zip(&self.heads).enumerate() {
            let width = self.width(column, headed);
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
            let (before, after) = if head.words { ("", &*padding) } else { (&*padding, "") };
            text.extend([before, cell, after, "  "]);
        }
        writeln!(out, "{style}{}{style:#}", text.trim_end())
    }
}

/// A line in the style of a row.
pub(crate) fn styled(out: &mut dyn Write, style: Style, text: &str) -> io::Result<()> {
    let style = style.ansi();
    writeln!(out, "{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stay_aligned_whatever_is_in_them() {
        let mut table = Table::new(["resource", "held", "enforced by"]);
        table.row(Style::Plain, ["numproc", "7", "pids.max"].map(str::to_owned));
        table.row(Style::Plain, ["x", "123456", ""].map(str::to_owned));
        let mut out = Vec::new();
        table.print(&mut out).unwrap();
        let plain = anstream::adapter::strip_bytes(&out).into_vec();
        assert_eq!(
            String::from_utf8(plain).unwrap(),
            "resource    held  enforced by\nnumproc        7  pids.max\nx         123456\n"
        );
    }
}

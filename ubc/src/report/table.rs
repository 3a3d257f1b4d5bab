//! Plain aligned columns, the way system tools print them.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style as Ansi};

/// How a row is shown where colours are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// As it is.
    Plain,
    /// Something was refused, or cannot be done.
    Alarm,
}

impl Style {
    fn ansi(self) -> Ansi {
        match self {
            Style::Plain => Ansi::new(),
            Style::Alarm => AnsiColor::Red.on_default(),
        }
    }
}

/// Rows of text under a header.
pub(crate) struct Table {
    heads: Vec<&'static str>,
    rows: Vec<(Style, Vec<String>)>,
}

impl Table {
    pub(crate) fn new<const N: usize>(heads: [&'static str; N]) -> Table {
        Table { heads: heads.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, style: Style, cells: impl Into<Vec<String>>) {
        self.rows.push((style, cells.into()));
    }

    pub(crate) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let heads: Vec<String> = self.heads.iter().map(ToString::to_string).collect();
        let widths: Vec<usize> = (0..heads.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|(_, row)| row.get(column));
                cells.chain([&heads[column]]).map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        line(out, Ansi::new().bold(), &heads, &widths, &heads)?;
        for (style, row) in &self.rows {
            line(out, style.ansi(), row, &widths, &heads)?;
        }
        Ok(())
    }
}

/// A line in the style of a row.
pub(crate) fn styled(out: &mut dyn Write, style: Style, text: &str) -> io::Result<()> {
    let style = style.ansi();
    writeln!(out, "{style}{text}{style:#}")
}

/// Numbers and dashes are set right; so is the head of a column of them, by
/// its name alone, so that a table of no rows looks the same.
fn line(
    out: &mut dyn Write,
    style: Ansi,
    cells: &[String],
    widths: &[usize],
    heads: &[String],
) -> io::Result<()> {
    let mut text = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let words = matches!(
            heads[column].as_str(),
            "resource"
                | "parameter"
                | "unit"
                | "metered by"
                | "metered without controllers by"
                | "enforced by"
                | "scheduler"
                | "option"
                | "values"
                | "configured"
                | "in force"
                | "applied by"
                | "by the controller"
                | "kept without effect"
                | "use"
        );
        let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
        let (before, after) = if words { ("", &*padding) } else { (&*padding, "") };
        text.extend([before, cell, after, "  "]);
    }
    writeln!(out, "{style}{}{style:#}", text.trim_end())
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

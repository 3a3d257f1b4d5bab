//! The screen.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::bar::{
    FIVE_EIGHTHS, FULL, HALF, ONE_EIGHTH, ONE_QUARTER, SEVEN_EIGHTHS, THREE_EIGHTHS, THREE_QUARTERS,
};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Table};

use super::state::{Column, HISTORY, State, Track};
use crate::report::{self, threshold};

/// From one eighth of a cell to all of it.
const STEPS: [&str; 8] = [
    ONE_EIGHTH,
    ONE_QUARTER,
    THREE_EIGHTHS,
    HALF,
    FIVE_EIGHTHS,
    THREE_QUARTERS,
    SEVEN_EIGHTHS,
    FULL,
];

const KEYS: &str = "q quit  < > sort by  r reverse  a all rows  p pause  h help";

const HELP: [&str; 11] = [
    "q, Ctrl-C   quit",
    "< >         sort by the column to the left, to the right",
    "r           the other way round",
    "a           all rows, or those that are limited",
    "p, blank    hold the numbers",
    "arrows      scroll; Page Up, Page Down, Home, End too",
    "",
    "USE% is held by the limit, or by the barrier if only that is one.",
    "Yellow: more than half held, or 80 % ever held. Red: something was",
    "refused, or held is above the barrier. Reversed: refused just now.",
    "HISTORY is held, by the most it was in what is shown.",
];

/// Widths of the columns before the history.
const WIDTHS: [u16; 8] = [8, 12, 12, 5, 12, 12, 12, 8];

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State, now: Instant) {
    let areas =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)]);
    let [title, body, keys] = areas.areas(frame.area());
    frame.render_widget(Paragraph::new(told(state)), title);
    rows(frame, state, body, now);
    frame.render_widget(Paragraph::new(KEYS).style(Modifier::DIM), keys);
    if state.help {
        help(frame, body);
    }
}

/// What is shown, in a line.
fn told(state: &State) -> Line<'static> {
    let order = if state.order.falling { "falling" } else { "rising" };
    let mut told = format!(
        "ubc top: {} containers, every {} s, by {} {order}",
        state.containers,
        state.delay.as_secs_f64(),
        state.order.column.head()
    );
    if state.paused {
        told.push_str(", paused");
    }
    match &state.failure {
        Some(failure) => Line::styled(format!("{told}; {failure}"), Color::Red),
        None => Line::raw(told),
    }
}

fn rows(frame: &mut Frame<'_>, state: &mut State, area: Rect, now: Instant) {
    state.page = usize::from(area.height.saturating_sub(1)).max(1);
    let count = state.lines().len();
    state.first = state.first.min(count.saturating_sub(state.page));
    let used: u16 = WIDTHS.iter().map(|width| width + 1).sum();
    let room = usize::from(area.width.saturating_sub(used)).min(HISTORY);
    let heads = Column::ALL.map(|column| {
        let style =
            if column == state.order.column { Modifier::UNDERLINED } else { Modifier::empty() };
        let words = matches!(column, Column::Resource);
        cell(column.head().to_owned(), words).style(style)
    });
    let head = Row::new(heads.into_iter().chain([Cell::new("HISTORY")])).style(Modifier::BOLD);
    let lines = state.lines();
    let shown = lines.into_iter().skip(state.first).take(state.page);
    let rows = shown.map(|track| row(track, room, now));
    let widths = WIDTHS.map(Constraint::Length).into_iter().chain([Constraint::Fill(1)]);
    frame.render_widget(Table::new(rows, widths).header(head), area);
}

fn row(track: &Track, room: usize, now: Instant) -> Row<'static> {
    let number = |value: u64| {
        if track.measured { value.to_string() } else { "-".to_owned() }
    };
    let values = [
        track.id.to_string(),
        track.resource.to_string(),
        number(track.row.held),
        track.percent().map_or_else(|| "-".to_owned(), |percent| percent.to_string()),
        number(track.row.maxheld),
        threshold(track.row.barrier),
        threshold(track.row.limit),
        track.row.failcnt.to_string(),
    ];
    let cells = values.into_iter().zip(Column::ALL);
    let cells = cells.map(|(value, column)| cell(value, column == Column::Resource));
    let style = match report::style(&track.row) {
        report::Style::Plain => Style::new(),
        report::Style::Notice => Style::new().fg(Color::Yellow),
        report::Style::Alarm => Style::new().fg(Color::Red),
    };
    let flash = if track.flashes(now) { Modifier::REVERSED } else { Modifier::empty() };
    Row::new(cells.chain([Cell::new(history(track, room))])).style(style.add_modifier(flash))
}

fn cell(text: String, words: bool) -> Cell<'static> {
    let side = if words { Alignment::Left } else { Alignment::Right };
    Cell::new(Text::from(text).alignment(side))
}

/// The last samples, each as high as it is by the highest among them.
fn history(track: &Track, room: usize) -> String {
    let samples = track.history.iter().skip(track.history.len().saturating_sub(room));
    let most = samples.clone().copied().max().unwrap_or(0);
    let step = |held: u64| -> &'static str {
        if held == 0 || most == 0 {
            return " ";
        }
        let step = (u128::from(held) * STEPS.len() as u128).div_ceil(u128::from(most));
        STEPS[usize::try_from(step).unwrap_or(STEPS.len()).clamp(1, STEPS.len()) - 1]
    };
    samples.map(|held| step(*held)).collect()
}

fn help(frame: &mut Frame<'_>, area: Rect) {
    let height = u16::try_from(HELP.len() + 2).unwrap_or(area.height);
    let area = area.centered(Constraint::Max(70), Constraint::Max(height));
    frame.render_widget(Clear, area);
    let text = Text::from_iter(HELP);
    frame.render_widget(Paragraph::new(text).block(Block::bordered().title("Help")), area);
}

#[cfg(test)]
mod tests;

//! The screen as a terminal is sent it.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Effects, Style};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Cell;
use ratatui::style::{Color, Modifier};

use super::screen;
use super::state::State;
use crate::protocol::Container;

/// The screen after these samples, the last one just now.
pub(crate) fn drawn(samples: &[Vec<Container>], width: u16, height: u16) -> String {
    let now = Instant::now();
    let mut state = State::new(Duration::from_secs(2), Vec::new());
    for sample in samples {
        state.take(sample, now);
    }
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen::draw(frame, &mut state, now)).unwrap();
    let mut text = String::new();
    for line in terminal.backend().buffer().content.chunks(usize::from(width)) {
        for run in line.chunk_by(|one, next| ansi(one) == ansi(next)) {
            let style = ansi(&run[0]);
            let words: String = run.iter().map(Cell::symbol).collect();
            write!(text, "{style}{words}{style:#}").unwrap();
        }
        text.push('\n');
    }
    text
}

fn ansi(cell: &Cell) -> Style {
    let colour = match cell.fg {
        Color::Red => Some(AnsiColor::Red),
        Color::Yellow => Some(AnsiColor::Yellow),
        _ => None,
    };
    let effects = [
        (Modifier::BOLD, Effects::BOLD),
        (Modifier::DIM, Effects::DIMMED),
        (Modifier::UNDERLINED, Effects::UNDERLINE),
        (Modifier::REVERSED, Effects::INVERT),
    ];
    let effects = effects.into_iter().filter(|(is, _)| cell.modifier.contains(*is));
    let effects = effects.fold(Effects::new(), |all, (_, one)| all | one);
    Style::new().fg_color(colour.map(Into::into)).effects(effects)
}

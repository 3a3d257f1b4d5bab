use std::collections::BTreeMap;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::KeyCode;
use ubc_core::{ContainerId, Limits, PerResource, Reading, Resource, UNLIMITED};

use super::*;
use crate::error::{Failure, Kind};
use crate::protocol::{Container, Status};

/// A container whose numproc holds so much of 100 and failed so often.
fn container(id: u32, held: u64, failcnt: u64) -> Container {
    let id = ContainerId::new(id).unwrap();
    let rows = PerResource::from_fn(|row| {
        let limits = match row {
            Resource::NumProc => Limits { barrier: 100, limit: 100 },
            _ => Limits::UNLIMITED,
        };
        let mine = row == Resource::NumProc;
        let (held, failcnt) = if mine { (held, failcnt) } else { (1, 0) };
        ubc_core::Row { held, maxheld: held, failcnt, ..ubc_core::Row::from_limits(limits) }
    });
    let status = PerResource::from_fn(|row| Status {
        metered_by: String::new(),
        enforced_by: String::new(),
        measured: row != Resource::KmemSize,
        enforced: true,
    });
    Container {
        id,
        pid: None,
        cgroup: String::new(),
        view: None,
        reading: Reading { id, rows },
        configured: PerResource::default(),
        set_by: PerResource::default(),
        schedule: BTreeMap::new(),
        status,
    }
}

fn drawn(state: &mut State, now: Instant) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(110, 12)).unwrap();
    terminal.draw(|frame| draw(frame, state, now)).unwrap();
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width);
    let cells: Vec<&str> = buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect();
    cells.chunks(width).map(|line| line.concat().trim_end().to_owned()).collect()
}

fn is_reversed(buffer: &Buffer, line: u16) -> bool {
    buffer[(2, line)].modifier.contains(Modifier::REVERSED)
}

fn state() -> State {
    State::new(Duration::from_secs(2), Vec::new())
}

#[test]
fn rows_are_shown_by_use_with_their_history() {
    let (mut state, now) = (state(), Instant::now());
    for held in [10, 20, 40, 80] {
        state.take(&[container(101, held, 0), container(102, 5, 0)], now);
    }
    let shown = lines(&drawn(&mut state, now));
    assert_eq!(shown[0], "ubc top: 2 containers, every 2 s, by USE% falling");
    assert!(shown[1].starts_with("    CTID RESOURCE"), "{}", shown[1]);
    let cells: Vec<&str> = shown[2].split_whitespace().collect();
    assert_eq!(cells[..8], ["101", "numproc", "80", "80", "80", "100", "100", "0"]);
    assert_eq!(cells[8], "\u{2581}\u{2582}\u{2584}\u{2588}");
    assert!(shown[3].contains("102 numproc"), "{}", shown[3]);
    // Rows without a limit are for those who ask for all.
    assert!(!shown.concat().contains("numfile"));
    state.press(KeyCode::Char('a'));
    state.press(KeyCode::Char('<'));
    state.press(KeyCode::Char('<'));
    state.press(KeyCode::Char('<'));
    state.press(KeyCode::Char('r'));
    let shown = lines(&drawn(&mut state, now));
    assert!(shown[2].contains("101 kmemsize                -"), "{}", shown[2]);
    state.press(KeyCode::End);
    let shown = lines(&drawn(&mut state, now));
    assert!(shown[10].contains("102 swappages"), "{}", shown[10]);
}

#[test]
fn a_refusal_flashes_for_a_while_and_an_old_one_does_not() {
    let (mut state, start) = (state(), Instant::now());
    state.take(&[container(101, 100, 7)], start);
    assert!(!is_reversed(&drawn(&mut state, start), 2), "it was refused before");
    state.take(&[container(101, 100, 8)], start);
    let buffer = drawn(&mut state, start);
    assert!(is_reversed(&buffer, 2) && buffer[(2, 2)].fg == Color::Red);
    assert!(!is_reversed(&drawn(&mut state, start + Duration::from_mins(1)), 2));
    // Another container under the id of one that ended begins anew.
    state.take(&[], start);
    state.take(&[container(101, 100, 9)], start);
    assert!(!is_reversed(&drawn(&mut state, start), 2));
}

#[test]
fn a_failure_is_told_and_the_last_numbers_stay() {
    let (mut state, now) = (state(), Instant::now());
    state.take(&[container(101, 80, 0)], now);
    state.fail(&Failure::new(Kind::System, "lost the daemon"));
    let shown = lines(&drawn(&mut state, now));
    assert!(shown[0].ends_with("; lost the daemon") && shown[2].contains("numproc"), "{shown:?}");
    state.press(KeyCode::Char('p'));
    state.take(&[container(101, 81, 0)], now);
    assert!(lines(&drawn(&mut state, now))[2].contains(" 80 "));
    state.press(KeyCode::Char('h'));
    assert!(lines(&drawn(&mut state, now)).concat().contains("hold the numbers"));
    assert!(state.leave() && !state.leave());
}

#[test]
fn no_numbers_and_no_room_make_it_panic() {
    let (mut state, now) = (state(), Instant::now());
    let mut one = container(101, u64::MAX, u64::MAX);
    one.reading.rows = PerResource::from_fn(|_| ubc_core::Row {
        held: u64::MAX,
        maxheld: u64::MAX,
        barrier: 0,
        limit: UNLIMITED - 1,
        ..ubc_core::Row::default()
    });
    for _ in 0..HISTORY + 5 {
        state.take(std::slice::from_ref(&one), now);
    }
    for (width, height) in [(1, 1), (3, 2), (80, 3), (500, 100)] {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        for key in [KeyCode::End, KeyCode::PageDown, KeyCode::Char('h')] {
            state.press(key);
            terminal.draw(|frame| draw(frame, &mut state, now)).unwrap();
        }
    }
}

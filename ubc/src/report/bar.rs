//! How full a row is.

use ubc_core::{Row, UNLIMITED};

use super::Style;

/// Cells of a bar.
const WIDTH: usize = 10;

/// What full means: the limit, or the barrier where only that is one. None: it
/// never is. Of physpages and swappages the barrier is 0 and means nothing.
pub(crate) fn full(row: &Row) -> Option<u64> {
    let barrier = Some(row.barrier).filter(|barrier| ![0, UNLIMITED].contains(barrier));
    Some(row.limit).filter(|limit| *limit != UNLIMITED).or(barrier)
}

/// Held as `#`, maxheld as `=`, and where the barrier is below the limit a `|`
/// there: `###==..|..`. Empty for a row without a limit.
pub(super) fn bar(row: &Row) -> String {
    let Some(full) = full(row) else { return String::new() };
    let cells = |amount: u64| -> usize {
        let part = u128::from(amount) * WIDTH as u128;
        // Something is never shown as nothing, nor is less than full as full.
        let cells = part.div_ceil(u128::from(full.max(1)));
        usize::try_from(cells).unwrap_or(WIDTH).min(WIDTH)
    };
    let (held, most) = (cells(row.held), cells(row.maxheld));
    let barrier = (row.barrier > 0 && row.barrier < full)
        .then(|| usize::try_from(u128::from(row.barrier) * WIDTH as u128 / u128::from(full)))
        .and_then(Result::ok);
    (0..WIDTH)
        .map(|cell| match cell {
            _ if barrier == Some(cell) => '|',
            _ if cell < held => '#',
            _ if cell < most => '=',
            _ => '.',
        })
        .collect()
}

/// As vzubc marks a row: refusals and what is above the barrier as an alarm,
/// and what it lists with `-q`, more than half held or 80 % ever held, as worth
/// a look.
pub(crate) fn style(row: &Row) -> Style {
    // Of physpages and swappages the barrier is 0 and means nothing.
    let barrier = if row.barrier == 0 { row.limit } else { row.barrier };
    let limited = barrier != UNLIMITED;
    let above = |amount: u64, tenths: u128| u128::from(amount) * 10 > u128::from(barrier) * tenths;
    if row.failcnt > 0 || (limited && row.held > barrier) {
        Style::Alarm
    } else if limited && (above(row.held, 5) || above(row.maxheld, 8)) {
        Style::Notice
    } else {
        Style::Plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(held: u64, maxheld: u64, barrier: u64, limit: u64) -> Row {
        Row { held, maxheld, barrier, limit, ..Row::default() }
    }

    #[test]
    fn a_bar_shows_held_maxheld_and_barrier_by_the_limit() {
        for (row, shown) in [
            (row(30, 50, 80, 100), "###==...|."),
            (row(0, 0, 100, 100), ".........."),
            (row(1, 1, 1000, 1000), "#........."),
            (row(100, 100, 100, 100), "##########"),
            (row(250, 300, 100, 100), "##########"),
            (row(50, 50, 0, 100), "#####....."),
            (row(5, 5, 10, UNLIMITED), "#####....."),
            (row(5, 5, UNLIMITED, UNLIMITED), ""),
            (row(5, 5, 0, UNLIMITED), ""),
            (row(0, 0, 0, 0), ".........."),
            (row(u64::MAX, u64::MAX, 0, UNLIMITED - 1), "##########"),
        ] {
            assert_eq!(bar(&row), shown, "{row:?}");
        }
    }

    #[test]
    fn rows_worth_a_look_are_those_of_vzubc() {
        let refused = Row { failcnt: 1, ..Row::default() };
        for (row, expected) in [
            (row(50, 80, 100, 100), Style::Plain),
            (row(51, 80, 100, 100), Style::Notice),
            (row(0, 81, 100, 100), Style::Notice),
            (row(101, 101, 100, 200), Style::Alarm),
            (row(60, 60, 0, 100), Style::Notice),
            (row(1 << 40, 1 << 40, UNLIMITED, UNLIMITED), Style::Plain),
            (refused, Style::Alarm),
        ] {
            assert_eq!(style(&row), expected, "{row:?}");
        }
    }
}

//! vzcalc's table: one container.

use std::io::Write;

use serde::Serialize;
use ubc_core::memory::{Memory, Share, Shares};
use ubc_core::{PageSize, PerResource, Resource, Row};

use super::UNLIMITED;

/// vzcalc's table of one container: percent now, promised and at most.
#[derive(Serialize)]
pub(super) struct One {
    rows: [Line; 5],
    memory: Line,
}

/// A line of it; none where the formula has none, or the container does not run,
/// and infinite, in JSON null, where a row without a limit promises everything.
#[derive(Serialize)]
struct Line {
    name: &'static str,
    current: Option<f64>,
    promised: Option<f64>,
    max: Option<f64>,
}

impl One {
    pub(super) fn new(
        current: Option<&PerResource<Row>>,
        promised: &PerResource<Row>,
        (memory, threads): (Memory, u64),
        page: PageSize,
    ) -> One {
        let now = current.map(|rows| Shares::of(rows, memory, page));
        let then = Shares::of(promised, memory, page);
        let held = |pick: fn(&Shares) -> Share| now.as_ref().map(|now| pick(now).percent());
        let threads = u128::from(threads);
        let processes = |count: u64| Share { part: count.into(), whole: threads }.percent();
        // As large as it gets, so that the most of all is this too.
        let most_of =
            |share: Share| Some(if share.is_unlimited() { f64::INFINITY } else { share.percent() });
        let line = |name, current, promised, max| Line { name, current, promised, max };
        let low = most_of(then.low_committed);
        let rows = [
            line("Low Mem", held(|now| now.low_used), low, low),
            line("Total RAM", held(|now| now.ram_used), None, None),
            line("Mem + Swap", held(|now| now.swap_used), most_of(then.swap_committed), None),
            line(
                "Alloc. Mem",
                held(|now| now.allocated_used),
                most_of(then.allocated_committed),
                most_of(then.allocated_limit),
            ),
            line(
                "Num. Proc",
                current.map(|rows| processes(rows[Resource::NumProc].held)),
                None,
                most_of(Share { part: promised[Resource::NumProc].barrier.into(), whole: threads }),
            ),
        ];
        let most = |pick: fn(&Line) -> Option<f64>| rows.iter().filter_map(pick).reduce(f64::max);
        let all = line("Memory", most(|l| l.current), most(|l| l.promised), most(|l| l.max));
        One { rows, memory: all }
    }

    pub(super) fn text(&self, out: &mut dyn Write, verbose: bool) -> std::io::Result<()> {
        let cell = |value: Option<f64>| match value {
            None => "n/a".to_owned(),
            Some(f64::INFINITY) => UNLIMITED.to_owned(),
            Some(value) => format!("{value:.2}"),
        };
        writeln!(out, "Resource     Current(%)  Promised(%)  Max(%)")?;
        let mut line = |Line { name, current, promised, max }: &Line| {
            let (current, promised, max) = (cell(*current), cell(*promised), cell(*max));
            writeln!(out, "{name:<10} {current:>10} {promised:>10} {max:>10}")
        };
        if verbose {
            self.rows.iter().try_for_each(&mut line)?;
        }
        line(&self.memory)
    }
}

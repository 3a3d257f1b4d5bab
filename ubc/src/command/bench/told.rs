//! What came out, for people and for programs.

use std::ffi::OsString;
use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use super::Place;
use super::subject::Cost;
use crate::report::{Style, Table};

/// All runs.
pub(super) struct Report {
    command: Vec<String>,
    rounds: usize,
    costs: Vec<(Place, Vec<Cost>)>,
}

/// One place, in seconds.
#[derive(Serialize)]
pub(super) struct Told {
    place: &'static str,
    processor: Spread,
    elapsed: Spread,
    /// Of the processor times, to those of the first place.
    ratio: f64,
}

/// The median, and the quartiles: half of the runs lie between them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Spread {
    median: f64,
    low: f64,
    high: f64,
}

#[derive(Serialize)]
pub(super) struct Json<'a> {
    command: &'a [String],
    rounds: usize,
    places: Vec<Told>,
}

impl Report {
    pub(super) fn new(words: &[OsString], rounds: usize, places: &[Place]) -> Report {
        let command = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let costs = places.iter().map(|place| (*place, Vec::new())).collect();
        Report { command, rounds, costs }
    }

    pub(super) fn add(&mut self, place: Place, cost: Cost) {
        if let Some((_, costs)) = self.costs.iter_mut().find(|(other, _)| *other == place) {
            costs.push(cost);
        }
    }

    pub(super) fn told(&self) -> Json<'_> {
        let mut first = None;
        let places = self.costs.iter().map(|(place, costs)| {
            let of = |what: fn(&Cost) -> Duration| {
                Spread::of(costs.iter().map(|cost| what(cost).as_secs_f64()).collect())
            };
            let processor = of(|cost| cost.processor);
            let ratio = processor.median / *first.get_or_insert(processor.median);
            Told { place: name(*place), processor, elapsed: of(|cost| cost.elapsed), ratio }
        });
        Json { command: &self.command, rounds: self.rounds, places: places.collect() }
    }

    pub(super) fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new(["where", "processor", "half of the runs", "ratio", "elapsed"]);
        for told in self.told().places {
            let Spread { median, low, high } = told.processor;
            table.row(
                Style::Plain,
                [
                    told.place.to_owned(),
                    format!("{median:.3} s"),
                    format!("{low:.3} to {high:.3}"),
                    format!("{:.3}", told.ratio),
                    format!("{:.3} s", told.elapsed.median),
                ],
            );
        }
        table.print(out)
    }
}

fn name(place: Place) -> &'static str {
    match place {
        Place::Off => "no programs in the kernel",
        Place::Outside => "in no container",
        Place::Inside => "in a container",
    }
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        let last = values.len().saturating_sub(1);
        let at = |quarter| values.get(last * quarter / 4).copied().unwrap_or_default();
        Spread { median: at(2), low: at(1), high: at(3) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_compared_with_the_first_one_and_not_with_the_last_run() {
        let words = ["make".into(), "-j4".into()];
        let mut report = Report::new(&words, 3, &[Place::Off, Place::Inside]);
        for (off, inside) in [(100, 110), (90, 130), (400, 120)] {
            for (place, millis) in [(Place::Inside, inside), (Place::Off, off)] {
                let processor = Duration::from_millis(millis);
                report.add(place, Cost { processor, elapsed: processor * 2 });
            }
        }
        let mut text = Vec::new();
        report.text(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let words: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[1].last_chunk(), Some(&["1.000", "0.200", "s"]), "{text}");
        assert_eq!(words[2].last_chunk(), Some(&["1.200", "0.240", "s"]), "{text}");
        let json = serde_json::to_value(report.told()).unwrap();
        assert_eq!(json["command"], serde_json::json!(["make", "-j4"]));
        assert_eq!(json["places"][1]["processor"]["median"], 0.12);
    }
}

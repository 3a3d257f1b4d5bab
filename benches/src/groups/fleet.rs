//! A fleet beyond what one machine can show: what a scrape of one host costs, as it
//! was measured, and what very many of them make of the service that scrapes them.
//!
//! Hosts are asked one after another, each at a moment of its own within the interval,
//! as Prometheus spreads its targets. A refusal happens at any moment; somebody is told
//! when a rule finds it in what was scraped.

use crate::report::{Figure, Group};

/// Containers of the whole fleet.
const CONTAINERS: u32 = 1_000_000;

/// Containers of a host.
const EACH: [u32; 3] = [100, 1_000, 10_000];

/// Seconds between two scrapes of a host, and between two looks of a rule.
const INTERVAL: f64 = 60.0;
const EVALUATION: f64 = 60.0;

/// Refusals whose way to an alert is followed.
const REFUSALS: u32 = 20_000;

/// What one container is for a scrape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scrape {
    /// Series in the answer.
    pub(super) series: f64,
    /// Bytes of the answer.
    pub(super) bytes: f64,
    /// Processor time of the host for it, in seconds.
    pub(super) seconds: f64,
}

/// What came of one arrangement of the fleet.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Outcome {
    /// Most scrapes under way at one moment.
    at_once: u32,
    /// From a refusal to the rule that sees it, in seconds: the middle one, and the
    /// one that 1 of 100 exceeds.
    told: [f64; 2],
}

/// Adds the figures of the model.
pub(super) fn model(scrape: Scrape, group: &mut Group) {
    for each in EACH {
        let hosts = CONTAINERS / each;
        let outcome = simulate(hosts, scrape.seconds * f64::from(each), u64::from(each));
        let mut add = |what: &str, value: f64, unit: &str| {
            let name = format!("{hosts} hosts of {each} containers: {what}");
            group.add(Figure::count(&name, value, unit, None));
        };
        let per_host = |one: f64| one * f64::from(each);
        add("series of a host", per_host(scrape.series), "count");
        add("an answer", per_host(scrape.bytes) / 1024.0, "KiB");
        add(
            "of one processor, a scrape a minute",
            per_host(scrape.seconds) / INTERVAL * 100.0,
            "%",
        );
        add("answers under way at once, at most", f64::from(outcome.at_once), "count");
        add("refusal to alert, middle", outcome.told[0], "s");
        add("refusal to alert, 99 of 100 within", outcome.told[1], "s");
    }
    let all = |one: f64| one * f64::from(CONTAINERS);
    let mut add = |what: &str, value: f64, unit: &str| {
        let name = format!("{CONTAINERS} containers: {what}");
        group.add(Figure::count(&name, value, unit, None));
    };
    add("series", all(scrape.series) / 1e6, "million");
    add("samples, a scrape a minute", all(scrape.series) / INTERVAL / 1e3, "thousand/s");
    add("answers, a scrape a minute", all(scrape.bytes) / INTERVAL / 1e6, "MB/s");
}

/// One interval of all scrapes, and refusals anywhere in it.
fn simulate(hosts: u32, seconds: f64, seed: u64) -> Outcome {
    let mut chance = Chance(seed);
    let phases: Vec<f64> = (0..hosts).map(|_| chance.below(INTERVAL)).collect();
    // Begins and ends, an end first where both are at one moment. What goes on beyond
    // the interval goes on at its beginning: all intervals are alike.
    let mut changes: Vec<(f64, i32)> = Vec::new();
    let mut under_way = 0;
    for begin in &phases {
        let end = begin + seconds;
        changes.extend([(*begin, 1), (end % INTERVAL, -1)]);
        under_way += i32::from(end >= INTERVAL);
    }
    changes.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut most = under_way;
    for (_, change) in changes {
        under_way += change;
        most = most.max(under_way);
    }
    let mut told: Vec<f64> = (0..REFUSALS)
        .map(|_| {
            let host = chance.below(f64::from(hosts));
            let at = chance.below(INTERVAL);
            let phase = phases[index(host).min(phases.len() - 1)];
            let wait = (phase - at).rem_euclid(INTERVAL);
            let scraped = at + wait + seconds;
            // A rule looks at what is there.
            let look = (scraped / EVALUATION).ceil() * EVALUATION;
            look - at
        })
        .collect();
    told.sort_by(f64::total_cmp);
    let at = |part: f64| told[index(part * f64::from(REFUSALS)).min(told.len() - 1)];
    let at_once = u32::try_from(most).unwrap_or_default();
    Outcome { at_once, told: [at(0.5), at(0.99)] }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small and not negative"
)]
fn index(value: f64) -> usize {
    value as usize
}

/// Numbers that look like chance and are the same at each run (splitmix64).
struct Chance(u64);

impl Chance {
    /// At least 0 and below `most`.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are kept")]
    fn below(&mut self, most: f64) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1_u64 << 53) as f64 * most
    }
}

#[cfg(test)]
mod tests;

//! `ubc export`: what Prometheus reads.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::{Node, text};

/// Ended on drop.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The value of each series. Panics where OpenMetrics is not kept to: types
/// before samples, no series twice, `# EOF` last.
fn series(text: &str) -> BTreeMap<String, i64> {
    let body = text.strip_suffix("# EOF\n").expect("# EOF ends it");
    let (mut types, mut found) = (BTreeMap::new(), BTreeMap::new());
    for line in body.lines() {
        if let Some(described) = line.strip_prefix("# ") {
            let words: Vec<&str> = described.splitn(3, ' ').collect();
            match words[0] {
                "TYPE" => assert_eq!(types.insert(words[1], words[2]), None, "{line}"),
                "HELP" => assert!(!words[2].is_empty(), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        let family = name.strip_suffix("_total").unwrap_or(name);
        let kind = if name == family { "gauge" } else { "counter" };
        assert_eq!(types.get(family), Some(&kind), "{line}");
        assert_eq!(found.insert(series.to_owned(), value.parse().unwrap()), None, "{line}");
    }
    found
}

#[test]
fn every_row_of_every_container_is_a_series() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    assert_eq!(series(&node.done(&["export"])), [("ubc_containers".to_owned(), 0)].into());
    let (one, two) = ("90000341", "90000342");
    let _one = node.container(one, &["--oomguarpages", "77:unlimited"]);
    let _two = node.container(two, &[]);
    let text = node.done(&["export"]);
    let found = series(&text);
    assert_eq!(found["ubc_containers"], 2);
    let of = |name: &str, id: &str, row: &str, unit: &str| {
        let series = format!("{name}{{container=\"{id}\",resource=\"{row}\",unit=\"{unit}\"}}");
        found.get(&series).copied()
    };
    assert_eq!(of("ubc_held", one, "numproc", "count"), Some(1));
    assert!(of("ubc_maxheld", one, "privvmpages", "pages").unwrap() > 0);
    let shown = node.json(&["show", one, "--json"]);
    for row in ["numproc", "oomguarpages", "kmemsize"] {
        let resource = ubc_core::Resource::from_name(row).unwrap();
        let unit = resource.unit().to_string();
        let said = &shown["reading"]["rows"][row];
        for (name, key) in [("ubc_barrier", "barrier"), ("ubc_limit", "limit")] {
            let expected = said[key].as_u64().filter(|value| *value != ubc_core::UNLIMITED);
            let expected = expected.map(u64::cast_signed);
            assert_eq!(of(name, one, row, &unit), expected, "{row} {key}");
        }
    }
    let failures: BTreeSet<&String> =
        found.keys().filter(|name| name.starts_with("ubc_failcnt_total{")).collect();
    assert_eq!(failures.len(), 2 * ubc_core::Resource::COUNT);
}

#[test]
fn prometheus_can_fetch_it_and_nothing_else() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let mut server = node
        .command(&["export", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let _server = Ended(server);
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap();
    let fetch = |request: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        text(&answer)
    };
    let answer = fetch("GET /metrics");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("Content-Type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert_eq!(series(body)["ubc_containers"], 0);
    assert!(fetch("GET /etc/passwd").starts_with("HTTP/1.1 404 "));
    assert!(fetch("POST /metrics").starts_with("HTTP/1.1 405 "));
    let output = node.ubc(&["export", "--listen", "nowhere"]);
    assert_eq!(output.status.code(), Some(64), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("accepted: such as 127.0.0.1:9765"));
}

/// Runs Prometheus's own tool; what it said, unless it is not installed.
fn promtool(args: &[&str], files: &[&Path]) -> Option<String> {
    let Ok(output) = Command::new("promtool").args(args).args(files).output() else {
        println!("SKIP: no promtool (package prometheus)");
        return None;
    };
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    Some(said)
}

fn dist(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist").join(file)
}

/// The metrics and labels that the exporter knows.
fn assert_is_exported(expr: &str) {
    const NAMES: [&str; 7] = [
        "ubc_containers",
        "ubc_held",
        "ubc_maxheld",
        "ubc_barrier",
        "ubc_limit",
        "ubc_enforced",
        "ubc_failcnt_total",
    ];
    let words = expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    for word in words.filter(|word| word.starts_with("ubc_")) {
        assert!(NAMES.contains(&word), "{word} in {expr}");
    }
}

#[test]
fn the_alerts_fire_when_they_should_and_only_then() {
    let Some(said) = promtool(&["check", "rules"], &[&dist("prometheus/ubc.rules.yml")]) else {
        return;
    };
    assert!(said.contains("3 rules found"), "{said}");
    promtool(&["test", "rules"], &[&dist("prometheus/ubc.test.yml")]);
}

#[test]
fn the_dashboard_asks_for_what_is_exported() {
    let board = std::fs::read(dist("grafana/ubc.json")).unwrap();
    let board: serde_json::Value = serde_json::from_slice(&board).unwrap();
    let mut rules = "groups:\n- name: board\n  rules:\n".to_owned();
    let targets = board["panels"].as_array().unwrap().iter();
    let exprs = targets.flat_map(|panel| panel["targets"].as_array().unwrap());
    let mut count = 0;
    for target in exprs {
        let expr = target["expr"].as_str().unwrap();
        assert_is_exported(expr);
        // What Grafana puts in.
        let expr = expr.replace("$__range", "6h").replace("$__rate_interval", "5m");
        let expr = serde_json::to_string(&expr).unwrap();
        writeln!(rules, "  - record: board:{count}\n    expr: {expr}").unwrap();
        count += 1;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &rules).unwrap();
    if let Some(said) = promtool(&["check", "rules"], &[file.path()]) {
        assert!(said.contains(&format!("{count} rules found")), "{said}\n{rules}");
    }
}

/// The parser of Prometheus itself.
#[test]
fn prometheus_own_parser_takes_it() {
    if promtool(&["--version"], &[]).is_none() || common::skip() {
        return;
    }
    let node = Node::start();
    let _one = node.container("90000343", &[]);
    let text = node.done(&["export"]);
    // `promtool check metrics` knows only the older format, in which the help of a
    // counter stands under another name. This reads OpenMetrics, and wants times.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("metrics");
    let timed: String = text
        .lines()
        .map(|line| {
            if line.starts_with('#') { format!("{line}\n") } else { format!("{line} 1700000000\n") }
        })
        .collect();
    std::fs::write(&file, timed).unwrap();
    let create = ["tsdb", "create-blocks-from", "openmetrics"];
    promtool(&create, &[&file, &dir.path().join("blocks")]);
}

//! `ubc check`: vzcfgvalidate's rules over files.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use log::info;
use serde::Serialize;
use ubc_config::{Config, Document, Key, Read, Staged, Tree, read_file};
use ubc_core::rules::{Finding, Level, check as judge, missing, repair};
use ubc_core::{ContainerId, Limits, PerResource, Resource};

use crate::error::{Failure, Kind, Result};
use crate::limits::{page_size, shown};
use crate::report::{self, Style};

/// What one process takes of kmemsize, in bytes: an idle shell on Linux 6.1 and
/// 6.12 (docs/refusals.md).
const PROCESS: u64 = 130 << 10;

/// What is said of one file.
#[derive(Serialize)]
struct Report {
    file: PathBuf,
    /// No error is in it.
    valid: bool,
    findings: Vec<Said>,
    repaired: Vec<Repaired>,
}

#[derive(Serialize)]
struct Said {
    /// None where the parameter is in the global file, or nowhere.
    line: Option<usize>,
    level: String,
    /// vzcfgvalidate's number; none for what is no rule of its.
    rule: Option<u8>,
    resources: Vec<Resource>,
    message: String,
}

#[derive(Serialize)]
struct Repaired {
    resource: Resource,
    from: Limits,
    to: Limits,
}

/// Judges each file or container, and repairs if asked to. An error if
/// something in one of them is one.
pub(crate) fn check(tree: &Tree, matches: &ArgMatches) -> Result<()> {
    let mut valid = true;
    let targets: Vec<&String> = matches.get_many("target").unwrap_or_default().collect();
    for target in targets {
        let (path, id) = match target.parse::<ContainerId>() {
            Ok(id) => (tree.container(id), true),
            Err(_) => (PathBuf::from(target), false),
        };
        // A container's file counts together with the global one.
        let defaults = if id { tree.defaults(page_size()?)? } else { Config::default() };
        let report = one(&path, &defaults, matches.get_flag("repair"))?;
        valid &= report.valid;
        crate::print(|out| {
            if matches.get_flag("json") { report::json(out, &report) } else { text(out, &report) }
        })?;
    }
    if valid { Ok(()) } else { Err(Failure::new(Kind::Config, "not valid")) }
}

fn one(path: &Path, defaults: &Config, mend: bool) -> Result<Report> {
    let none =
        || Failure::new(Kind::Config, format!("there is no configuration {}", path.display()));
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let lock = mend.then(|| ubc_config::lock(dir)).transpose()?;
    let mut document = read_file(path)?.ok_or_else(none)?;
    let (mut config, mut findings) = judged(&document, path, defaults)?;
    let mut repaired = Vec::new();
    if let Some(lock) = lock {
        let better = repair(&config.to_check(page_size()?, None));
        let mut change = Config::default();
        for (resource, to) in better.iter() {
            if let (Some(from), Some(to)) = (config.limits[resource], *to)
                && from != to
            {
                change.limits[resource] = Some(to);
                repaired.push(Repaired { resource, from, to });
            }
        }
        if !repaired.is_empty() {
            document.update(&change, page_size()?);
            Staged::new(&lock, path, &document)?.commit()?;
            info!("saved to {}", path.display());
            (config, findings) = judged(&document, path, defaults)?;
        }
    }
    let unset = missing(&config.limits);
    if !unset.is_empty() && config.limits.iter().any(|(_, pair)| pair.is_some()) {
        let names: Vec<&str> = unset.iter().map(|row| row.name()).collect();
        findings.push(Said {
            line: None,
            level: Level::Warning.to_string(),
            rule: None,
            message: format!(
                "not set and so unlimited here, where vzctl would not start the container: {}",
                names.join(", ")
            ),
            resources: unset,
        });
    }
    let error = Level::Error.to_string();
    let valid = findings.iter().all(|one| one.level != error);
    Ok(Report { file: path.to_owned(), valid, findings, repaired })
}

/// What a file says over the defaults, and what the rules and the reader say
/// of it.
fn judged(document: &Document, path: &Path, defaults: &Config) -> Result<(Config, Vec<Said>)> {
    let page = page_size()?;
    let Read { config, notices } = Config::read_unordered(document, page)
        .map_err(|source| ubc_config::Error::Malformed { path: path.to_owned(), source })?;
    let config = config.or(defaults.clone());
    let odd = notices.into_iter().map(|notice| Said {
        line: Some(notice.line),
        level: Level::Warning.to_string(),
        rule: None,
        resources: Vec::new(),
        message: notice.message,
    });
    let rules = judge(&config.to_check(page, Some(crate::host::memory_for_rules())));
    let broken = rules.into_iter().map(|Finding { rule, level, resources, message }| Said {
        line: resources.first().and_then(|row| document.line_of(Key::Row(*row))),
        level: level.to_string(),
        rule: Some(rule.number()),
        message: format!("{message}: {}", rule.reason()),
        resources,
    });
    let small = kernel_memory(&config).map(|message| Said {
        line: document.line_of(Key::Row(Resource::KmemSize)),
        level: Level::Warning.to_string(),
        rule: None,
        resources: vec![Resource::KmemSize, Resource::NumProc],
        message,
    });
    let said = odd.chain(broken).chain(small).collect();
    Ok((config, said))
}

/// What vzcfgvalidate could not know: a kmemsize from OpenVZ's days, which Linux
/// of today fills with a fraction of the processes.
fn kernel_memory(config: &Config) -> Option<String> {
    let Limits { barrier, .. } = config.limits[Resource::KmemSize]?;
    let half = || Some(config.limits[Resource::NumProc]?.barrier / 2);
    let expected = config.avnumproc.or_else(half)?;
    let fit = barrier / PROCESS;
    (fit < expected).then(|| {
        format!(
            "kmemsize: barrier {barrier} is enough for about {fit} processes, {expected} are \
             expected: one takes some {} KiB of Linux today, where OpenVZ planned with 40",
            PROCESS >> 10
        )
    })
}

fn text(out: &mut dyn Write, report: &Report) -> std::io::Result<()> {
    let file = report.file.display();
    for Repaired { resource, from, to } in &report.repaired {
        writeln!(out, "{file}: {resource}: {} is now {}", shown(*from), shown(*to))?;
    }
    for Said { line, level, rule, message, .. } in &report.findings {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        let rule = rule.map(|rule| format!(" [rule {rule}]")).unwrap_or_default();
        let style = if *level == Level::Error.to_string() { Style::Alarm } else { Style::Plain };
        report::styled(out, style, &format!("{file}{line}: {level}: {message}{rule}"))?;
    }
    let count = |level: Level| {
        let level = level.to_string();
        report.findings.iter().filter(|one| one.level == level).count()
    };
    writeln!(
        out,
        "{file}: {}: errors {}, warnings {}, recommendations {}",
        if report.valid { "valid" } else { "not valid" },
        count(Level::Error),
        count(Level::Warning),
        count(Level::Recommendation)
    )
}

/// Limits as rows, for what computes with rows.
pub(super) fn rows(limits: &PerResource<Option<Limits>>) -> PerResource<ubc_core::Row> {
    PerResource::from_fn(|row| limits[row].map(ubc_core::Row::from_limits).unwrap_or_default())
}

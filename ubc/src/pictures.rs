//! The pictures of the book that show what the program prints: drawn by the
//! program, from fixed numbers, and compared with those that are kept.
//!
//! With `UBC_BLESS=1` in the environment they are written anew.

use std::path::Path;

use anstyle_svg::Term;
use ubc_core::{ContainerId, Limits, PerResource, Reading, Resource, Row};

use crate::command;
use crate::protocol::{Container, Refusal, Status};
use crate::report;
use ubc_cgroup::{expected, expected_of_programs};

/// The picture of that name is the one of this text.
fn is_kept(name: &str, text: &[u8]) {
    let text = std::str::from_utf8(text).unwrap();
    let drawn = Term::new().render_svg(text) + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures").join(name);
    if std::env::var_os("UBC_BLESS").is_some() {
        std::fs::write(&path, &drawn).unwrap();
    }
    assert!(drawn.len() < 20 << 10, "{name} has {} bytes", drawn.len());
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == drawn, "docs/pictures/{name} shows something else; run with UBC_BLESS=1");
}

/// A container of the sample `basic` that holds `tenths` of what each row may,
/// but so many files and refusals of them.
fn container(id: u32, tenths: u64, files: u64, refused: u64) -> Container {
    let id = ContainerId::new(id).unwrap();
    let limits = ubc_core::profiles::VE_BASIC.limits();
    let rows = PerResource::from_fn(|resource| {
        let limits = limits[resource].unwrap_or(Limits::UNLIMITED);
        let full =
            [limits.hard(), limits.limit].into_iter().find(|value| (1..1 << 40).contains(value));
        let full = full.unwrap_or(26_112);
        let (held, maxheld) = match resource {
            Resource::VmGuarPages => (0, 0),
            Resource::NumFile => (files, limits.barrier),
            _ => (full * tenths / 10, full * (tenths + 1) / 10),
        };
        let failcnt = if resource == Resource::NumFile { refused } else { 0 };
        Row { held, maxheld, failcnt, ..Row::from_limits(limits) }
    });
    let mut kinds = expected(&["memory", "pids"]);
    expected_of_programs(&mut kinds);
    let status = PerResource::from_fn(|resource| Status {
        metered_by: kinds[resource].metered.to_string(),
        enforced_by: kinds[resource].enforced.to_string().replace(" (untested)", ""),
        measured: kinds[resource].metered.is_present(),
        enforced: kinds[resource].enforced.is_enforced(),
    });
    Container {
        id,
        pid: Some(4000 + id.get()),
        cgroup: format!("/ubc/{id}"),
        view: None,
        reading: Reading { id, rows },
        configured: PerResource::default(),
        set_by: PerResource::default(),
        schedule: std::collections::BTreeMap::new(),
        status,
    }
}

#[test]
fn the_picture_of_show_is_what_show_prints() {
    let mut out = Vec::new();
    report::container(&mut out, &container(101, 3, 9312, 27)).unwrap();
    is_kept("show.svg", &out);
}

#[test]
fn the_picture_of_list_is_what_list_prints() {
    let mut out = Vec::new();
    let all = [(101, 3, 9312, 27), (102, 1, 410, 0), (103, 6, 2200, 0)];
    let all = all.map(|(id, tenths, files, refused)| container(id, tenths, files, refused));
    command::list::usual(&mut out, all.into()).unwrap();
    is_kept("list.svg", &out);
}

#[test]
fn the_picture_of_watch_is_what_watch_prints() {
    let mut out = Vec::new();
    for (after, resource, held, limit, pid, comm) in [
        (0.0, Resource::NumFile, 9312, 9312, 5077, "nginx"),
        (0.204, Resource::NumFile, 9312, 9312, 5081, "nginx"),
        (3.91, Resource::NumProc, 240, 240, 6120, "make"),
    ] {
        let refusal = Refusal {
            time: 1_790_000_000.0 + after,
            id: ContainerId::new(101).unwrap(),
            resource,
            asked: 1,
            held,
            barrier: limit,
            limit,
            pid,
            comm: comm.to_owned(),
            dropped: 0,
        };
        report::refusal(&mut out, &refusal).unwrap();
    }
    is_kept("watch.svg", &out);
}

#[test]
fn the_picture_of_top_is_what_top_shows() {
    let held = [400, 900, 1500, 2800, 4200, 6100, 7900, 9000, 9312, 9312];
    let samples = held.map(|files| {
        let refused = if files == 9312 { 26 } else { 0 };
        vec![container(101, 3, files, refused), container(102, 1, 200 + files / 20, 0)]
    });
    let mut samples = samples.to_vec();
    samples.push(vec![container(101, 3, 9312, 27), container(102, 1, 410, 0)]);
    let screen = command::top::picture::drawn(&samples, 104, 16);
    is_kept("top.svg", screen.as_bytes());
}

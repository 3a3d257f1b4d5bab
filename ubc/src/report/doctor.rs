//! `ubc doctor`: what this machine can do, and why not.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use log::warn;
use serde::Serialize;
use ubc_cgroup::ubc_bpf::{self, Enforcer, Faults, Options};
use ubc_cgroup::{Host, Knob, Programs, RowStatus, Scheduled};
use ubc_core::{PerResource, Resource};
use ubc_procfs::{Device, Way};

use super::table::{Style, Table};
use crate::error::{Failure, Kind, Result};
use crate::host::{self, Claims};
use crate::protocol::Status;
use crate::run::runtime::Runtime;

/// What `ubc run` needs besides the rows.
#[derive(Debug, Serialize)]
struct Need {
    name: &'static str,
    /// What there is, or why there is not.
    found: std::result::Result<String, String>,
}

#[derive(Debug, Serialize)]
struct Report {
    needs: Vec<Need>,
    rows: PerResource<Status>,
    schedulers: BTreeMap<&'static str, Applied>,
}

/// Who acts on a scheduler knob.
#[derive(Debug, Serialize)]
struct Applied {
    applied_by: String,
    applied: bool,
}

/// Prints the report; an error when something essential is missing.
pub(crate) fn doctor(json: bool) -> Result<()> {
    let host = host::probe()?;
    let (claims, programs) = tested(&host);
    let schedulers = claims.knobs.iter().map(|(knob, said)| (knob.name(), applied(said)));
    let report = Report {
        needs: needs(&host, programs),
        rows: rows(&claims.rows),
        schedulers: schedulers.collect(),
    };
    crate::print(|out| if json { super::json(out, &report) } else { text(out, &report) })?;
    match report.needs.iter().find_map(|need| need.found.as_ref().err()) {
        Some(why) => Err(Failure::new(Kind::Unavailable, why)),
        None => Ok(()),
    }
}

fn rows(status: &PerResource<RowStatus>) -> PerResource<Status> {
    PerResource::from_fn(|resource| Status::from(&status[resource]))
}

/// The rows and knobs, with a refusal of each provoked now. Programs that are not on duty
/// already go on duty for the test.
fn tested(host: &Host) -> (Claims, String) {
    let options = Options::default();
    let stay = Enforcer::is_installed(&options.root);
    let programs = Programs::test(host, &options);
    let claims = Claims::tested(host, programs.as_deref().ok());
    let told = match &programs {
        Ok(programs) => told(programs),
        Err(error) => format!("none: {error}"),
    };
    drop(programs);
    if !stay {
        match Enforcer::uninstall(&options.root) {
            // In use: a daemon was started meanwhile and found them.
            Ok(_) | Err(ubc_bpf::Error::InUse { .. }) => {}
            Err(error) => warn!("{error}"),
        }
    }
    (claims, told)
}

fn told(programs: &Programs) -> String {
    let refusing = Resource::ALL.iter().filter(|r| programs.mechanism(**r).is_some()).count();
    let refusing = match programs.powerless() {
        Some(reason) => format!("refuse nothing ({reason})"),
        None => format!("refuse {refusing} rows"),
    };
    let told = match programs.passes() {
        Ok(()) => format!("{refusing}, count others when asked"),
        Err(reason) => format!("{refusing}, count no others ({reason})"),
    };
    match programs.faults() {
        Ok(faults) if faults == Faults::default() => {}
        Ok(faults) => return format!("{told}; {faults}"),
        Err(error) => return format!("{told}; {error}"),
    }
    told
}

fn applied(said: &Scheduled) -> Applied {
    Applied { applied_by: said.to_string(), applied: said.is_applied() }
}

fn needs(host: &Host, programs: String) -> Vec<Need> {
    let controllers = match host.controllers() {
        [] => "none".to_owned(),
        some => some.join(" "),
    };
    let cgroup = format!("{}, controllers: {controllers}", host.mount().display());
    let fuse = Device::open().map(|_| "/dev/fuse".to_owned());
    let fuse = fuse.map_err(|error| format!("cannot open /dev/fuse: {error} (modprobe fuse)"));
    let runtime = Runtime::find(None).map(|path| path.display().to_string());
    let busybox = Path::new("/bin/busybox").exists();
    vec![
        Need { name: "cgroup v2", found: Ok(cgroup) },
        Need { name: "FUSE", found: fuse },
        Need { name: "programs", found: Ok(programs) },
        Need { name: "view", found: Ok(way()) },
        Need { name: "OCI runtime", found: runtime.map_err(|failure| failure.message) },
        Need {
            name: "busybox",
            found: Ok(if busybox {
                "/bin/busybox".to_owned()
            } else {
                "none: `ubc run` needs --rootfs (apt-get install busybox-static)".to_owned()
            }),
        },
    ]
}

/// How views get into containers made now, and why so.
fn way() -> String {
    match Way::here() {
        Way::NativeEntry => Way::NativeEntry.to_string(),
        way @ Way::Procroot => format!("{way} (modprobe ubc_entry, if it is installed)"),
    }
}

fn text(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    for need in &report.needs {
        match &need.found {
            Ok(found) => writeln!(out, "{:<12} {found}", need.name)?,
            Err(why) => writeln!(out, "{:<12} MISSING: {why}", need.name)?,
        }
    }
    writeln!(out)?;
    let mut table = Table::new(["resource", "metered by", "enforced by"]);
    for (resource, status) in report.rows.iter() {
        let style = if status.measured { Style::Plain } else { Style::Alarm };
        let cells = [resource.to_string(), status.metered_by.clone(), status.enforced_by.clone()];
        table.row(style, cells);
    }
    table.print(out)?;
    writeln!(out)?;
    let mut table = Table::new(["scheduler", "applied by"]);
    for knob in Knob::ALL {
        let Some(said) = report.schedulers.get(knob.name()) else { continue };
        let style = if said.applied { Style::Plain } else { Style::Alarm };
        table.row(style, [knob.to_string(), said.applied_by.clone()]);
    }
    table.print(out)
}

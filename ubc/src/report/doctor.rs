//! `ubc doctor`: what this machine can do, and why not.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use ubc_cgroup::{Host, RowStatus};
use ubc_core::PerResource;
use ubc_procfs::{Device, Way};

use super::table::{Style, Table};
use crate::error::{Failure, Kind, Result};
use crate::host;
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
}

/// Prints the report; an error when something essential is missing.
pub(crate) fn doctor(json: bool) -> Result<()> {
    let host = host::probe()?;
    let status = host::status(&host);
    let report = Report { needs: needs(&host), rows: rows(&status) };
    crate::print(|out| if json { super::json(out, &report) } else { text(out, &report) })?;
    match report.needs.iter().find_map(|need| need.found.as_ref().err()) {
        Some(why) => Err(Failure::new(Kind::Unavailable, why)),
        None => Ok(()),
    }
}

fn rows(status: &PerResource<RowStatus>) -> PerResource<Status> {
    PerResource::from_fn(|resource| crate::daemon::describe(&status[resource]))
}

fn needs(host: &Host) -> Vec<Need> {
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
    table.print(out)
}

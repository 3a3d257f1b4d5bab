//! `ubc watch`: refusals as they happen.

mod alert;

use clap::ArgMatches;
use ubc_core::ContainerId;

use crate::client::{Client, unexpected};
use crate::error::Result;
use crate::paths::RunDir;
use crate::protocol::{Refusal, Request, Response};
use crate::report;
use alert::Alerts;

/// Tells refusals until the daemon ends.
pub(crate) fn watch(run: &RunDir, matches: &ArgMatches) -> Result<()> {
    crate::needs_root()?;
    let id: Option<ContainerId> = matches.get_one("CTID").copied();
    let json = matches.get_flag("json");
    let mut client = Client::connect_or_start(run)?;
    client.ask(&Request::Watch { id })?;
    let alerts = matches.get_one::<String>("exec").map(|command| Alerts::start(command));
    // Those that wait are run before this returns, also after a failure.
    while let Some(refusal) = next(&mut client)? {
        crate::print(|out| {
            if json { report::json(out, &refusal) } else { report::refusal(out, &refusal) }
        })?;
        if let Some(alerts) = &alerts {
            alerts.add(refusal);
        }
    }
    Ok(())
}

fn next(client: &mut Client) -> Result<Option<Refusal>> {
    match client.next()? {
        Some(Response::Refused { refusal }) => Ok(Some(refusal)),
        Some(response) => Err(unexpected(&response)),
        None => Ok(None),
    }
}

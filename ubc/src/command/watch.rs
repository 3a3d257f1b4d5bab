//! `ubc watch`: refusals as they happen.

mod alert;

use clap::ArgMatches;
use log::warn;
use ubc_core::ContainerId;

use crate::client::{Client, unexpected};
use crate::error::Result;
use crate::manager;
use crate::paths::RunDir;
use crate::protocol::{Refusal, Request, Response};
use crate::report;
use alert::Alerts;

/// Tells refusals until no daemon runs any more.
pub(crate) fn watch(run: &RunDir, matches: &ArgMatches) -> Result<()> {
    crate::needs_root()?;
    let id: Option<ContainerId> = matches.get_one("CTID").copied();
    let json = matches.get_flag("json");
    let mut client = Client::connect_or_start(run)?;
    client.ask(&Request::Watch { id, again: false })?;
    // From here on nothing is missed.
    manager::ready();
    let alerts = matches.get_one::<String>("exec").map(|command| Alerts::start(command));
    // Those that wait are run before this returns, also after a failure.
    loop {
        while let Some(refusal) = next(&mut client)? {
            crate::print(|out| {
                if json { report::json(out, &refusal) } else { report::refusal(out, &refusal) }
            })?;
            if let Some(alerts) = &alerts {
                alerts.add(refusal);
            }
        }
        // One that ends to begin anew leaves its socket to the next; one that ends for good
        // may still have accepted us.
        let Some(next) = again(run, id).or_else(|_| again(run, id))? else { return Ok(()) };
        client = next;
        warn!("the daemon began anew; what was refused meanwhile comes next");
    }
}

/// Asks the daemon that runs now; `None` when there is none.
fn again(run: &RunDir, id: Option<ContainerId>) -> Result<Option<Client>> {
    let Some(mut client) = Client::connect(run)? else { return Ok(None) };
    client.ask(&Request::Watch { id, again: true })?;
    Ok(Some(client))
}

fn next(client: &mut Client) -> Result<Option<Refusal>> {
    match client.next()? {
        Some(Response::Refused { refusal }) => Ok(Some(refusal)),
        Some(response) => Err(unexpected(&response)),
        None => Ok(None),
    }
}

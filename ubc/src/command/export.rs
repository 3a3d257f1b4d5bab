//! `ubc export`: every container's rows as OpenMetrics.

mod metrics;

pub(crate) use metrics::text;

use clap::ArgMatches;
use log::{info, warn};
use tiny_http::{Header, Method, Response as Answer, Server, StatusCode};

use crate::client::{Client, unexpected};
use crate::error::{Failure, Kind, Result};
use crate::manager;
use crate::paths::RunDir;
use crate::protocol::{Container, Request, Response};

/// What the text is, by its specification.
const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Prints the metrics once, or serves them.
pub(crate) fn export(run: &RunDir, matches: &ArgMatches) -> Result<()> {
    crate::needs_root()?;
    let Some(address) = matches.get_one::<String>("listen") else {
        let text = scrape(run)?;
        return crate::print(|out| out.write_all(text.as_bytes()));
    };
    serve(run, address)
}

/// One request after the other, so that however many ask, the containers are
/// read once at a time.
fn serve(run: &RunDir, address: &str) -> Result<()> {
    let wrong = |error| {
        Failure::usage(format!("--listen {address}: {error}; accepted: such as 127.0.0.1:9765"))
    };
    let server = Server::http(address).map_err(wrong)?;
    manager::ready();
    info!("metrics at http://{}/metrics", server.server_addr());
    for request in server.incoming_requests() {
        let answer = match (request.method(), request.url()) {
            (Method::Get | Method::Head, "/metrics") => match scrape(run) {
                Ok(text) => typed(Answer::from_string(text), TYPE),
                Err(failure) => {
                    warn!("{failure}");
                    Answer::from_string("the daemon did not answer\n")
                        .with_status_code(StatusCode(503))
                }
            },
            (Method::Get | Method::Head, "/") => {
                typed(Answer::from_string("ubc: see /metrics\n"), "text/plain; charset=utf-8")
            }
            (Method::Get | Method::Head, _) => {
                Answer::from_string("there is only /metrics\n").with_status_code(StatusCode(404))
            }
            _ => Answer::from_string("only GET\n").with_status_code(StatusCode(405)),
        };
        if let Err(error) = request.respond(answer) {
            log::debug!("a reader went away: {error}");
        }
    }
    Err(Failure::new(Kind::Software, "the server ended"))
}

fn typed<R: std::io::Read>(answer: Answer<R>, kind: &str) -> Answer<R> {
    match Header::from_bytes("Content-Type", kind) {
        Ok(header) => answer.with_header(header),
        Err(()) => answer,
    }
}

/// Without a daemon there are no containers, which is an answer too.
fn scrape(run: &RunDir) -> Result<String> {
    let containers: Vec<Container> = match Client::connect(run)? {
        None => Vec::new(),
        Some(mut client) => match client.ask(&Request::List)? {
            Response::Containers { containers } => containers,
            response => return Err(unexpected(&response)),
        },
    };
    text(&containers)
        .map_err(|error| Failure::new(Kind::Software, format!("cannot encode: {error}")))
}

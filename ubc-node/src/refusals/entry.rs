//! A refusal in the log: a line, and its parts for a logger that keeps them apart.

use log::kv::Value;
use log::{Level, Record};

use crate::Refusal;
use crate::error::one_line;

/// What a refusal is known by in systemd's journal, as `MESSAGE_ID`: the same in
/// all versions, made once by `journalctl --new-id128`.
const REFUSED: &str = "80b92a1cfdd247c3a00bbe5037acf080";

/// Logs it. A logger that knows only lines has the line; the names of the parts are
/// those of the variables of `ubc watch --exec`.
pub(super) fn log(refusal: &Refusal, failcnt: Option<u64>) {
    if !log::log_enabled!(Level::Info) {
        return;
    }
    with_fields(refusal, failcnt, |fields| {
        log::logger().log(
            &Record::builder()
                .level(Level::Info)
                .target(module_path!())
                .module_path_static(Some(module_path!()))
                .args(format_args!("{refusal}"))
                .key_values(&fields)
                .build(),
        );
    });
}

/// Hands its parts on. What the process calls itself is escaped, as in the line: not
/// every reader of a journal expects to be lied to.
fn with_fields(
    refusal: &Refusal,
    failcnt: Option<u64>,
    take: impl FnOnce(&[(&'static str, Value<'_>)]),
) {
    let Refusal { time: _, id, resource, asked, held, barrier, limit, pid, comm, dropped } =
        refusal;
    let comm = one_line(comm);
    let mut fields = vec![
        ("MESSAGE_ID", Value::from(REFUSED)),
        ("UBC_CTID", Value::from_display(id)),
        ("UBC_RESOURCE", Value::from_display(resource)),
        ("UBC_ASKED", Value::from(*asked)),
        ("UBC_HELD", Value::from(*held)),
        ("UBC_BARRIER", Value::from(*barrier)),
        ("UBC_LIMIT", Value::from(*limit)),
        ("UBC_PID", Value::from(*pid)),
        ("UBC_COMM", Value::from(comm.as_str())),
        ("UBC_DROPPED", Value::from(*dropped)),
    ];
    if let Some(failcnt) = failcnt {
        fields.push(("UBC_FAILCNT", Value::from(failcnt)));
    }
    take(&fields);
}

#[cfg(test)]
mod tests;

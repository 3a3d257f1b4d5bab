//! What libbpf says while it loads something, kept for the error message.

use std::cell::RefCell;
use std::sync::Once;

use libbpf_rs::PrintLevel;

thread_local! {
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// More than one verifier log; the reason is at its end.
const MOST: usize = 1 << 20;

/// Calls `work` and returns what libbpf said meanwhile on this thread.
pub(crate) fn listen<T>(work: impl FnOnce() -> T) -> (T, String) {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        libbpf_rs::set_print(Some((PrintLevel::Warn, keep)));
    });
    SAID.take();
    let result = work();
    (result, SAID.take())
}

#[allow(clippy::needless_pass_by_value, reason = "the form of libbpf-rs's callback")]
fn keep(_level: PrintLevel, message: String) {
    log::debug!("{}", message.trim_end());
    SAID.with_borrow_mut(|said| {
        if said.len() + message.len() <= MOST {
            said.push_str(&message);
        }
    });
}

/// The line of libbpf's messages that says why: the verifier's last sentence,
/// or the first complaint of the loader.
pub(crate) fn reason(said: &str, error: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let verdict = lines
        .iter()
        .position(|line| line.starts_with("processed ") && line.contains(" insns "))
        .and_then(|at| at.checked_sub(1))
        .map(|at| lines[at]);
    let complaint = lines
        .iter()
        .find(|line| line.starts_with("libbpf: prog") || line.starts_with("libbpf: failed"))
        .or(lines.first())
        .map(|line| line.trim_start_matches("libbpf: "));
    match (complaint, verdict) {
        (Some(complaint), Some(verdict)) => format!("{complaint}: {verdict}"),
        (Some(complaint), None) => complaint.to_owned(),
        (None, _) => error.to_owned(),
    }
}

#[cfg(test)]
mod tests;

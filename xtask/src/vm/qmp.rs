//! QEMU's control socket: one JSON message a line.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::run::Result;

/// Longer than any answer takes; only a hung QEMU is slower.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection.
pub(super) struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects; the socket appears a moment after QEMU starts. `alive` tells
    /// whether it is worth waiting for.
    pub(super) fn connect(path: &Path, alive: impl Fn() -> bool) -> Result<Self> {
        let begin = Instant::now();
        let stream = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(error) if !alive() || begin.elapsed() > PATIENCE => {
                    return Err(format!("QEMU does not answer: {error}"));
                }
                Err(_) => thread::sleep(Duration::from_millis(5)),
            }
        };
        stream.set_read_timeout(Some(PATIENCE)).map_err(|error| format!("QMP: {error}"))?;
        let mut qmp = Self { stream: BufReader::new(stream) };
        qmp.receive()?;
        qmp.ask("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Sends a command, returns its answer.
    pub(super) fn ask(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let line = format!("{}\n", json!({ "execute": command, "arguments": arguments }));
        let sent = self.stream.get_mut().write_all(line.as_bytes());
        sent.map_err(|error| format!("QMP {command}: {error}"))?;
        loop {
            if let Some(answer) = answer(&self.receive()?) {
                return answer.map_err(|error| format!("QMP {command}: {error}"));
            }
        }
    }

    /// Asks for a state until it is one of the wanted; an error for any other
    /// than those to wait through.
    pub(super) fn await_status(
        &mut self,
        command: &str,
        wanted: &str,
        passing: &[&str],
        limit: Duration,
    ) -> Result<()> {
        let begin = Instant::now();
        loop {
            let answer = self.ask(command, &json!({}))?;
            // Before a migration begins there is no status at all.
            let status = answer["status"].as_str().unwrap_or("none");
            if status == wanted {
                return Ok(());
            }
            if !passing.contains(&status) || begin.elapsed() > limit {
                return Err(format!("QMP {command}: wanted {wanted}, but it is {answer}"));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn receive(&mut self) -> Result<Value> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => Err("QEMU hung up".to_owned()),
            Ok(_) => serde_json::from_str(&line).map_err(|error| format!("QMP: {error}: {line}")),
            Err(error) => Err(format!("QMP: no answer: {error}")),
        }
    }
}

/// What a message answers; nothing if it is an event.
fn answer(message: &Value) -> Option<Result<Value>> {
    if let Some(error) = message.get("error") {
        return Some(Err(error["desc"].as_str().unwrap_or("failed").to_owned()));
    }
    message.get("return").cloned().map(Ok)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn events_are_not_taken_for_answers() {
        assert_eq!(answer(&json!({ "event": "STOP", "data": {} })), None);
        assert_eq!(answer(&json!({ "return": {} })), Some(Ok(json!({}))));
        let error = json!({ "error": { "class": "GenericError", "desc": "no such thing" } });
        assert_eq!(answer(&error), Some(Err("no such thing".to_owned())));
    }

    #[test]
    fn a_qemu_that_dies_is_an_error_not_a_wait() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qmp");
        assert!(Qmp::connect(&path, || false).is_err());
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || drop(listener.accept()));
        let error = Qmp::connect(&path, || true).err().unwrap();
        assert!(error.contains("hung up"), "{error}");
        server.join().unwrap();
    }
}

//! A command for each refusal, one at a time.

use std::collections::VecDeque;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use log::warn;
use parking_lot::{Condvar, Mutex};

use crate::error::one_line;
use crate::manager;
use crate::protocol::Refusal;

/// Runs commands until it is dropped, which waits for those that are due.
pub(super) struct Alerts {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    due: Mutex<Due>,
    changed: Condvar,
}

/// What a storm of refusals makes of it is bounded: there is one for each row
/// of each container.
#[derive(Default)]
struct Due {
    alerts: VecDeque<Alert>,
    ended: bool,
}

/// The newest refusal of its container and row, and how many there were since
/// the command ran for them.
struct Alert {
    refusal: Refusal,
    times: u64,
}

impl Alerts {
    pub(super) fn start(command: &str) -> Alerts {
        let queue = Arc::new(Queue::default());
        let (due, command) = (Arc::clone(&queue), command.to_owned());
        let thread = std::thread::spawn(move || {
            while let Some(alert) = due.next() {
                alert.run(&command);
            }
        });
        Alerts { queue, thread: Some(thread) }
    }

    pub(super) fn add(&self, refusal: Refusal) {
        let mut due = self.queue.due.lock();
        let same = |one: &&mut Alert| {
            (one.refusal.id, one.refusal.resource) == (refusal.id, refusal.resource)
        };
        if let Some(alert) = due.alerts.iter_mut().find(same) {
            alert.times += 1;
            alert.refusal = refusal;
            return;
        }
        due.alerts.push_back(Alert { refusal, times: 1 });
        self.queue.changed.notify_one();
    }
}

impl Drop for Alerts {
    fn drop(&mut self) {
        self.queue.due.lock().ended = true;
        self.queue.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic there has said so.
            drop(thread.join());
        }
    }
}

impl Queue {
    /// Waits for the next one; `None` when there will be none.
    fn next(&self) -> Option<Alert> {
        let mut due = self.due.lock();
        loop {
            if let Some(alert) = due.alerts.pop_front() {
                return Some(alert);
            }
            if due.ended {
                return None;
            }
            self.changed.wait(&mut due);
        }
    }
}

impl Alert {
    fn run(&self, command: &str) {
        let Refusal { time: _, id, resource, asked, held, barrier, limit, pid, comm, dropped } =
            &self.refusal;
        let comm = one_line(comm);
        let ran = Command::new("sh")
            .args(["-c", command])
            .env("UBC_MESSAGE", self.refusal.to_string())
            .env("UBC_TIME", crate::report::time(self.refusal.time))
            .env("UBC_CTID", id.to_string())
            .env("UBC_RESOURCE", resource.to_string())
            .env("UBC_COMM", comm)
            .envs([
                ("UBC_TIMES", self.times.to_string()),
                ("UBC_ASKED", asked.to_string()),
                ("UBC_HELD", held.to_string()),
                ("UBC_BARRIER", barrier.to_string()),
                ("UBC_LIMIT", limit.to_string()),
                ("UBC_PID", pid.to_string()),
                ("UBC_DROPPED", dropped.to_string()),
            ])
            .env_remove(manager::SOCKET)
            .stdin(Stdio::null())
            .status();
        match ran {
            Ok(status) if status.success() => {}
            Ok(status) => warn!("--exec {command}: {status}"),
            Err(error) => warn!("--exec {command}: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use ubc_core::{ContainerId, Resource};

    use super::*;

    fn refusal(id: u32, comm: &str) -> Refusal {
        Refusal {
            time: 1_790_000_000.5,
            id: ContainerId::new(id).unwrap(),
            resource: Resource::NumFile,
            asked: 1,
            held: 16,
            barrier: 16,
            limit: 20,
            pid: 77,
            comm: comm.to_owned(),
            dropped: 3,
        }
    }

    #[test]
    fn a_storm_runs_the_command_once_for_what_came_while_it_ran() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let (log, go) = (path("log"), path("go"));
        assert!(Command::new("mkfifo").arg(&go).status().unwrap().success());
        let alerts = Alerts::start(&format!(
            "echo $UBC_CTID $UBC_TIMES >>{log}; [ $UBC_CTID != 1 ] || cat {go}"
        ));
        alerts.add(refusal(1, "sh"));
        // The first one is at work when the pipe has a reader.
        let go = std::fs::OpenOptions::new().write(true).open(&go).unwrap();
        for _ in 0..500 {
            alerts.add(refusal(2, "sh"));
            alerts.add(refusal(3, "sh"));
        }
        drop(go);
        drop(alerts);
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "1 1\n2 500\n3 500\n");
    }

    #[test]
    fn a_process_cannot_forge_a_line_or_a_command_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let alerts = Alerts::start(&format!(
            "printf '%s\\n' \"$UBC_COMM\" \"$UBC_MESSAGE\" \"$UBC_TIME $UBC_RESOURCE $UBC_ASKED \
             $UBC_HELD $UBC_BARRIER $UBC_LIMIT $UBC_PID $UBC_DROPPED\" >{}",
            log.display()
        ));
        alerts.add(refusal(1, "a\nb\0$(id)\u{1b}"));
        drop(alerts);
        let text = std::fs::read_to_string(&log).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text:?}");
        assert_eq!(lines[0], "a\\nb\\u{0}$(id)\\u{1b}");
        assert!(lines[1].starts_with("container 1: numfile refused, limit 16,"), "{text}");
        assert_eq!(lines[2], "2026-09-21T14:13:20.500Z numfile 1 16 16 20 77 3");
    }
}

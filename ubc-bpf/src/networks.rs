//! Network namespaces, and passes within them.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{Error, Result};

/// How often tasks are asked for whose predecessors had ended when we looked at them.
const ROUNDS: u32 = 10;

/// A network namespace, which stays as long as this does.
pub(crate) struct Network(File);

impl Network {
    /// Runs something in it, on a thread of its own.
    ///
    /// # Errors
    ///
    /// There can be no thread, or the kernel does not let it in.
    pub(crate) fn within<T: Send>(&self, run: impl FnOnce() -> T + Send) -> io::Result<T> {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("network".to_owned());
            let inside = thread.spawn_scoped(scope, || {
                let network = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(self.0.as_fd(), network)?;
                Ok(run())
            })?;
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// The networks of tasks, each once. `tasks` tells the numbers of one in each, as
/// the kernel writes them.
///
/// # Errors
///
/// Those of `tasks`; a network that cannot be opened, but for a task that has ended.
pub(crate) fn of_tasks(tasks: impl Fn() -> Result<Vec<u8>>) -> Result<Vec<Network>> {
    let mut known: Vec<((u64, u64), Network)> = Vec::new();
    for _ in 0..ROUNDS {
        let mut all = true;
        for number in tasks()?.as_chunks::<4>().0 {
            let path = PathBuf::from(format!("/proc/{}/ns/net", i32::from_ne_bytes(*number)));
            let opened = File::open(&path).and_then(|file| Ok((file.metadata()?, file)));
            match opened {
                Ok((about, file)) => {
                    let which = (about.dev(), about.ino());
                    if known.iter().all(|(other, _)| *other != which) {
                        known.push((which, Network(file)));
                    }
                }
                Err(error) if has_ended(&error) => all = false,
                Err(source) => return Err(Error::Io { path, source }),
            }
        }
        if all {
            break;
        }
    }
    Ok(known.into_iter().map(|(_, network)| network).collect())
}

fn has_ended(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_many_tasks_is_entered_once_and_a_task_that_ended_hides_none() {
        let numbers = |of: &[u32]| of.iter().flat_map(|n| n.to_ne_bytes()).collect::<Vec<u8>>();
        let myself = std::process::id();
        let networks = of_tasks(|| Ok(numbers(&[myself, 0x7fff_fff0, myself]))).expect("readable");
        assert_eq!(networks.len(), 1);
        let own = std::fs::read_link("/proc/thread-self/ns/net").expect("a name");
        match networks[0].within(|| std::fs::read_link("/proc/thread-self/ns/net")) {
            Ok(inside) => assert_eq!(inside.expect("a name"), own),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                println!("SKIP: needs root to enter a namespace");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

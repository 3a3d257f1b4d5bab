//! Sockets opened in another namespace.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Runs `job` in a namespace: on a thread that enters it and ends, so that
/// no other code of the program ever runs there.
pub(super) fn inside<T: Send>(
    namespace: BorrowedFd<'_>,
    kind: LinkNameSpaceType,
    job: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("ubc-namespace".to_owned())
            .spawn_scoped(scope, move || {
                move_into_link_name_space(namespace.as_fd(), Some(kind))?;
                job()
            })?
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the job in the namespace panicked")))
    })
}

//! Who is responsible for a container.

use std::ops::Deref;
use std::sync::Arc;

use log::warn;

use super::Node;
use crate::{Container, Result};

/// A container and the responsibility for it.
///
/// Dropped, it ends what it stands for: a container that was made here is
/// killed and its cgroup removed, which waits up to 10 s for its processes; one
/// that was taken over gets back the limits and the schedule it came with, and
/// is left alone. What cannot be done is logged; [`Owned::end`] and
/// [`Owned::detach`] say it. [`Owned::leave`] lets the container go on.
///
/// A process that dies without dropping it leaves everything in force: limits
/// are in the cgroup and with the kernel's programs, which go on counting.
/// Adopting the cgroup with the same id takes that up again.
#[derive(Debug)]
#[must_use = "dropped, it ends the container"]
pub struct Owned {
    node: Arc<Node>,
    container: Arc<Container>,
    /// What is to happen on drop.
    lives: bool,
}

impl Owned {
    pub(super) fn new(node: &Arc<Node>, container: Arc<Container>) -> Owned {
        Owned { node: Arc::clone(node), container, lives: false }
    }

    /// The container itself, to be shared.
    pub fn container(&self) -> &Arc<Container> {
        &self.container
    }

    /// From now on, dropping this lets the container live, as
    /// [`Owned::leave`] does.
    pub fn keep(&mut self) {
        self.lives = true;
        self.container.lives_on();
    }

    /// Leaves the container to the node: it ends with its init if that is known
    /// ([`Container::attach`]), or by [`Node::release`], or stays as it is when
    /// the node is closed.
    pub fn leave(mut self) -> Arc<Container> {
        self.keep();
        Arc::clone(&self.container)
    }

    /// Ends it: one that was made here is killed and its cgroup removed; one that
    /// was taken over is let go as by [`Owned::detach`]. Waits up to 10 s for
    /// processes that were killed.
    ///
    /// # Errors
    ///
    /// What could not be done; the rest has been, and the id is free.
    pub fn end(self) -> Result<()> {
        self.container.end()
    }

    /// Lets go of a container that was taken over: its view is taken away, it
    /// gets back the limits and the schedule it came with, where nobody else has
    /// written since, and nothing counts it any more. Its processes live on.
    ///
    /// One that was made here is nobody else's and ends, as by [`Owned::end`].
    ///
    /// # Errors
    ///
    /// As [`Owned::end`].
    pub fn detach(self) -> Result<()> {
        self.end()
    }
}

impl Deref for Owned {
    type Target = Arc<Container>;

    fn deref(&self) -> &Arc<Container> {
        &self.container
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if std::thread::panicking() {
            warn!("container {}: its owner panicked", self.container.id());
        }
        self.node.roster.disown(&self.container, self.lives);
    }
}

//! What the tests of the view in a container's /proc share.
#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]

mod container;
mod server;
mod view;

pub(crate) use container::{Container, installed, skip};
pub(crate) use server::{Held, Server, serve_if_asked};
pub(crate) use view::{Counting, attached, ctid};

//! What runs in containers wants to know, to stop or to deceive others; and so
//! does who gets at the daemon's socket.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

#[path = "hostile/names.rs"]
mod names;
#[path = "hostile/readers.rs"]
mod readers;
#[path = "hostile/requests.rs"]
mod requests;
#[path = "hostile/socket.rs"]
mod socket;
#[path = "hostile/usage.rs"]
mod usage;

//! Properties of the engine, most of them against a naive model.
//!
//! [`naive`] states the rules once more without looking at the engine;
//! [`world`] runs both side by side. One property per test, so that a failure
//! says what broke.
#![cfg(not(loom))]
#![allow(missing_docs, reason = "a test has no users")]
#![allow(clippy::unwrap_used, reason = "a panic here is the failure report")]

mod charging;
mod guards;
mod history;
mod naive;
mod stocks;
mod world;

//! What is measured.

pub mod engine;

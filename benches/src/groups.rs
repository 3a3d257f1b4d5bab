//! What is measured.

pub mod engine;
pub mod meters;
mod rig;
pub mod view;

//! What is measured.

pub mod engine;
pub mod kernel;
pub mod meters;
mod rig;
pub mod scale;
pub mod view;

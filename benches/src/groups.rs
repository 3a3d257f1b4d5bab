//! What is measured.

pub mod engine;
mod fleet;
pub mod kernel;
pub mod meters;
mod rig;
pub mod scale;
pub mod view;

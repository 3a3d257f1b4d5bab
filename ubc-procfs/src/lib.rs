//! The texts of the beancounter files.
pub mod text;

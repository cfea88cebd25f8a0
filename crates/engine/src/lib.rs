//! The path: every decision, through whichever door, passes the same stages in the same order. Knows no vendor, no HTTP.

pub mod ask;
pub mod outbox;
pub mod record_format;
pub mod systems;
pub mod wire;

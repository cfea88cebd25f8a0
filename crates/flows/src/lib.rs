//! Flows: from a system, through the path, to a system. The `events` door on a watched table, and the backfill of what
//! was there before. A flow translates and keeps its place; every decision is the path's.

pub mod precompute;
pub mod watch;

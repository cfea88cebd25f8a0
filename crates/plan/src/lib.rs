//! Raw configuration and facts in, a validated plan out: pure functions, no I/O. Only a plan can be run.

pub mod expr;
pub mod facts;
mod nearest;
pub mod plan;

pub use facts::Facts;
pub use plan::{IntegrationPlan, Plan};

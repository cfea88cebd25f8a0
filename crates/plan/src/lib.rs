//! Raw configuration and facts in, a validated plan out: pure functions, no I/O. Only a plan can be run.

mod build;
pub mod cache;
pub mod callback;
mod digest;
pub mod embed;
pub mod expr;
pub mod facts;
pub mod finding;
pub mod guard;
mod limits;
pub mod lookup;
mod nearest;
pub mod objectives;
mod outline;
pub mod plan;
mod raw;
pub mod render;
pub mod route;
pub mod schema;
mod scope;
pub mod telemetry;
pub mod trust;
mod yaml;

pub use build::{Outcome, Sources, plan};
pub use facts::Facts;
pub use finding::{Finding, Severity};
pub use nearest::nearest;
pub use outline::{Outline, outline};
pub use plan::{IntegrationPlan, Plan, PublishPlan, PublishTo};
pub use raw::parse_duration as duration;
pub use scope::{Scope, Scopes};

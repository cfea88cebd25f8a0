//! The path: every decision, through whichever door, passes the same stages in the same order. Knows no vendor, no HTTP.

pub mod allowance;
pub mod ask;
mod batch;
mod engine;
mod erasing;
mod explaining;
mod form;
pub mod lookup;
mod metrics;
pub mod outbox;
mod pace;
mod past;
mod path;
pub mod preview;
mod recalling;
pub mod record_format;
mod refusals;
pub mod replay;
pub mod requests;
pub mod reviews;
mod room;
mod running;
pub mod runtime;
mod shadow;
mod stages;
pub mod stored;
pub mod systems;
mod took;
mod trail;
pub mod wire;

pub use engine::{DeliverySink, Engine, Parts};
pub use explaining::{without_value, without_values};
pub use past::Past;
pub use runtime::{Runtime, Slot};
pub use took::Took;

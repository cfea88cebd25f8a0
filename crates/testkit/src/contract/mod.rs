//! Contract suites: what every implementation of a socket must do, checked against a model, driven by a seed. They panic
//! where the contract is broken and tell the seed.

mod cache;
mod disk;
mod store;

pub use cache::cache;
pub use disk::disk;
pub use store::store;

//! The sockets: traits behind which every part of the outside stands. Rooms below plug in; rooms above only see these.

pub mod cache;
pub mod connector;
pub mod http;
pub mod ledger;
pub mod model;
pub mod secrets;
pub mod store;

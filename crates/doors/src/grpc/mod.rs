//! gRPC: the decisions of the HTTP interface as a service with messages, on a port of its own. `service` is the table of
//! contents. Only the writing differs: callers, limits, records and errors are the same.

mod calls;
mod connection;
mod convert;
mod counters;
mod frame;
mod health;
mod metadata;
mod observe;
mod pb;
mod pb_parts;
mod preface;
mod service;
mod status;
mod stream;

pub(crate) use connection::{connection, opening};
pub(crate) use service::Service;

//! The doors: a caller's request in, the path's answer out. A door translates and decides nothing. HTTP is known here only.

pub mod api;
pub mod console;
mod embed;
pub mod figure;
pub mod graphql;
mod grpc;
pub mod keys;
pub mod overview;
mod remote;
pub mod service;
pub mod trust;

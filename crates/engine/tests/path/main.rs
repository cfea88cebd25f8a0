//! The path under the virtual clock and the seeded scheduler: by examples, against itself (a batch of n is n batches of
//! one), and under failures at random.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod batch_is_n;
mod by_example;
mod common;
mod crowding;
mod exits;
mod ladder;
mod lookups;
mod operations;
mod past;
mod real_model;
mod recall;
mod recall_histories;
mod requests;
mod reviews;
mod routes;
mod seen;
mod single_flight;

//! What callers and people at the command line are told: statuses, documents, reloads. The real binary, a real CRM file,
//! HTTP by hand. (`tests/outside` shows what the process survives.)

#![expect(clippy::disallowed_methods, reason = "tests of a real process wait in real time")]
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod asynchronous;
mod bad_input;
mod batches;
mod caches;
mod callbacks;
mod changes;
mod checkpoints;
mod checks;
mod console;
mod contract;
mod crowd;
mod databases;
mod docs;
mod documents;
mod embed;
mod graphql;
mod grpc;
mod keys;
mod letters;
mod limits;
mod listening;
mod locked;
mod lookups;
mod matrix;
mod oidc;
mod planted;
mod registry;
mod reload;
mod retries;
mod reviews;
mod rules;
mod standing;
mod status;
mod support;
mod telemetry;
mod terminal;
mod tls;
mod tokens;

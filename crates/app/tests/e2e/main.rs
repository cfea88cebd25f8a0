//! End to end: the real binary, a real CRM file, HTTP by hand. Every test makes its own project and takes its own port.

#![expect(clippy::disallowed_methods, reason = "tests of a real process wait in real time")]
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod bad_input;
mod changes;
mod checks;
mod documents;
mod faults;
mod lives;
mod support;

//! The built program from the outside: started on a project of its own, asked over HTTP and the command line, killed, locked
//! out, starved of disk. One file per subject.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests fail by panicking and tell what they saw")]
#![expect(clippy::disallowed_methods, reason = "the program under test lives in real time, and so do its tests")]

mod accepted;
mod backfilling;
mod bad_inputs;
mod between;
mod buffered;
mod check;
mod crash;
mod crm_full;
mod disk_full;
mod erasure;
mod harness;
mod idempotency;
mod kill;
mod late;
mod lifecycle;
mod master_key;
mod models;
mod newcomer;
mod outages;
mod predict;
mod proof;
mod recovery;
mod reviewing;
mod rows;
mod sizes;
mod transport;
mod undoing;
mod watching;

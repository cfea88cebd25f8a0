//! The parts of the benchmark, each a function from what was made ready to rows of the table.

pub(crate) mod doors;
pub(crate) mod http;
pub(crate) mod ledger;
pub(crate) mod lookups;
pub(crate) mod overload;
pub(crate) mod pages;
pub(crate) mod postgres;
pub(crate) mod recall;
pub(crate) mod soak;
pub(crate) mod trees;
pub(crate) mod watch;

//! The stages, one file each; `path.rs` shows their order and the reason for it. A stage gets the batch and, where it must
//! wait or remember, the engine; it reads no wall clock, makes no client and knows no HTTP.

pub(crate) mod admit;
pub(crate) mod dedupe;
pub(crate) mod deliver;
pub(crate) mod enrich;
pub(crate) mod explain;
pub(crate) mod fall_back;
pub(crate) mod infer;
pub(crate) mod judge;
pub(crate) mod recall;
pub(crate) mod record;
pub(crate) mod route;
pub(crate) mod validate;

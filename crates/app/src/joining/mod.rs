//! Joining a model to a system for the first time: asking a system what it holds, and changing a project's files so that
//! they are right afterwards. The commands `init`, `systems discover` and `new integration` are made of this.

mod connect;
mod files;
mod sample;

pub(crate) use connect::{Connection, Given};
pub(crate) use files::{Draft, schema_files, write_new};
pub(crate) use sample::sample;

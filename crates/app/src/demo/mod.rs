//! `tendon demo`: a complete integration on real data, in one command.

mod check;
mod crm;
mod data;
mod folder;
mod live;
mod once;
mod view;

pub(crate) use live::run as live;
pub(crate) use once::run as once;

//! Assistance for whoever joins a model to a system for the first time: what a table holds, which of its fields is which
//! feature of the model, and the configuration that says so. Pure functions over what systems and models said; nothing
//! here reads a file or asks a system, and nothing here decides: every proposal comes with its confidence and its reason.

mod assign;
pub mod compose;
pub mod edit;
pub mod mapping;
pub mod names;
pub mod personal;
pub mod profile;

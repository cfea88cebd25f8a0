//! The pages, a file each; `routes` lists them.

pub(super) mod assets;
pub(super) mod configuration;
pub(super) mod decision;
pub(super) mod decisions;
pub(super) mod deliveries;
pub(super) mod keys;
pub(super) mod ledger;
pub(super) mod letter;
pub(super) mod letters;
pub(super) mod map;
pub(super) mod missing;
pub(super) mod models;
pub(super) mod oidc;
pub(super) mod overview;
pub(super) mod reviews;
pub(super) mod sign_in;
pub(super) mod systems;
pub(super) mod written;

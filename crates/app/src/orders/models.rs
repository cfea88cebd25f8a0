//! Orders about models: versions that come and go, aliases that move.

use std::path::PathBuf;

use serde_json::Value as Json;

use crate::{
    failure::Failure,
    registry::{self, Arrival, Asked},
    wiring::Parts,
};

/// One change of a model; with who asks and why, for the record (sealed).
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ModelsOrder {
    /// Brings a version in from a file with this digest.
    Add { model: String, version: String, file: PathBuf, digest: String, by: String, why: Option<String> },
    /// Lets an alias name a version.
    Promote { model: String, version: String, alias: String, by: String, why: Option<String> },
    /// Lets an alias name what it named before.
    Rollback { model: String, alias: String, by: String, why: Option<String> },
    /// Takes a version out.
    Remove { model: String, version: String, by: String, why: Option<String> },
}

pub(super) async fn carry_out(parts: &Parts, order: ModelsOrder) -> Result<Json, Failure> {
    match order {
        ModelsOrder::Add { model, version, file, digest, by, why } => {
            registry::add(parts, Arrival { model, version, file, digest }, Asked { by, why }).await
        }
        ModelsOrder::Promote { model, version, alias, by, why } => {
            registry::promote(parts, &model, &version, &alias, Asked { by, why }).await
        }
        ModelsOrder::Rollback { model, alias, by, why } => {
            registry::roll_back(parts, &model, &alias, Asked { by, why }).await
        }
        ModelsOrder::Remove { model, version, by, why } => {
            registry::remove(parts, &model, &version, Asked { by, why }).await
        }
    }
}

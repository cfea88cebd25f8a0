//! Facts: what systems and models said of themselves. Kept in `.tendon/facts/`, so that a plan can be checked while a
//! system is down; read and written by the app, only looked at here.

use std::collections::BTreeMap;

use tendon_kernel::{schema::Catalog, sockets::model::Signature};

/// One version of a model as found on disk.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct VersionFact {
    /// File or folder name.
    pub version: String,
    /// SHA-256 of the file, lower-case hex.
    pub digest: String,
    /// Format that loaded it (`lightgbm`).
    pub format: String,
    /// Its contract.
    pub signature: Signature,
}

/// What is known of a model.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ModelFacts {
    /// Versions, sorted by name (natural order); the last one is the newest.
    pub versions: Vec<VersionFact>,
    /// Versions that could not be loaded: name and public reason.
    #[serde(default)]
    pub broken: Vec<(String, String)>,
    /// Alias → version. `champion` defaults to the newest version, `previous` is the one it named before.
    #[serde(default)]
    pub aliases: BTreeMap<String, String>,
}

/// Everything a plan is checked against.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Facts {
    /// Catalog by system.
    pub catalogs: BTreeMap<String, Catalog>,
    /// Facts by model.
    pub models: BTreeMap<String, ModelFacts>,
}

//! JSON Schemas of the configuration, derived from the raw structs: for editors, for the reference, and for our own check.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::raw::{IntegrationRaw, ProjectRaw};

/// JSON Schema (2020-12) of `tendon.yaml`. Settings of connector kinds are left open; see [`editor_schema`].
pub fn json_schema_project() -> Value {
    schema::<ProjectRaw>()
}

/// JSON Schema (2020-12) of `integrations/*.yaml`.
pub fn json_schema_integration() -> Value {
    schema::<IntegrationRaw>()
}

fn schema<T: schemars::JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value()
}

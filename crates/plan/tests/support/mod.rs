//! What the tests of the plan share: a CRM's catalog, a model's signature and a connector kind that connects nowhere.

use std::{collections::BTreeMap, sync::Arc};

use tendon_kernel::{
    Error, ErrorKind, Type,
    schema::{Catalog, Field, Resource, Schema},
    sockets::{
        connector::{Build, Capability, Connector, ConnectorKind},
        model::{Feature, FeatureKind, OutputKind, Signature},
    },
};
use tendon_plan::facts::{Facts, ModelFacts, VersionFact};

/// A database kind: `path` is required, `schema` optional.
pub(crate) static SQLITE: ConnectorKind = ConnectorKind {
    name: "sqlite",
    summary: "an SQLite database",
    capability: Capability { catalog: true, read_by_key: true, scan: true, watch: true, write: true },
    schema,
    validate,
    build,
    access: None,
};

/// A kind that only reads.
pub(crate) static FILES: ConnectorKind = ConnectorKind {
    name: "files",
    summary: "files",
    capability: Capability { catalog: true, read_by_key: false, scan: true, watch: false, write: false },
    schema,
    validate,
    build,
    access: None,
};

fn schema() -> serde_json::Value {
    serde_json::json!({ "type": "object", "properties": { "path": { "type": "string" }, "busy": { "type": "integer" } } })
}

fn validate(config: &serde_json::Value) -> Result<(), Vec<Error>> {
    let mut errors = Vec::new();
    for (key, value) in config.as_object().into_iter().flatten() {
        let known = match key.as_str() {
            "path" => value.is_string(),
            "busy" => value.is_i64(),
            _ => {
                let error = Error::new(ErrorKind::Config, "unknown_key", format!("kind sqlite has no setting {key}"));
                errors.push(error.at(format!("/{key}")).hint("path, busy"));
                continue;
            }
        };
        if !known {
            let error = Error::new(ErrorKind::Config, "wrong_type", format!("{key} has another type"));
            errors.push(error.at(format!("/{key}")));
        }
    }
    if config.get("path").is_none() {
        errors.push(Error::new(ErrorKind::Config, "missing_key", "kind sqlite needs a path"));
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn build(_: Build) -> tendon_kernel::Result<Arc<dyn Connector>> {
    Err(Error::new(ErrorKind::Unsupported, "test_kind", "this kind connects nowhere"))
}

/// The CRM and the model of the demo, in small.
pub(crate) fn facts() -> Facts {
    let field = |name: &str, kind, required| Field { required, ..Field::new(name, kind) };
    let leads = Resource {
        name: "leads".to_owned(),
        key: vec!["id".to_owned()],
        schema: Schema::new(vec![
            field("id", Type::Int, true),
            field("age", Type::Int, true),
            field("job", Type::Text, false),
            field("balance", Type::Float, false),
            field("active", Type::Bool, false),
            field("last_contact", Type::Time, false),
            field("secret", Type::Text, false),
            field("updated_at", Type::Time, true),
            field("score", Type::Float, false),
            field("score_band", Type::Text, false),
            field("scored_at", Type::Time, false),
        ]),
    };
    let notes = Resource {
        name: "notes".to_owned(),
        key: vec!["lead".to_owned(), "kind".to_owned()],
        schema: Schema::new(vec![
            field("lead", Type::Int, true),
            field("kind", Type::Text, true),
            field("text", Type::Text, true),
            field("weight", Type::Int, false),
        ]),
    };
    let feature = |name: &str, kind| Feature { name: name.to_owned(), kind, range: None };
    let jobs = ["admin", "retired", "student"].map(str::to_owned).to_vec();
    let lead_score = signature(vec![
        feature("age", FeatureKind::Number),
        feature("balance", FeatureKind::Number),
        feature("job", FeatureKind::Category { values: jobs }),
        feature("days_idle", FeatureKind::Number),
    ]);
    let simple = signature(vec![feature("amount", FeatureKind::Number), feature("code", FeatureKind::CategoryCode)]);
    let classes = Signature { outputs: 3, output: OutputKind::Classes, ..simple.clone() };
    let mut models = BTreeMap::new();
    models.insert("lead-score".to_owned(), model(&lead_score));
    models.insert("simple".to_owned(), model(&simple));
    models.insert("classes".to_owned(), model(&classes));
    let broken = vec![("v3.txt".to_owned(), "not a model file".to_owned())];
    models.insert("torn".to_owned(), ModelFacts { broken, ..ModelFacts::default() });
    let crm = Catalog { resources: vec![leads.clone(), notes], ..Catalog::default() };
    let files = Catalog { resources: vec![leads], ..Catalog::default() };
    Facts {
        catalogs: [("crm".to_owned(), crm), ("books".to_owned(), books()), ("files".to_owned(), files)].into(),
        models,
    }
}

/// Another system, for lookups.
fn books() -> Catalog {
    let field = |name: &str, kind, required| Field { required, ..Field::new(name, kind) };
    let table = |name: &str, key: &[&str], fields| Resource {
        name: name.to_owned(),
        key: key.iter().map(|name| (*name).to_owned()).collect(),
        schema: Schema::new(fields),
    };
    let customers = vec![
        field("customer_no", Type::Int, true),
        field("segment", Type::Text, true),
        field("credit_limit", Type::Float, false),
        field("region", Type::Text, true),
        field("since", Type::Time, true),
        field("secret", Type::Text, false),
    ];
    let regions =
        vec![field("code", Type::Text, true), field("risk", Type::Int, true), field("tax", Type::Float, false)];
    let terms =
        vec![field("customer", Type::Int, true), field("kind", Type::Text, true), field("days", Type::Int, true)];
    let seen = vec![field("customer", Type::Int, false), field("visits", Type::Int, false)];
    let resources = vec![
        table("customers", &["customer_no"], customers),
        table("regions", &["code"], regions),
        table("seen", &[], seen),
        table("terms", &["customer", "kind"], terms),
    ];
    Catalog { resources, ..Catalog::default() }
}

fn signature(features: Vec<Feature>) -> Signature {
    Signature { features, output: OutputKind::Probability, outputs: 1, objective: "binary".to_owned() }
}

fn model(signature: &Signature) -> ModelFacts {
    let version = |name: &str| VersionFact {
        version: name.to_owned(),
        digest: "00".repeat(32),
        format: "lightgbm".to_owned(),
        signature: signature.clone(),
    };
    ModelFacts {
        versions: vec![version("v1.txt"), version("v2.txt")],
        broken: Vec::new(),
        aliases: [("stable".to_owned(), "v1.txt".to_owned())].into(),
    }
}

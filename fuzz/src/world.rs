//! The world in which targets run: a small project with a field of each type, a model, and an engine whose ledger keeps nothing, so
//! that ten million questions fit into memory.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::BoxFuture;
use tendon_engine::{Engine, Parts, Runtime, Slot};
use tendon_kernel::{
    Error, ErrorKind, Id, Result, Type,
    context::Context,
    schema::{Catalog, Field, Resource, Schema},
    sockets::{
        connector::{Capability, ConnectorKind},
        ledger::{
            Claim, Committed, Draft, Entry, Erased, Facts as EntryFacts, Ledger, LedgerState, Listed, ModelRef, Query,
            Tokens,
        },
        model::Model,
    },
};
use tendon_plan::{
    Facts, Finding, Plan, Sources,
    facts::{ModelFacts, VersionFact},
};

pub(crate) const PROJECT: &str = include_str!("world/tendon.yaml");
pub(crate) const INTEGRATION: &str = include_str!("world/lead-score.yaml");
const MODEL: &str = include_str!("world/card.json");

/// The kind of the world's system.
pub(crate) fn kinds() -> Vec<ConnectorKind> {
    let build = |_| Err(Error::new(ErrorKind::Unsupported, "no_system", "there is no system behind this plan"));
    vec![ConnectorKind {
        name: "fake",
        summary: "a system that is never asked",
        capability: Capability { catalog: true, read_by_key: true, scan: true, watch: true, write: true },
        schema: || serde_json::json!({ "type": "object" }),
        validate: |_| Ok(()),
        build,
        access: None,
    }]
}

fn model() -> Arc<dyn Model> {
    tendon_models::load(None, MODEL.as_bytes()).map(|(_, model)| model).unwrap_or_else(|error| panic!("{error}"))
}

/// What a plan is checked against.
pub(crate) fn facts() -> Facts {
    let field = |(name, kind)| Field::new(name, kind);
    let mut fields: Vec<Field> = [
        ("id", Type::Int),
        ("age", Type::Int),
        ("job", Type::Text),
        ("email", Type::Text),
        ("balance", Type::Float),
        ("seen", Type::Time),
        ("agrees", Type::Bool),
        ("score", Type::Float),
    ]
    .map(field)
    .into();
    fields[0].required = true;
    let leads = Resource { name: "leads".into(), key: vec!["id".into()], schema: Schema::new(fields) };
    let version = VersionFact {
        version: "1".into(),
        digest: "0".repeat(64),
        format: "linear".into(),
        signature: model().signature().clone(),
    };
    let champion = BTreeMap::from([("champion".to_owned(), "1".to_owned())]);
    let card = ModelFacts { versions: vec![version], broken: Vec::new(), aliases: champion };
    Facts {
        catalogs: BTreeMap::from([("crm".to_owned(), Catalog { resources: vec![leads], ..Catalog::default() })]),
        models: BTreeMap::from([("card".to_owned(), card)]),
    }
}

/// The plan of a project and one integration, or what is in its way.
pub(crate) fn planned(project: &str, integration: &str) -> (Option<Plan>, Vec<Finding>) {
    let (kinds, names) = (kinds(), ["tendon.yaml", "integrations/lead-score.yaml"]);
    let sources = Sources(vec![(names[0].into(), project.into()), (names[1].into(), integration.into())]);
    let outcome = tendon_plan::plan(&sources, &facts(), &kinds.iter().collect::<Vec<_>>());
    (outcome.plan, outcome.findings)
}

/// An engine that answers the world's project.
pub(crate) fn engine(context: &Context) -> Arc<Engine> {
    let (plan, findings) = planned(PROJECT, INTEGRATION);
    let plan = Arc::new(plan.unwrap_or_else(|| panic!("the world's project: {findings:#?}")));
    let reference = ModelRef { name: "card".into(), version: "1".into(), digest: "0".repeat(64).into() };
    let models = BTreeMap::from([(("card".to_owned(), "1".to_owned()), Slot { reference, model: model() })]);
    let aliases = BTreeMap::from([("card".to_owned(), BTreeMap::from([("champion".to_owned(), "1".to_owned())]))]);
    let runtime = Runtime::new(plan, models, &aliases).unwrap_or_else(|error| panic!("{error}"));
    Engine::new(Parts { context: context.clone(), ledger: Arc::new(Forgetful), runtime, deliveries: None })
}

/// Takes everything and keeps nothing.
pub(crate) struct Forgetful;

impl Ledger for Forgetful {
    fn commit(&self, drafts: Vec<Draft>) -> BoxFuture<'_, Result<Vec<Committed>>> {
        Box::pin(async move { Ok(drafts.iter().map(|_| Committed::New { seq: 0 }).collect()) })
    }

    fn append(&self, _: Vec<Draft>) -> Result<()> {
        Ok(())
    }

    fn appended(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn entry(&self, _: u64) -> BoxFuture<'_, Result<Option<Entry>>> {
        Box::pin(async { Ok(None) })
    }

    fn entries_of(&self, _: Id) -> BoxFuture<'_, Result<Vec<Entry>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn claimed<'a>(&'a self, _: &'a Claim) -> BoxFuture<'a, Result<Option<Committed>>> {
        Box::pin(async { Ok(None) })
    }

    fn search(&self, _: Query) -> BoxFuture<'_, Result<Listed>> {
        Box::pin(async { Ok(Listed::default()) })
    }

    fn erase<'a>(&'a self, _: &'a str, _: EntryFacts) -> BoxFuture<'a, Result<Erased>> {
        Box::pin(async { Err(Error::new(ErrorKind::Unsupported, "nothing_kept", "this ledger keeps nothing")) })
    }

    fn projected(&self, _: u64) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn state(&self) -> LedgerState {
        LedgerState { size: 0, checkpoint: 0, projected: 0, stopped: None }
    }

    fn tokens(&self) -> Arc<dyn Tokens> {
        Arc::new(Zero)
    }
}

struct Zero;

impl Tokens for Zero {
    fn token(&self, _: &str, _: &str) -> [u8; 16] {
        [0; 16]
    }
}

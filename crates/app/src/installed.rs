//! A plan with its models, ready to be put in force; kept by digest and recorded when it takes effect.

use std::{collections::BTreeMap, sync::Arc};

use tendon_engine::{Runtime, Slot};
use tendon_kernel::{
    Error, ErrorKind, Id, Result,
    context::Context,
    sockets::{
        ledger::{Body, Draft, EntryKind, Facts as EntryFacts, Ledger, ModelRef},
        store::{Batch, Store, Table},
    },
};
use tendon_ledger::objects;
use tendon_plan::{Facts, Finding, Plan, Severity, Sources};

use crate::{
    assemble::Assembled,
    facts::{Loaded, ModelFiles},
    failure::Failure,
};

/// Small facts of the process itself.
const PROCESS: Table = Table("process");
/// Plan digest → digest of the object with what it was made from.
const PLANS: Table = Table("plans");
/// Under which key the plan in force stands there.
const IN_FORCE: &[u8] = b"in_force";

/// What may be put in force.
pub(crate) struct Installed {
    pub(crate) plan: Arc<Plan>,
    sources: Sources,
    facts: Facts,
    models: BTreeMap<String, ModelFiles>,
}

/// A plan as it is kept: enough to make it again.
#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    sources: Vec<(String, String)>,
    facts: Facts,
}

impl Installed {
    /// Takes a project whose plan was made. `only`: the integrations to run; empty: all.
    ///
    /// # Errors
    /// The findings, when there is no plan; a name in `only` that is no integration.
    pub(crate) fn from(assembled: Assembled, only: &[String]) -> Result<Self, Failure> {
        let Assembled { sources, facts, models, outcome, .. } = assembled;
        match outcome.plan {
            Some(mut plan) => {
                restrict(&mut plan, only)?;
                Ok(Self { plan: Arc::new(plan), sources, facts, models })
            }
            None => Err(refused(&outcome.findings)),
        }
    }

    /// The digest of all that is in force: the plan, each model version and what aliases name.
    pub(crate) fn digest(&self) -> String {
        let models = self.loaded().map(|loaded| {
            format!("{}@{}={}", loaded.reference.name, loaded.reference.version, loaded.reference.digest)
        });
        let aliases = serde_json::json!(self.aliases());
        let text = format!("{} {} {aliases}", self.plan.digest, models.collect::<Vec<_>>().join(" "));
        crate::facts::sha256(text.as_bytes())
    }

    /// What each alias of each model names.
    pub(crate) fn aliases(&self) -> BTreeMap<&str, &BTreeMap<String, String>> {
        self.models.iter().map(|(name, files)| (name.as_str(), &files.facts.aliases)).collect()
    }

    fn loaded(&self) -> impl Iterator<Item = &Loaded> {
        self.models.values().flat_map(|files| &files.loaded)
    }

    /// What the path runs on.
    ///
    /// # Errors
    /// `Config` when a schema or a model does not fit the plan.
    pub(crate) fn runtime(&self) -> Result<Runtime> {
        let slots = self.loaded().map(|loaded| (loaded.reference.clone(), loaded.model.clone()));
        let slots = slots.map(|(reference, model)| Slot { reference, model }).collect();
        runtime(self.plan.clone(), slots, &self.facts)
    }

    /// Keeps plan and models by digest, before a decision can name them.
    ///
    /// # Errors
    /// `Unavailable` when they cannot be written.
    pub(crate) async fn keep(&self, store: &dyn Store, context: &Context) -> Result<()> {
        for loaded in self.loaded() {
            objects::put(context, &loaded.bytes).await?;
        }
        let kept = Kept { sources: self.sources.0.clone(), facts: self.facts.clone() };
        let text = serde_json::to_vec(&kept).map_err(|error| {
            Error::new(ErrorKind::Internal, "plan_not_kept", "the plan cannot be written as JSON").private(error)
        })?;
        let object = objects::put(context, &text).await?;
        // A plan's digest is over its meaning; what it was made from is found by this row.
        let mut batch = Batch::default();
        batch.put(PLANS, self.plan.digest.as_bytes(), object.into_bytes());
        store.write(batch).await
    }

    /// Records that this is in force from the start, unless the process before noted the same.
    ///
    /// # Errors
    /// As the ledger's and the store's.
    pub(crate) async fn record(&self, store: &dyn Store, ledger: &dyn Ledger, context: &Context) -> Result<()> {
        let before = store.get(PROCESS, IN_FORCE).await?;
        if before.as_deref() != Some(self.digest().as_bytes()) {
            ledger.commit(vec![self.entry(context)]).await?;
            self.note(store).await;
        }
        Ok(())
    }

    /// The entry that says that this is in force.
    pub(crate) fn entry(&self, context: &Context) -> Draft {
        let none: Arc<str> = Arc::from("");
        let facts = EntryFacts {
            kind: EntryKind::Config,
            id: Id::new(context),
            at: context.clock.now(),
            integration: none.clone(),
            model: None,
            route: none.clone(),
            reason: Arc::from("installed"),
            caller: Arc::from("process"),
            policy: none.clone(),
            plan: self.plan.digest.clone(),
            retention: Arc::from("standard"),
            region: none,
        };
        let models: Vec<&ModelRef> = self.loaded().map(|loaded| &loaded.reference).collect();
        let more = serde_json::json!({ "plan": self.plan.digest, "models": models, "aliases": self.aliases() });
        let more = more.to_string().into_bytes();
        Draft { facts, body: Body { more, ..Body::default() }, claim: None }
    }

    /// Notes that the entry is recorded.
    pub(crate) async fn note(&self, store: &dyn Store) {
        let mut batch = Batch::default();
        batch.put(PROCESS, IN_FORCE, self.digest().into_bytes());
        if let Err(error) = store.write(batch).await {
            // The entry stands, so it is in force; the next start records it once more.
            tracing::warn!(code = error.code(), "what is in force was recorded and not noted: {error}");
        }
    }
}

/// A plan that was in force once, with the models it had, made again from what was kept.
///
/// # Errors
/// `NotFound` when plan or model were not kept; `Corrupt` when they do not give the same plan any more.
pub(crate) async fn recall(
    store: &dyn Store,
    context: &Context,
    plan: &str,
    model: Option<&ModelRef>,
) -> Result<Runtime> {
    let missing = || {
        Error::new(ErrorKind::NotFound, "plan_missing", "the plan of the decision was not kept")
            .with("digest", plan)
            .hint("restore .tendon/records.db and .tendon/objects from a backup")
    };
    let object = store.get(PLANS, plan.as_bytes()).await?.and_then(|digest| String::from_utf8(digest).ok());
    let text = objects::get(&*context.disk, &object.ok_or_else(missing)?)?;
    let unreadable =
        || Error::new(ErrorKind::Corrupt, "plan_unreadable", "a kept plan cannot be read").with("digest", plan);
    let kept: Kept = serde_json::from_slice(&text).map_err(|error| unreadable().private(error))?;
    let made = tendon_plan::plan(&Sources(kept.sources), &kept.facts, tendon_connectors::ALL).plan;
    let made = made.filter(|made| &*made.digest == plan).ok_or_else(unreadable)?;
    let slots = match model {
        None => Vec::new(),
        Some(model) => vec![slot(context, model)?],
    };
    runtime(Arc::new(made), slots, &kept.facts)
}

/// A model version from the objects.
///
/// # Errors
/// `NotFound` when it was not kept, `Corrupt` when it is damaged, or the format's own.
pub(crate) fn slot(context: &Context, model: &ModelRef) -> Result<Slot> {
    let bytes = objects::get(&*context.disk, &model.digest)?;
    let (_, loaded) = tendon_models::load(None, &bytes)?;
    Ok(Slot { reference: model.clone(), model: loaded })
}

fn runtime(plan: Arc<Plan>, slots: Vec<Slot>, facts: &Facts) -> Result<Runtime> {
    let key = |slot: &Slot| (slot.reference.name.to_string(), slot.reference.version.to_string());
    let models = slots.into_iter().map(|slot| (key(&slot), slot)).collect();
    let aliases = facts.models.iter().map(|(name, facts)| (name.clone(), facts.aliases.clone())).collect();
    Runtime::new(plan, models, &aliases)
}

/// Leaves out what is not to be run.
fn restrict(plan: &mut Plan, only: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = only.iter().find(|name| !plan.integrations.contains_key(name.as_str())) {
        let known: Vec<&str> = plan.integrations.keys().map(AsRef::as_ref).collect();
        let message = format!("no integration is called `{unknown}`");
        return Err(Failure::new("no_integration", message, format!("known are: {}", known.join(", "))));
    }
    plan.integrations.retain(|name, _| only.is_empty() || only.iter().any(|one| **one == **name));
    Ok(())
}

fn refused(findings: &[Finding]) -> Failure {
    let errors: Vec<String> =
        findings.iter().filter(|finding| finding.severity == Severity::Error).map(ToString::to_string).collect();
    let shown = errors.iter().take(3).map(|line| format!("\n  {line}")).collect::<String>();
    Failure::new(
        "config_invalid",
        format!("the project's configuration has {} errors:{shown}", errors.len()),
        "`tendon check` lists all of them",
    )
}

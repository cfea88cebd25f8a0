//! What the path runs on: a plan with its models loaded and its schemas made ready. Installed as a whole, so that a reload
//! is atomic: a request sees the old one or the new one, never a mixture.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use tendon_kernel::{
    Error, ErrorKind, Result,
    metrics::Registry,
    sockets::{ledger::ModelRef, model::Model},
};
use tendon_plan::{IntegrationPlan, Plan};

use crate::{form::Form, lookup::LookupMeters, metrics::Meters, systems::System};

/// Alias of the version before.
const PREVIOUS: &str = "previous";

/// A loaded version of a model.
#[derive(Clone)]
pub struct Slot {
    /// Name, version and digest, as they are recorded.
    pub reference: ModelRef,
    /// The model.
    pub model: Arc<dyn Model>,
}

/// A plan with everything it needs to run.
pub struct Runtime {
    plan: Arc<Plan>,
    integrations: BTreeMap<Arc<str>, Arc<Ready>>,
    slots: Vec<Arc<Slot>>,
    aliases: BTreeMap<String, BTreeMap<String, String>>,
}

/// An integration, ready.
pub(crate) struct Ready {
    pub(crate) plan: Arc<IntegrationPlan>,
    /// Digest of the whole plan.
    pub(crate) digest: Arc<str>,
    pub(crate) form: Form,
    /// The champion; `None` when it could not be loaded: the ladder answers.
    pub(crate) champion: Option<Arc<Slot>>,
    /// The version before, where the ladder asks it and it could be loaded.
    pub(crate) previous: Option<Arc<Slot>>,
    /// The versions that answer for a share, with where their shares end (percent, rising).
    pub(crate) arms: Vec<Arm>,
    /// The version that is asked beside, with its share.
    pub(crate) shadow: Option<Arm>,
    /// Counters; made when it is installed.
    pub(crate) meters: OnceLock<Meters>,
    /// The same of each lookup.
    pub(crate) lookup_meters: OnceLock<Vec<LookupMeters>>,
    /// The system that each lookup asks; lent when the systems are open.
    pub(crate) sources: OnceLock<Vec<Option<Arc<System>>>>,
}

/// A version with its share.
pub(crate) struct Arm {
    pub(crate) route: Arc<str>,
    /// Percent up to which it answers.
    pub(crate) upto: f64,
    /// `None` when it could not be loaded: the champion answers in its place.
    pub(crate) slot: Option<Arc<Slot>>,
}

impl Runtime {
    /// Makes a plan ready. `models`: loaded versions by model name and version; a version that could not be loaded is left
    /// out, and the integrations that ask it fall back. `aliases`: model name → alias → version.
    ///
    /// # Errors
    /// `Config` when a schema's pattern is no regular expression, or a model has another signature than the one that the
    /// plan was checked against.
    pub fn new(
        plan: Arc<Plan>,
        models: BTreeMap<(String, String), Slot>,
        aliases: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Result<Self> {
        let models: BTreeMap<_, _> = models.into_iter().map(|(key, slot)| (key, Arc::new(slot))).collect();
        let mut integrations = BTreeMap::new();
        for (name, integration) in &plan.integrations {
            let find = |alias: &str| {
                let version = aliases.get(integration.model.as_ref()).and_then(|known| known.get(alias));
                let version = version.map_or(alias, String::as_str).to_owned();
                let slot = models.get(&(integration.model.to_string(), version)).cloned();
                slot.map(|slot| same_contract(integration, &slot).map(|()| slot)).transpose()
            };
            let champion = find(&integration.alias)?;
            let previous = if integration.fallback.previous { find(PREVIOUS)? } else { None };
            let mut upto = 0.0;
            let mut arms = Vec::with_capacity(integration.route.arms.len());
            for arm in &integration.route.arms {
                upto += arm.percent;
                arms.push(Arm { route: Arc::clone(&arm.route), upto, slot: find(&arm.alias)? });
            }
            let shadow = integration.route.shadow.as_ref().map(|arm| {
                Ok::<_, Error>(Arm { route: Arc::clone(&arm.route), upto: arm.percent, slot: find(&arm.alias)? })
            });
            let shadow = shadow.transpose()?;
            let form = Form::new(&integration.input.schema, plan.limits.depth)?;
            let (digest, meters) = (Arc::clone(&plan.digest), OnceLock::new());
            let (lookup_meters, sources, plan) = (OnceLock::new(), OnceLock::new(), Arc::clone(integration));
            let ready = Ready { plan, digest, form, champion, previous, arms, shadow, meters, lookup_meters, sources };
            integrations.insert(Arc::clone(name), Arc::new(ready));
        }
        Ok(Self { plan, integrations, slots: models.into_values().collect(), aliases: aliases.clone() })
    }

    /// Lends the open systems to the lookups. The first ones lent stay: a plan runs with its own systems.
    pub fn lend(&self, systems: &BTreeMap<Arc<str>, Arc<System>>) {
        for ready in self.integrations.values() {
            let lookups = &ready.plan.lookups.list;
            ready.sources.get_or_init(|| lookups.iter().map(|lookup| systems.get(&lookup.system).cloned()).collect());
        }
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The version that an integration asks now; `None` when it is not loaded.
    pub fn champion(&self, integration: &str) -> Option<&Slot> {
        self.integrations.get(integration)?.champion.as_deref()
    }

    /// The version that a route beside the champion's asks now; `None` when it is not loaded: an arm's subjects are the champion's then.
    pub fn arm(&self, integration: &str, route: &str) -> Option<&Slot> {
        let ready = self.integrations.get(integration)?;
        ready.arms.iter().chain(&ready.shadow).find(|arm| &*arm.route == route)?.slot.as_deref()
    }

    /// What the aliases of a model name, by alias.
    pub fn aliases(&self, model: &str) -> Option<&BTreeMap<String, String>> {
        self.aliases.get(model)
    }

    /// All loaded versions.
    pub fn slots(&self) -> &[Arc<Slot>] {
        &self.slots
    }

    /// A loaded version by the digest of its file.
    pub fn slot(&self, digest: &str) -> Option<&Arc<Slot>> {
        self.slots.iter().find(|slot| slot.reference.digest.as_ref() == digest)
    }

    /// Makes the counters of all integrations, so that they show from the start.
    pub(crate) fn count_in(&self, registry: &Registry) {
        for (name, ready) in &self.integrations {
            ready.meters.get_or_init(|| Meters::new(registry, name));
            let lookups = ready.plan.lookups.list.iter();
            ready
                .lookup_meters
                .get_or_init(|| lookups.map(|lookup| LookupMeters::new(registry, name, &lookup.name)).collect());
        }
    }

    pub(crate) fn ready(&self, integration: &str) -> Option<&Arc<Ready>> {
        self.integrations.get(integration)
    }
}

fn same_contract(plan: &IntegrationPlan, slot: &Slot) -> Result<()> {
    let (known, found) = (plan.signature.as_ref(), slot.model.signature());
    if known.features == found.features && known.outputs == found.outputs && plan.features.len() == found.features.len()
    {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Config,
        "signature_changed",
        format!(
            "version {} of model {} has another signature than the one integration {} was checked against",
            slot.reference.version, slot.reference.name, plan.name
        ),
    )
    .hint("run `tendon check` and load again"))
}

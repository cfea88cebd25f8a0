//! `tendon.yaml`: systems, models and limits, checked against the kinds and the facts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tendon_kernel::{
    schema::Catalog,
    sockets::connector::{Allowed, ConnectorKind},
};

use super::{
    cache, grpc, ledger, read_project, telemetry,
    trust::{self, Granted},
};
use crate::{
    cache::CacheStorePlan,
    facts::Facts,
    finding::{Finding, Findings, Mark, plain},
    nearest::nearest,
    plan::{GrpcPlan, ModelPlan, OutgoingPlan, PublishPlan, ServerLimits, SystemPlan},
    raw::{ModelRaw, ServerRaw, Span, SystemRaw},
    telemetry::TelemetryPlan,
    trust::TrustPlan,
    yaml::{At, Kind, Node, Ordered},
};

/// Keys of a system that belong to every kind.
pub(crate) const COMMON: [&str; 4] = ["kind", "read", "write", "limits"];

/// The checked `tendon.yaml`; also what could be saved of a broken one, so that integrations can be checked against it.
pub(crate) struct Project {
    pub(crate) name: Arc<str>,
    pub(crate) systems: BTreeMap<Arc<str>, SystemPlan>,
    pub(crate) models: BTreeMap<Arc<str>, ModelPlan>,
    pub(crate) limits: ServerLimits,
    pub(crate) grpc: Option<GrpcPlan>,
    pub(crate) outgoing: OutgoingPlan,
    pub(crate) telemetry: TelemetryPlan,
    pub(crate) trust: TrustPlan,
    pub(crate) cache: CacheStorePlan,
    pub(crate) publish: Option<PublishPlan>,
    pub(crate) granted: Granted,
}

/// Reads and checks `tendon.yaml`.
pub(super) fn project(text: &str, facts: &Facts, kinds: &[&ConnectorKind], findings: &mut Findings) -> Project {
    let mut project = Project {
        name: Arc::from(""),
        systems: BTreeMap::new(),
        models: BTreeMap::new(),
        limits: limits(None),
        grpc: None,
        outgoing: OutgoingPlan::default(),
        telemetry: TelemetryPlan::default(),
        trust: TrustPlan::default(),
        cache: CacheStorePlan::default(),
        publish: None,
        granted: Granted::new(),
    };
    let Some((node, raw)) = read_project(text, findings) else { return project };
    if let Some(name) = &raw.project {
        check_name(name, findings);
        project.name = Arc::from(name.text());
    }
    project.limits = limits(raw.server.as_ref());
    project.grpc = grpc::grpc(raw.server.as_ref().and_then(|server| server.grpc.as_ref()), findings);
    project.telemetry = telemetry::telemetry(raw.telemetry.as_ref(), findings);
    project.cache = cache::store(raw.cache.as_ref(), findings);
    project.publish = raw.ledger.and_then(|raw| ledger::publish(&raw, findings));
    project.outgoing.ca = raw.outgoing.and_then(|raw| raw.ca).map(|ca| ca.text().to_owned());
    (project.trust, project.granted) = trust::trust(raw.server.as_ref(), raw.auth.as_ref(), findings);
    let nodes = node.get("systems").map(|entry| &entry.value);
    for (name, system) in raw.systems.iter() {
        check_name(name, findings);
        let Some(entry) = nodes.and_then(|nodes| nodes.get(name.text())) else { continue };
        let plan = SystemCheck { name, raw: system, node: &entry.value, facts, findings }.plan(kinds);
        project.systems.insert(Arc::clone(&plan.name), plan);
    }
    for (name, model) in raw.models.iter() {
        check_name(name, findings);
        let plan = model_plan(name, model, facts, findings);
        project.models.insert(Arc::clone(&plan.name), plan);
    }
    project
}

fn limits(raw: Option<&ServerRaw>) -> ServerLimits {
    let pick =
        |value: Option<u32>, default: usize| value.and_then(|value| usize::try_from(value).ok()).unwrap_or(default);
    let usual = ServerLimits::default();
    ServerLimits {
        in_flight: pick(raw.and_then(|raw| raw.in_flight), usual.in_flight),
        refusals_per_second: raw.and_then(|raw| raw.refusals_per_second).unwrap_or(usual.refusals_per_second),
        body_bytes: pick(raw.and_then(|raw| raw.body_bytes), usual.body_bytes),
        batch_records: pick(raw.and_then(|raw| raw.batch_records), usual.batch_records),
        depth: pick(raw.and_then(|raw| raw.depth), usual.depth),
        requests: pick(raw.and_then(|raw| raw.requests), usual.requests),
        request_workers: pick(raw.and_then(|raw| raw.request_workers), usual.request_workers),
    }
}

/// Names become paths, URLs and metric labels.
pub(super) fn check_name(name: &At<String>, findings: &mut Findings) {
    let text = name.text();
    let fits = !text.is_empty()
        && text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if !fits {
        findings.add(name.mark, "bad_name", format!("{text} cannot be a name"), |finding| {
            finding.allow("1 to 64 of a-z, A-Z, 0-9, - and _, starting with a letter or digit")
        });
    }
}

fn model_plan(name: &At<String>, raw: &ModelRaw, facts: &Facts, findings: &mut Findings) -> ModelPlan {
    let path = raw.path.as_ref().map(|path| path.text().to_owned()).unwrap_or_default();
    let mark = raw.path.as_ref().map_or(name.mark, |path| path.mark);
    let known = facts.models.get(name.text());
    for (version, reason) in known.iter().flat_map(|known| &known.broken) {
        let message = format!("version {version} of model {} cannot be loaded: {reason}", name.text());
        findings.add(mark, "broken_model", message, |finding| {
            finding.allow("a file that loads; or move it out of the folder")
        });
    }
    if known.is_none_or(|known| known.versions.is_empty() && known.broken.is_empty()) && raw.path.is_some() {
        let message = format!("model {} has no version: nothing that is a model is at {path}", name.text());
        findings.add(mark, "missing_model", message, |finding| {
            finding.allow("a model file, or a folder with versions below")
        });
    }
    for (alias, version) in known.iter().flat_map(|known| &known.aliases) {
        if known.is_some_and(|known| known.versions.iter().all(|have| have.version != *version)) {
            let message = format!("alias {alias} of model {} names version {version}, which is not there", name.text());
            findings.add(mark, "unknown_version", message, plain);
        }
    }
    ModelPlan { name: Arc::from(name.text()), path }
}

struct SystemCheck<'a> {
    name: &'a At<String>,
    raw: &'a SystemRaw,
    node: &'a Node,
    facts: &'a Facts,
    findings: &'a mut Findings,
}

impl SystemCheck<'_> {
    fn plan(mut self, kinds: &[&ConnectorKind]) -> SystemPlan {
        let settings = match &self.node.kind {
            Kind::Map(entries) => {
                let own = entries.iter().filter(|entry| !COMMON.contains(&entry.key.as_str())).cloned().collect();
                Node { mark: self.node.mark, kind: Kind::Map(own) }
            }
            _ => self.node.clone(),
        };
        let config = settings.to_json();
        let kind = self.kind(kinds);
        let sound = kind.is_some_and(|kind| self.settings(kind, &settings, &config));
        let catalog = self.facts.catalogs.get(self.name.text());
        if catalog.is_none() && sound && kind.is_some_and(|kind| kind.capability.catalog) {
            let message = format!("nothing is known of system {} yet: its catalog was never read", self.name.text());
            let suggestion = Some(format!("tendon systems catalog {}", self.name.text()));
            self.findings.add(self.name.mark, "unknown_catalog", message, |finding| finding.suggest(suggestion));
        }
        let allowed = Allowed {
            read: self.fields(&self.raw.read, catalog, "read"),
            write: self.fields(&self.raw.write, catalog, "write"),
        };
        if let Some(catalog) = catalog {
            super::rights::check(self.name.text(), self.name.mark, &allowed, catalog, self.findings);
        }
        let limits = self.raw.limits.clone().unwrap_or_default();
        if let Some(rate) = limits.rate.as_ref().filter(|rate| rate.value <= 0.0) {
            self.findings.add(rate.mark, "bad_limit", "rate must be above 0", plain);
        }
        let timeout = limits.timeout.map_or(Duration::from_secs(10), |Span(timeout)| timeout);
        let guard = super::guard::guard(&limits, timeout, self.findings);
        SystemPlan {
            name: Arc::from(self.name.text()),
            kind: Arc::from(kind.map_or("", |kind| kind.name)),
            config,
            allowed,
            concurrency: limits.concurrency.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(4),
            rate: limits.rate.map(|rate| rate.value),
            timeout,
            guard,
        }
    }

    fn kind<'k>(&mut self, kinds: &[&'k ConnectorKind]) -> Option<&'k ConnectorKind> {
        let wanted = self.raw.kind.as_ref()?;
        let mut found = kinds.iter().find(|kind| kind.name == wanted.text()).copied();
        if found.is_none() {
            let mut names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
            names.sort_unstable();
            let suggestion = nearest(wanted.text(), names.iter().copied());
            let message = format!("there is no connector kind {}", wanted.text());
            self.findings.add(wanted.mark, "unknown_kind", message, |finding| {
                finding.allow(names.join(", ")).suggest(suggestion)
            });
            // What was probably meant: its settings are checked all the same.
            found = suggestion.and_then(|meant| kinds.iter().find(|kind| kind.name == meant)).copied();
        }
        let writes = self.raw.write.0.first();
        if let Some((resource, _)) = writes.filter(|_| found.is_some_and(|kind| !kind.capability.write)) {
            let message = format!("systems of kind {} cannot be written", wanted.text());
            self.findings.add(resource.mark, "kind_cannot_write", message, plain);
        }
        found
    }

    /// The kind's own checks, with their places; whether nothing is wrong.
    fn settings(&mut self, kind: &ConnectorKind, settings: &Node, config: &serde_json::Value) -> bool {
        let schema = (kind.schema)();
        let own =
            schema.get("properties").and_then(serde_json::Value::as_object).into_iter().flat_map(|keys| keys.keys());
        let known: Vec<String> = own.cloned().chain(COMMON.map(str::to_owned)).collect();
        let errors = (kind.validate)(config).err().unwrap_or_default();
        for error in &errors {
            let mark = error.pointer().map_or(self.name.mark, |pointer| place(settings, pointer, self.name.mark));
            let finding = Finding::error(&self.findings.file, mark, error.code(), error.message().to_owned());
            let hint = error.hint_text().unwrap_or_default();
            let name = error.pointer().and_then(|pointer| pointer.split('/').nth(1)).unwrap_or_default();
            let suggestion =
                nearest(name, known.iter().map(String::as_str)).filter(|_| !known.iter().any(|key| key == name));
            // The kind's own guess knows its settings only; ours knows all keys of a system.
            let allowed = if hint.starts_with("did you mean") { known.join(", ") } else { hint.to_owned() };
            self.findings.list.push(finding.allow(allowed).suggest(suggestion));
        }
        errors.is_empty()
    }

    fn fields(
        &mut self,
        lists: &Ordered<Vec<At<String>>>,
        catalog: Option<&Catalog>,
        verb: &str,
    ) -> BTreeMap<String, Vec<String>> {
        let mut allowed = BTreeMap::new();
        for (resource, fields) in lists.iter() {
            let mut listed: Vec<String> = fields.iter().map(|field| field.text().to_owned()).collect();
            let Some(catalog) = catalog else {
                allowed.insert(resource.text().to_owned(), listed);
                continue;
            };
            let Some(known) = catalog.resource(resource.text()) else {
                let names: Vec<&str> = catalog.resources.iter().map(|resource| resource.name.as_str()).collect();
                let suggestion = nearest(resource.text(), names.iter().copied());
                let message = format!("system {} has no resource {}", self.name.text(), resource.text());
                self.findings.add(resource.mark, "unknown_resource", message, |finding| {
                    finding.allow(names.join(", ")).suggest(suggestion)
                });
                continue;
            };
            for field in fields.iter().filter(|field| known.schema.field(field.text()).is_none()) {
                let refused = catalog.refused.get(resource.text()).and_then(|fields| fields.get(field.text()));
                if let Some(reason) = refused {
                    let message = format!("{verb}: {}.{} cannot be used: {reason}", known.name, field.text());
                    self.findings.add(field.mark, "field_unsupported", message, plain);
                    continue;
                }
                let names: Vec<&str> = known.schema.fields.iter().map(|field| field.name.as_ref()).collect();
                let suggestion = nearest(field.text(), names.iter().copied());
                // What was probably meant counts as listed, so that one slip is not reported at each use.
                listed.extend(suggestion.map(str::to_owned));
                let message = format!("{verb}: {}.{} has no field {}", self.name.text(), known.name, field.text());
                self.findings.add(field.mark, "unknown_field", message, |finding| {
                    finding.allow(names.join(", ")).suggest(suggestion)
                });
            }
            allowed.insert(resource.text().to_owned(), listed);
        }
        allowed
    }
}

/// Where a pointer leads; the key itself for a top-level setting.
fn place(settings: &Node, pointer: &str, fallback: Mark) -> Mark {
    let mut steps = pointer.split('/').skip(1);
    match (steps.next(), steps.next()) {
        (Some(key), None) => settings.get(key).map_or(fallback, |entry| entry.mark),
        (Some(_), Some(_)) => settings.at_pointer(pointer),
        _ => fallback,
    }
}

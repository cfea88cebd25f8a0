//! Raw configuration and facts → plan. Pure: the same sources and facts give the same plan and findings.

mod api;
mod cache;
mod embed;
mod events;
mod expressions;
mod features;
mod grpc;
mod guard;
mod input;
mod integration;
mod ledger;
mod lookup_parts;
mod lookups;
mod model;
mod objectives;
mod project;
mod ranges;
mod rights;
mod route;
mod rules;
mod sign_in;
mod telemetry;
mod trust;

use std::{collections::BTreeMap, sync::Arc};

use tendon_kernel::sockets::connector::ConnectorKind;

use crate::{
    digest,
    facts::Facts,
    finding::{Finding, Findings, Mark, Severity, plain},
    plan::Plan,
    raw::{IntegrationRaw, ProjectRaw},
    schema,
    yaml::{self, Node},
};

pub(crate) use integration::Work;
pub(crate) use project::{COMMON, Project};

/// The files of a project, as text: (name, text), `tendon.yaml` first, then the integrations. Findings use the names.
#[derive(Clone, Debug, Default)]
pub struct Sources(pub Vec<(String, String)>);

/// What came out.
pub struct Outcome {
    /// The plan; `None` when there is at least one error.
    pub plan: Option<Plan>,
    /// Everything found, in the order of the files, then by place.
    pub findings: Vec<Finding>,
}

impl Outcome {
    /// Whether nothing at all was found (information does not count).
    pub fn clean(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity == Severity::Info)
    }
}

/// Makes the plan, or says everything that is in its way. `kinds`: the connector kinds that this binary has.
pub fn plan(sources: &Sources, facts: &Facts, kinds: &[&ConnectorKind]) -> Outcome {
    let Some(((file, text), rest)) = sources.0.split_first() else {
        let finding =
            Finding::error("tendon.yaml", Mark { line: 1, column: 1 }, "no_project", "there is no tendon.yaml")
                .suggest(Some("tendon init"));
        return Outcome { plan: None, findings: vec![finding] };
    };
    let mut findings = Findings::of(file);
    let mut project = project::project(text, facts, kinds, &mut findings);
    let mut all = sorted(findings);
    let mut integrations = BTreeMap::new();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for (file, text) in rest {
        let mut findings = Findings::of(file);
        if let Some(raw) = read::<IntegrationRaw>(text, &schema::json_schema_integration(), &mut findings) {
            unique(&raw.1, file, &mut names, &mut findings);
            let cors = raw.1.doors.as_ref().and_then(|doors| doors.value.api.as_ref()?.cors.as_ref());
            let cors = cors.map(|cors| trust::check_cors(cors, &mut findings));
            let mut work = Work { facts, kinds, project: &project, findings };
            let built = integration::integration(&raw.1, raw.0.mark, &mut work);
            findings = work.findings;
            if let Some(plan) = built {
                project.trust.cors_by_integration.extend(cors.map(|cors| (Arc::clone(&plan.name), cors)));
                integrations.insert(Arc::clone(&plan.name), Arc::new(plan));
            }
        }
        all.extend(sorted(findings));
    }
    let mut late = Findings::of(file);
    trust::check_granted(&project.granted, names.keys().map(String::as_str), &mut late);
    all.splice(0..0, sorted(late));
    if all.iter().any(|finding| finding.severity == Severity::Error) {
        return Outcome { plan: None, findings: all };
    }
    let Project { name, systems, models, limits, grpc, outgoing, telemetry, trust, cache, publish, .. } = project;
    let mut plan = Plan {
        project: name,
        digest: Arc::from(""),
        systems,
        models,
        integrations,
        files: names,
        limits,
        grpc,
        outgoing,
        telemetry,
        trust,
        cache,
        publish,
    };
    plan.digest = digest::sha256(&crate::render::render(&plan)).into();
    Outcome { plan: Some(plan), findings: all }
}

fn sorted(findings: Findings) -> Vec<Finding> {
    let mut list = findings.list;
    list.sort_by(|a, b| (a.line, a.column, a.severity, a.code).cmp(&(b.line, b.column, b.severity, b.code)));
    list.dedup();
    list
}

/// Text → tree (with wrong parts taken out) and typed value.
pub(crate) fn read<T: serde::de::DeserializeOwned>(
    text: &str,
    schema: &serde_json::Value,
    findings: &mut Findings,
) -> Option<(Node, T)> {
    let mut node = yaml::parse(text, findings)?;
    yaml::check_shape(&mut node, schema, findings);
    match yaml::from_node(&node) {
        Ok(raw) => Some((node, raw)),
        Err(error) => {
            findings.add(node.mark, "unreadable", format!("the file cannot be read: {error}"), plain);
            None
        }
    }
}

/// No two integrations of one name.
fn unique(raw: &IntegrationRaw, file: &str, names: &mut BTreeMap<String, String>, findings: &mut Findings) {
    let Some(name) = &raw.integration else { return };
    if let Some(first) = names.get(name.text()) {
        let message = format!("another integration is named {} already: {first}", name.text());
        findings.add(name.mark, "duplicate_integration", message, plain);
    } else {
        names.insert(name.text().to_owned(), file.to_owned());
    }
}

/// Reads `tendon.yaml`.
pub(crate) fn read_project(text: &str, findings: &mut Findings) -> Option<(Node, ProjectRaw)> {
    read(text, &schema::json_schema_project(), findings)
}

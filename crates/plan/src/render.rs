//! A plan as text: what a reviewer reads, what snapshot tests hold, and what the digests are made of. It shows everything
//! that changes a decision, in a fixed order, however the files were written.

use std::fmt::Write as _;

use tendon_kernel::schema::{Field, Schema};

use crate::{
    cache::CacheStorePlan,
    callback::CallbackPlan,
    digest,
    guard::GuardPlan,
    lookup::LookupsPlan,
    objectives::ObjectivesPlan,
    plan::{
        ApiPlan, Encoding, EventsPlan, ExplainPlan, IntegrationPlan, Plan, QualityRule, RecordPlan, ReviewPlan,
        ServerLimits, Source, SystemPlan, Threshold,
    },
    trust::TrustPlan,
};

macro_rules! line {
    ($out:expr, $($part:tt)*) => {{
        // Writing into a String cannot fail.
        let _ = writeln!($out, $($part)*);
    }};
}

/// The whole plan.
pub fn render(plan: &Plan) -> String {
    let mut out = String::new();
    line!(out, "project {}", plan.project);
    let limits = &plan.limits;
    line!(out, "limits in_flight={} body_bytes={} depth={}", limits.in_flight, limits.body_bytes, limits.depth);
    if limits.refusals_per_second != ServerLimits::default().refusals_per_second {
        line!(out, "refusals per_second={}", limits.refusals_per_second);
    }
    if limits.batch_records != ServerLimits::default().batch_records {
        line!(out, "batch records={}", limits.batch_records);
    }
    let (requests, workers) = (limits.requests, limits.request_workers);
    if (requests, workers) != (ServerLimits::default().requests, ServerLimits::default().request_workers) {
        line!(out, "requests waiting={requests} workers={workers}");
    }
    if let Some(grpc) = &plan.grpc {
        line!(out, "grpc listen={}", grpc.listen);
    }
    if let Some(ca) = &plan.outgoing.ca {
        line!(out, "outgoing ca={ca:?}");
    }
    if plan.cache != CacheStorePlan::default() {
        line!(out, "cache {:?}", plan.cache);
    }
    if let Some(publish) = &plan.publish {
        line!(out, "checkpoint to={:?} every={:?}", publish.to, publish.every);
    }
    if plan.trust != TrustPlan::default() {
        line!(out, "trust {:?}", plan.trust);
    }
    for system in plan.systems.values() {
        render_system(&mut out, system);
    }
    for model in plan.models.values() {
        line!(out, "model {} path={:?}", model.name, model.path);
    }
    for integration in plan.integrations.values() {
        render_integration(&mut out, integration, |callback| callback.to.to_string());
    }
    out
}

fn render_system(out: &mut String, system: &SystemPlan) {
    line!(out, "system {} kind={}", system.name, system.kind);
    line!(out, "  settings {}", system.config);
    let rate = system.rate.map_or("none".to_owned(), |rate| rate.to_string());
    line!(out, "  limits concurrency={} rate={rate} timeout={:?}", system.concurrency, system.timeout);
    if system.guard != GuardPlan::default() {
        line!(out, "  guard {:?}", system.guard);
    }
    for (resource, fields) in &system.allowed.read {
        line!(out, "  read {resource}: {}", fields.join(", "));
    }
    for (resource, fields) in &system.allowed.write {
        line!(out, "  write {resource}: {}", fields.join(", "));
    }
}

/// One integration, for people: of an address only the origin, because its path may hold a key.
pub fn integration(plan: &IntegrationPlan) -> String {
    let mut out = String::new();
    render_integration(&mut out, plan, |callback| format!("{}/…", callback.origin));
    out
}

fn render_integration(out: &mut String, plan: &IntegrationPlan, address: fn(&CallbackPlan) -> String) {
    line!(out, "integration {}", plan.name);
    line!(out, "  purpose {:?}, owner {:?}", plan.purpose, plan.owner);
    let signature = serde_json::to_string(&*plan.signature).unwrap_or_default();
    line!(out, "  model {}@{} signature sha256:{}", plan.model, plan.alias, digest::sha256(&signature));
    if let Some(subject) = &plan.subject {
        line!(out, "  subject {}", subject.source());
    }
    render_input(out, &plan.input.schema);
    for (position, value) in &plan.input.defaults {
        let name = plan.input.schema.fields.get(*position).map_or("?", |field| &field.name);
        line!(out, "  default {name} = {}", value.to_json());
    }
    render_lookups(out, &plan.lookups);
    for feature in &plan.features {
        let source = match &feature.source {
            Source::Field(position) => {
                let fields = plan.input.schema.fields.get(*position).or(plan.lookups.schema.fields.get(*position));
                fields.map_or("?", |field| &field.name).to_owned()
            }
            Source::Program(program) => format!("cel {}", program.source()),
        };
        let encoding = match &feature.encoding {
            Encoding::Number => "number".to_owned(),
            Encoding::Category(codes) => format!("category of {}", codes.len()),
        };
        line!(out, "  feature {} = {source} as {encoding}", feature.name);
    }
    line!(out, "  output {} to {}", plan.output_range.0, plan.output_range.1);
    out.push_str(&policy(plan));
    line!(out, "  record {}, retention {}, region {}", record(plan.record), plan.retention, plan.region);
    for arm in plan.route.arms.iter().chain(&plan.route.shadow) {
        line!(out, "  route {} asks {} for {} percent", arm.route, arm.alias, arm.percent);
    }
    if let Some(ObjectivesPlan { objectives, window }) = &plan.objectives {
        for one in objectives {
            line!(out, "  objective {:?} {} percent over {window:?}", one.kind, one.percent());
        }
    }
    if let Some(cache) = &plan.cache {
        line!(out, "  cache by {} for {:?}", cache.key.join(", "), cache.ttl);
        if !cache.stale.is_zero() {
            line!(out, "    stale for {:?}", cache.stale);
        }
        if let Some(ahead) = &cache.precompute {
            line!(out, "    precompute {ahead:?}");
        }
    }
    if let Some(api) = &plan.api {
        line!(out, "  door api deadline={:?}", api.deadline);
        if api.async_deadline != ApiPlan::default().async_deadline {
            line!(out, "  door api async_deadline={:?}", api.async_deadline);
        }
        for one in &api.callbacks {
            line!(out, "  door api callback={} give_up={:?} timeout={:?}", address(one), one.give_up, one.timeout);
        }
    }
    if let Some(events) = &plan.events {
        render_events(out, events);
    }
    if let Some(embed) = &plan.embed {
        line!(out, "  door embed trend={:?}", embed.trend);
        if let Some(holders) = &embed.holders {
            let (lifetime, origins) = (holders.lifetime, holders.cors.origins.join(", "));
            line!(out, "    fresh={:?} lifetime={lifetime:?} origins={origins}", embed.fresh);
        }
    }
}

/// The rules of an integration: what its `policy` digest covers.
pub(crate) fn policy(plan: &IntegrationPlan) -> String {
    let mut out = String::new();
    let quality = |out: &mut String, verb: &str, rules: &[QualityRule]| {
        for rule in rules {
            line!(out, "  {verb} when {} because {:?}", rule.when.source(), rule.reason);
        }
    };
    quality(&mut out, "quarantine", &plan.input.quarantine);
    quality(&mut out, "reject", &plan.input.reject);
    quality(&mut out, "quarantine, looked up,", &plan.lookups.quarantine);
    quality(&mut out, "reject, looked up,", &plan.lookups.reject);
    for band in &plan.bands {
        line!(out, "  band {} {}", band.name, test(band.test));
    }
    if plan.fallback.previous {
        line!(out, "  fallback previous");
    }
    for (rule, output) in &plan.fallback.rules {
        line!(out, "  fallback when {} answer {output}", rule.source());
    }
    if let Some(default) = plan.fallback.default {
        line!(out, "  fallback answer {default}");
    }
    if let Some(human) = plan.fallback.human {
        line!(out, "  fallback human within={:?} most={}", human.within, human.most);
    }
    if let Some(ReviewPlan { when, hold, people }) = &plan.review {
        let (when, verb) = (when.source(), if *hold { "hold" } else { "review" });
        line!(out, "  {verb} when {when} within={:?} most={}", people.within, people.most);
    }
    match &plan.explain {
        ExplainPlan::OnRequest => line!(out, "  explain on_request"),
        ExplainPlan::Always => line!(out, "  explain always"),
        ExplainPlan::When(program) => line!(out, "  explain when {}", program.source()),
    }
    out
}

fn test(test: Threshold) -> String {
    match test {
        Threshold::AtLeast(value) => format!(">= {value}"),
        Threshold::Above(value) => format!("> {value}"),
        Threshold::AtMost(value) => format!("<= {value}"),
        Threshold::Below(value) => format!("< {value}"),
        Threshold::Otherwise => "otherwise".to_owned(),
    }
}

fn record(record: RecordPlan) -> &'static str {
    match record {
        RecordPlan::Durable => "durable",
        RecordPlan::Buffered => "buffered",
    }
}

fn render_input(out: &mut String, schema: &Schema) {
    for Field { name, kind, required, range, values, pattern, max_length, unit, personal, about } in &schema.fields {
        let mut text = format!("  input {name}: {kind}");
        text.push_str(if *required { " required" } else { "" });
        text.push_str(if *personal { " personal" } else { "" });
        if let Some((least, most)) = range {
            let _ = write!(text, " range {least} to {most}");
        }
        if !values.is_empty() {
            let _ = write!(text, " one of {}", values.join(", "));
        }
        if let Some(pattern) = pattern {
            let _ = write!(text, " pattern {pattern:?}");
        }
        if let Some(length) = max_length {
            let _ = write!(text, " up to {length} bytes");
        }
        if let Some(unit) = unit {
            let _ = write!(text, " in {unit}");
        }
        if let Some(about) = about {
            let _ = write!(text, " ({about})");
        }
        line!(out, "{text}");
    }
}

fn render_lookups(out: &mut String, plan: &LookupsPlan) {
    for lookup in &plan.list {
        let key: Vec<String> =
            lookup.key.iter().map(|part| format!("{} = {}", part.field, part.program.source())).collect();
        line!(out, "  lookup {} in {}.{} by {}", lookup.name, lookup.system, lookup.resource, key.join(", "));
        line!(out, "    wave {}, reads {}", lookup.wave, lookup.fields.join(", "));
        line!(out, "    deadline={:?} fresh={:?} stale={:?}", lookup.deadline, lookup.fresh, lookup.stale);
        line!(out, "    missing {}, failed {}", lookup.missing.name(), lookup.failed.name());
    }
    for (position, field) in plan.schema.fields.iter().enumerate() {
        let owner =
            plan.list.iter().find(|lookup| (lookup.first..lookup.first + lookup.fields.len()).contains(&position));
        let Some(lookup) = owner else { continue };
        let filled = lookup.defaults.iter().find(|(at, _)| lookup.first + at == position);
        let default = filled.map_or_else(String::new, |(_, value)| format!(" default {}", value.to_json()));
        let required = if field.required { " required" } else { "" };
        line!(out, "    looked up {}: {}{required}{default}", field.name, field.kind);
    }
}

fn render_events(out: &mut String, events: &EventsPlan) {
    let EventsPlan { system, resource, key, watermark, watermark_type, fields, poll, overlap, sweep, target } = events;
    line!(
        out,
        "  door events from {system}.{resource} key {} watermark {watermark} ({watermark_type})",
        key.join(", ")
    );
    line!(out, "    reads {}", fields.join(", "));
    line!(out, "    poll={poll:?} overlap={overlap:?} sweep={sweep:?}");
    let Some(target) = target else { return };
    let row = if target.same_row { "same row" } else { "another row" };
    line!(out, "    writes {}.{} key {} ({row})", target.system, target.resource, target.key.join(", "));
    for (field, program) in &target.set {
        let stamp = if target.stamp.as_ref() == Some(field) { " (stamp)" } else { "" };
        line!(out, "      {field} = {}{stamp}", program.source());
    }
}

//! One integration: its parts in order, each checked in its own file.

use std::{collections::BTreeSet, sync::Arc};

use tendon_kernel::{
    Type,
    schema::Schema,
    sockets::{
        connector::ConnectorKind,
        model::{OutputKind, Signature},
    },
};

use super::{
    Project, api, embed,
    events::Watched,
    expressions::conversion,
    input::Candidates,
    lookups::{is_late, keys},
    model::Chosen,
    project::check_name,
};
use crate::{
    digest,
    expr::{Env, Looked, Parsed, Ty},
    facts::Facts,
    finding::{Findings, Mark, plain},
    plan::{ExplainPlan, FallbackPlan, InputPlan, IntegrationPlan, RecordPlan},
    raw::{Cel, InputRaw, IntegrationRaw, RecordRaw, RuleRaw},
    yaml::At,
};

/// What an integration is checked against, and its findings.
pub(crate) struct Work<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) kinds: &'a [&'a ConnectorKind],
    pub(crate) project: &'a Project,
    pub(crate) findings: Findings,
}

/// Which of the later names an expression sees.
#[derive(Clone, Copy)]
pub(super) enum Moment {
    /// Before anything was looked up.
    Before,
    /// With everything that was looked up, before the model was asked.
    Enriched,
    /// Where the model or a lookup failed.
    Ladder,
    /// After the decision was judged.
    After,
}

/// The names of an integration's expressions.
pub(super) struct Names {
    pub(super) schema: Schema,
    pub(super) filled: BTreeSet<String>,
    others: Vec<String>,
    hidden: Vec<String>,
    bands: bool,
    /// Looked-up rows where the model is asked …
    pub(super) lookups: Vec<Looked>,
    /// … and where the fallback may have answered for want of one.
    pub(super) after_ladder: Vec<Looked>,
    /// Names of all lookups.
    pub(super) later: Vec<String>,
}

impl Names {
    /// The names of the input; the lookups come in later.
    fn new(raw: &IntegrationRaw, signature: &Signature, candidates: &Candidates) -> Self {
        let input = raw.input.as_ref().map(|input| &input.value);
        Self {
            schema: candidates.used(&used(raw, signature)),
            filled: input.iter().flat_map(|raw| raw.defaults.iter()).map(|(name, _)| name.text().to_owned()).collect(),
            others: candidates.names(),
            hidden: candidates.unreadable.clone(),
            bands: raw.bands.is_some(),
            lookups: Vec::new(),
            after_ladder: Vec::new(),
            later: Vec::new(),
        }
    }

    pub(super) fn env(&self, moment: Moment) -> Env<'_> {
        let after = matches!(moment, Moment::After);
        Env {
            input: &self.schema,
            filled: &self.filled,
            output: after,
            band: after && self.bands,
            decision: after,
            others: &self.others,
            hidden: &self.hidden,
            lookups: match moment {
                Moment::Before => &[],
                Moment::Enriched => &self.lookups,
                Moment::Ladder | Moment::After => &self.after_ladder,
            },
            later: &self.later,
        }
    }
}

/// Checks and builds; `None` when something essential is missing (and was reported).
pub(super) fn integration(raw: &IntegrationRaw, mark: Mark, work: &mut Work<'_>) -> Option<IntegrationPlan> {
    if let Some(name) = &raw.integration {
        check_name(name, &mut work.findings);
    }
    work.labels(raw);
    notes(raw, mark, work);
    let chosen = work.model(raw.model.as_ref()?);
    let (route, previous) = (work.route(raw, &chosen), work.fallback_previous(raw, &chosen));
    let Chosen { model, alias, signature, known } = chosen;
    let input_raw = raw.input.as_ref().map(|input| &input.value);
    let output_range = work.output_range(raw, &signature);
    let bands = work.bands(raw, output_range);
    let fallback_at = work.fallback_numbers(raw, output_range);
    if !known && input_raw.is_none_or(|input| input.from.is_none() && input.schema.is_none()) {
        return None;
    }
    let candidates = work.candidates(input_raw, &signature)?;
    let mut names = Names::new(raw, &signature, &candidates);
    let found = work.find_lookups(raw, &mut names);
    let input = work.input(input_raw, &names, &candidates);
    let features = if known {
        work.features(input_raw, &signature, &names, &candidates, raw.model.as_ref()?.mark)
    } else {
        let env = names.env(Moment::Enriched);
        input_raw.iter().flat_map(|input| input.features.iter()).for_each(|(_, cel)| drop(work.compile(cel, &env)));
        Vec::new()
    };
    let lookups = work.lookups(found, input_raw.and_then(|input| input.quality.as_ref()), &names);
    let subject = work.subject(raw.subject.as_ref(), &names);
    let (rules, human) = (work.fallback_rules(raw, &names), work.fallback_human(raw));
    let fallback = FallbackPlan { previous, rules, default: fallback_at, human };
    let (review, explain) = (work.review(raw, &names), work.explain(raw.explain.as_ref(), &names));
    let watched = Watched { candidates: &candidates, names: &names };
    let doors = raw.doors.as_ref().map(|doors| &doors.value);
    let events = doors.and_then(|doors| doors.events.as_ref()).map(|events| work.events(events, &watched));
    let mark = events.iter().flatten().next().map(|events| events.watermark.as_str());
    let cache = work.cache(raw, &candidates, &names.schema, mark, &lookups);
    let badge = doors.and_then(|doors| doors.embed.as_ref());
    let text = |value: &Option<At<String>>| value.as_ref().map(|value| Arc::<str>::from(value.text()));
    let mut plan = IntegrationPlan {
        name: text(&raw.integration)?,
        purpose: text(&raw.purpose)?,
        owner: text(&raw.owner)?,
        model,
        alias,
        signature,
        subject,
        input: InputPlan { schema: Arc::new(names.schema.clone()), ..input },
        lookups,
        features,
        output_range,
        bands,
        route,
        fallback,
        review,
        explain,
        record: match raw.record {
            Some(RecordRaw::Buffered) => RecordPlan::Buffered,
            Some(RecordRaw::Durable) | None => RecordPlan::Durable,
        },
        retention: text(&raw.retention).unwrap_or_else(|| Arc::from("standard")),
        region: text(&raw.region).unwrap_or_else(|| Arc::from("local")),
        policy: Arc::from(""),
        objectives: raw.objectives.as_ref().map(|raw| work.objectives(raw)),
        cache,
        api: doors.and_then(|doors| doors.api.as_ref()).map(|raw| api::api(raw, &mut work.findings)),
        events: events.flatten(),
        embed: badge.map(|door| embed::embed(door, raw.subject.is_some(), &mut work.findings)),
    };
    plan.policy = digest::sha256(&crate::render::policy(&plan)).into();
    Some(plan)
}

/// What is right, and does not do much.
fn notes(raw: &IntegrationRaw, mark: Mark, work: &mut Work<'_>) {
    let doors = raw.doors.as_ref().map(|doors| &doors.value);
    if doors.is_none_or(|doors| doors.api.is_none() && doors.events.is_none()) {
        let mark = raw.doors.as_ref().map_or(mark, |doors| doors.mark);
        let message = "the integration has no open door: nobody can ask it";
        work.findings.add(mark, "no_door", message, |finding| {
            finding.warning().allow("doors: { api: {} }, doors: { events: … }")
        });
    }
}

/// All expressions of the file.
pub(super) fn expressions(raw: &IntegrationRaw) -> Vec<&At<Cel>> {
    let input = raw.input.as_ref().map(|input| &input.value);
    let quality = input.and_then(|input| input.quality.as_ref());
    let rules = quality.into_iter().flat_map(|quality| quality.quarantine.iter().chain(&quality.reject));
    let fallback = raw.fallback.iter().flat_map(|fallback| &fallback.rules);
    let events = raw.doors.as_ref().and_then(|doors| doors.value.events.as_ref());
    let set = events.and_then(|events| events.value.set.as_ref());
    let all = raw.subject.iter().chain(&raw.explain);
    let all = all.chain(input.into_iter().flat_map(|input| input.features.iter().map(|(_, cel)| cel)));
    let all = all.chain(keys(input));
    let all = all.chain(rules.filter_map(|rule| rule.when.as_ref()));
    let all = all.chain(fallback.filter_map(|rule| rule.when.as_ref()));
    let all = all.chain(raw.review.iter().filter_map(|review| review.value.when.as_ref()));
    all.chain(set.into_iter().flat_map(|set| set.value.iter().map(|(_, cel)| cel))).collect()
}

/// Names of the input fields that anything in the file uses.
fn used(raw: &IntegrationRaw, signature: &Signature) -> BTreeSet<String> {
    let input = raw.input.as_ref().map(|input| &input.value);
    let mut names = BTreeSet::new();
    for cel in expressions(raw) {
        names.extend(Parsed::new(cel.text()).map(|parsed| parsed.fields()).unwrap_or_default());
    }
    let mapped: BTreeSet<&str> =
        input.iter().flat_map(|input| input.features.iter()).map(|(name, _)| name.text()).collect();
    let direct = signature.features.iter().map(|feature| feature.name.clone());
    names.extend(direct.filter(|name| !mapped.contains(name.as_str())));
    names.extend(input.iter().flat_map(|input| input.defaults.iter()).map(|(name, _)| name.text().to_owned()));
    names.extend(input.iter().flat_map(|input| input.ranges.iter()).map(|(name, _)| name.text().to_owned()));
    names
}

impl Work<'_> {
    fn input(&mut self, raw: Option<&InputRaw>, names: &Names, candidates: &Candidates) -> InputPlan {
        let schema = Arc::new(Schema::default());
        let Some(raw) = raw else {
            return InputPlan { schema, defaults: Vec::new(), quarantine: Vec::new(), reject: Vec::new() };
        };
        let env = names.env(Moment::Before);
        // A rule that names a looked-up field runs after the lookups.
        let early = |rules: Option<&Vec<RuleRaw>>| -> Vec<RuleRaw> {
            let early = |rule: &&RuleRaw| rule.when.as_ref().is_none_or(|when| !is_late(when, names));
            rules.into_iter().flatten().filter(early).cloned().collect()
        };
        InputPlan {
            schema,
            defaults: self.defaults(&raw.defaults, &names.schema, candidates),
            quarantine: self.quality(&early(raw.quality.as_ref().map(|quality| &quality.quarantine)), &env),
            reject: self.quality(&early(raw.quality.as_ref().map(|quality| &quality.reject)), &env),
        }
    }

    fn subject(&mut self, cel: Option<&At<Cel>>, names: &Names) -> Option<crate::expr::Program> {
        let cel = cel?;
        let compiled = self.compile(cel, &names.env(Moment::Before))?;
        if !matches!(compiled.ty, Ty::String | Ty::Int) {
            let message = format!("the subject is a {}", compiled.ty);
            let suggestion = conversion(&compiled.ty, Type::Text, cel.text());
            self.findings
                .add(cel.mark, "wrong_type", message, |finding| finding.allow("string or int").suggest(suggestion));
            return None;
        }
        if compiled.nullable {
            let message = "the subject can be null: such a decision could not be found or erased by its subject";
            self.findings.add(cel.mark, "possible_null", message, crate::finding::Finding::warning);
        }
        Some(compiled.program)
    }

    fn explain(&mut self, cel: Option<&At<Cel>>, names: &Names) -> ExplainPlan {
        match cel {
            None => ExplainPlan::OnRequest,
            Some(cel) if cel.text() == "on_request" => ExplainPlan::OnRequest,
            Some(cel) if cel.text() == "always" => ExplainPlan::Always,
            Some(cel) => {
                let program = self.condition(cel, &names.env(Moment::After));
                program.map_or(ExplainPlan::OnRequest, ExplainPlan::When)
            }
        }
    }

    fn output_range(&mut self, raw: &IntegrationRaw, signature: &Signature) -> (f64, f64) {
        let natural = match signature.output {
            OutputKind::Probability | OutputKind::Classes => (0.0, 1.0),
            OutputKind::Number => (f64::MIN, f64::MAX),
        };
        let raw = raw.output.as_ref().and_then(|output| output.range.as_ref());
        let Some(range) = raw.and_then(|raw| self.range(raw)) else { return natural };
        if let Some(raw) = raw.filter(|_| range.0 > natural.1 || range.1 < natural.0) {
            let message = "the model's output never lies in this range";
            self.findings.add(raw.mark, "bad_range", message, |finding| {
                finding.allow(format!("[{}, {}]", natural.0, natural.1))
            });
        }
        range
    }

    /// Texts that must say something, and names that become folders and labels.
    fn labels(&mut self, raw: &IntegrationRaw) {
        for text in [&raw.purpose, &raw.owner].into_iter().flatten().filter(|text| text.text().trim().is_empty()) {
            self.say(text.mark, "empty_text", "the text is empty");
        }
        for name in [&raw.retention, &raw.region].into_iter().flatten() {
            check_name(name, &mut self.findings);
        }
    }

    /// A note without further advice.
    pub(super) fn say(&mut self, mark: Mark, code: &'static str, message: impl Into<String>) {
        self.findings.add(mark, code, message, plain);
    }
}

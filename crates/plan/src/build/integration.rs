//! One integration: its parts in order, each checked in its own file.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tendon_kernel::{
    Type,
    schema::{Field, Schema},
    sockets::{
        connector::ConnectorKind,
        model::{Feature, FeatureKind, OutputKind, Signature},
    },
};

use super::{
    Project, api, events::Watched, expressions::conversion, input::Candidates, model::Chosen, project::check_name,
};
use crate::{
    digest,
    expr::{Env, Parsed, Ty},
    facts::Facts,
    finding::{Findings, Mark, plain},
    nearest::nearest,
    plan::{
        EmbedPlan, Encoding, ExplainPlan, FallbackPlan, FeaturePlan, InputPlan, IntegrationPlan, RecordPlan, Source,
    },
    raw::{Cel, InputRaw, IntegrationRaw, RecordRaw, Span},
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
    /// Before the model was asked.
    Before,
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
}

impl Names {
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
    let route = work.route(raw, &chosen);
    let Chosen { model, alias, signature, known } = chosen;
    let input_raw = raw.input.as_ref().map(|input| &input.value);
    let output_range = work.output_range(raw, &signature);
    let bands = work.bands(raw, output_range);
    let fallback_at = work.fallback_numbers(raw, output_range);
    if !known && input_raw.is_none_or(|input| input.from.is_none() && input.schema.is_none()) {
        return None;
    }
    let candidates = work.candidates(input_raw, &signature)?;
    let names = Names {
        schema: candidates.used(&used(raw, &signature)),
        filled: input_raw.iter().flat_map(|raw| raw.defaults.iter()).map(|(name, _)| name.text().to_owned()).collect(),
        others: candidates.names(),
        hidden: candidates.unreadable.clone(),
        bands: !bands.is_empty() || raw.bands.is_some(),
    };
    let input = work.input(input_raw, &names, &candidates);
    let features = if known {
        work.features(input_raw, &signature, &names, &candidates, raw.model.as_ref()?.mark)
    } else {
        let env = names.env(Moment::Before);
        input_raw.iter().flat_map(|input| input.features.iter()).for_each(|(_, cel)| drop(work.compile(cel, &env)));
        Vec::new()
    };
    let subject = work.subject(raw.subject.as_ref(), &names);
    let fallback = FallbackPlan { rules: work.fallback_rules(raw, &names), default: fallback_at };
    let explain = work.explain(raw.explain.as_ref(), &names);
    let watched = Watched { candidates: &candidates, names: &names };
    let doors = raw.doors.as_ref().map(|doors| &doors.value);
    let events = doors.and_then(|doors| doors.events.as_ref()).map(|events| work.events(events, &watched));
    let mark = events.iter().flatten().next().map(|events| events.watermark.as_str());
    let cache = work.cache(raw, &candidates, &names.schema, mark);
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
        features,
        output_range,
        bands,
        route,
        fallback,
        explain,
        record: match raw.record {
            Some(RecordRaw::Buffered) => RecordPlan::Buffered,
            Some(RecordRaw::Durable) | None => RecordPlan::Durable,
        },
        retention: text(&raw.retention).unwrap_or_else(|| Arc::from("standard")),
        region: text(&raw.region).unwrap_or_else(|| Arc::from("local")),
        policy: Arc::from(""),
        cache,
        api: doors.and_then(|doors| doors.api.as_ref()).map(|raw| api::api(raw, &mut work.findings)),
        events: events.flatten(),
        embed: doors.and_then(|doors| doors.embed.as_ref()).map(|embed| EmbedPlan {
            trend: embed.value.trend.map_or(Duration::from_secs(90 * 86_400), |Span(trend)| trend),
        }),
    };
    plan.policy = digest::sha256(&crate::render::policy(&plan)).into();
    Some(plan)
}

/// What is taken and kept, but does nothing yet.
fn notes(raw: &IntegrationRaw, mark: Mark, work: &mut Work<'_>) {
    let doors = raw.doors.as_ref().map(|doors| &doors.value);
    if let Some(embed) = doors.and_then(|doors| doors.embed.as_ref()) {
        let message = "doors.embed is checked and kept, but this version has no such door";
        work.findings.add(embed.mark, "embed_not_yet", message, crate::finding::Finding::info);
    }
    if doors.is_none_or(|doors| doors.api.is_none() && doors.events.is_none()) {
        let mark = raw.doors.as_ref().map_or(mark, |doors| doors.mark);
        let message = "the integration has no open door: nobody can ask it";
        work.findings.add(mark, "no_door", message, |finding| {
            finding.warning().allow("doors: { api: {} }, doors: { events: … }")
        });
    }
}

/// Names of the input fields that anything in the file uses.
fn used(raw: &IntegrationRaw, signature: &Signature) -> BTreeSet<String> {
    let input = raw.input.as_ref().map(|input| &input.value);
    let quality = input.and_then(|input| input.quality.as_ref());
    let rules = quality.iter().flat_map(|quality| quality.quarantine.iter().chain(&quality.reject));
    let fallback = raw.fallback.iter().flat_map(|fallback| &fallback.rules);
    let events = raw.doors.as_ref().and_then(|doors| doors.value.events.as_ref());
    let set = events.and_then(|events| events.value.set.as_ref());
    let expressions = raw
        .subject
        .iter()
        .chain(&raw.explain)
        .chain(input.iter().flat_map(|input| input.features.iter().map(|(_, cel)| cel)))
        .chain(rules.filter_map(|rule| rule.when.as_ref()))
        .chain(fallback.filter_map(|rule| rule.when.as_ref()))
        .chain(set.iter().flat_map(|set| set.value.iter().map(|(_, cel)| cel)));
    let mut names = BTreeSet::new();
    for cel in expressions {
        names.extend(Parsed::new(cel.text()).map(|parsed| parsed.fields()).unwrap_or_default());
    }
    let mapped: BTreeSet<&str> =
        input.iter().flat_map(|input| input.features.iter()).map(|(name, _)| name.text()).collect();
    let direct = signature.features.iter().map(|feature| feature.name.clone());
    names.extend(direct.filter(|name| !mapped.contains(name.as_str())));
    names.extend(input.iter().flat_map(|input| input.defaults.iter()).map(|(name, _)| name.text().to_owned()));
    names
}

impl Work<'_> {
    fn input(&mut self, raw: Option<&InputRaw>, names: &Names, candidates: &Candidates) -> InputPlan {
        let schema = Arc::new(Schema::default());
        let Some(raw) = raw else {
            return InputPlan { schema, defaults: Vec::new(), quarantine: Vec::new(), reject: Vec::new() };
        };
        let env = names.env(Moment::Before);
        InputPlan {
            schema,
            defaults: self.defaults(&raw.defaults, &names.schema, candidates),
            quarantine: self.quality(raw.quality.as_ref().map_or(&[], |quality| &quality.quarantine), &env),
            reject: self.quality(raw.quality.as_ref().map_or(&[], |quality| &quality.reject), &env),
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

    /// One column per feature of the signature.
    fn features(
        &mut self,
        raw: Option<&InputRaw>,
        signature: &Signature,
        names: &Names,
        candidates: &Candidates,
        mark: Mark,
    ) -> Vec<FeaturePlan> {
        let mapped = raw.map(|raw| &raw.features);
        let known: Vec<&str> = signature.features.iter().map(|feature| feature.name.as_str()).collect();
        for (name, _) in mapped.iter().flat_map(|mapped| mapped.iter()) {
            if !known.contains(&name.text()) {
                let suggestion = nearest(name.text(), known.iter().copied());
                let message = format!("the model has no feature {}", name.text());
                self.findings.add(name.mark, "unknown_feature", message, |finding| {
                    finding.allow(known.join(", ")).suggest(suggestion)
                });
            }
        }
        let mut features = Vec::new();
        for feature in &signature.features {
            let cel = mapped.and_then(|mapped| mapped.iter().find(|(name, _)| name.text() == feature.name));
            let built = match cel {
                Some((_, cel)) => self.mapped_feature(feature, cel, names),
                None => self.direct_feature(feature, names, candidates, mark),
            };
            features.extend(built);
        }
        features
    }

    fn mapped_feature(&mut self, feature: &Feature, cel: &At<Cel>, names: &Names) -> Option<FeaturePlan> {
        let compiled = self.compile(cel, &names.env(Moment::Before))?;
        let encoding = self.encoding(feature, &compiled.ty, cel.text(), cel.mark)?;
        Some(FeaturePlan { name: feature.name.as_str().into(), source: Source::Program(compiled.program), encoding })
    }

    fn direct_feature(
        &mut self,
        feature: &Feature,
        names: &Names,
        candidates: &Candidates,
        mark: Mark,
    ) -> Option<FeaturePlan> {
        let name = feature.name.as_str();
        let found = names.schema.position(name).and_then(|at| names.schema.fields.get(at).map(|field| (at, field)));
        let Some((position, field)) = found else {
            self.no_source(name, candidates, mark);
            return None;
        };
        let Field { kind, .. } = field;
        let encoding = self.encoding(feature, &Ty::of(*kind), &format!("input.{name}"), mark)?;
        Some(FeaturePlan { name: name.into(), source: Source::Field(position), encoding })
    }

    fn no_source(&mut self, name: &str, candidates: &Candidates, mark: Mark) {
        let fields = candidates.names();
        let (system, resource) = candidates.from.clone().unwrap_or_default();
        let hidden = candidates.unreadable.iter().any(|hidden| hidden == name);
        let message = if hidden {
            format!("feature {name} is a field of {system}.{resource} that is not listed under read")
        } else {
            format!("feature {name} of the model has no source: no input field has its name")
        };
        let suggestion = if hidden {
            Some(format!("systems.{system}.read.{resource}: [..., {name}]"))
        } else {
            nearest(name, fields.iter().map(String::as_str))
                .map(|field| format!("features: {{ {name}: \"input.{field}\" }}"))
        };
        self.findings.add(mark, "feature_without_source", message, |finding| {
            finding.allow(format!("features: {{ {name}: \"…\" }} over {}", fields.join(", "))).suggest(suggestion)
        });
    }

    /// How a value of this type becomes the feature's number.
    fn encoding(&mut self, feature: &Feature, ty: &Ty, text: &str, mark: Mark) -> Option<Encoding> {
        let (encoding, fits, allowed) = match &feature.kind {
            FeatureKind::Number => {
                (Encoding::Number, matches!(ty, Ty::Bool | Ty::Int | Ty::Double | Ty::Null), "a number or a bool")
            }
            FeatureKind::CategoryCode => {
                (Encoding::Number, matches!(ty, Ty::Bool | Ty::Int | Ty::Null), "an int (the category's code)")
            }
            FeatureKind::Category { values } => {
                #[expect(clippy::cast_precision_loss, reason = "a model has far fewer categories than 2^53")]
                let codes =
                    values.iter().enumerate().map(|(code, value)| (value.as_str().into(), code as f64)).collect();
                (Encoding::Category(codes), matches!(ty, Ty::String | Ty::Null), "a text (the category's name)")
            }
        };
        if fits {
            return Some(encoding);
        }
        let message = format!("feature {} is fed by a {ty}", feature.name);
        let suggestion = match (&feature.kind, ty) {
            (FeatureKind::Number, Ty::Timestamp) => Some(format!("{}: days(now - {text})", feature.name)),
            (FeatureKind::Number, Ty::Duration) => Some(format!("{}: days({text})", feature.name)),
            (FeatureKind::Number, Ty::String) => Some(format!("{}: double({text})", feature.name)),
            (FeatureKind::CategoryCode, _) => Some(format!("{}: int({text})", feature.name)),
            (FeatureKind::Category { .. }, _) => Some(format!("{}: string({text})", feature.name)),
            _ => None,
        };
        self.findings.add(mark, "feature_type", message, |finding| finding.allow(allowed).suggest(suggestion));
        None
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

//! Replay of a recalled decision. Its answer was computed for an earlier one, whose input may differ wherever the cache's key
//! does not look. So three things are held against each other: this decision's own input, judged again; the recorded answer
//! and the source's, bit for bit; and the source itself, replayed.

use tendon_kernel::{
    Result,
    decision::{Decision, Recalled},
    sockets::ledger::Entry,
};

use super::{Difference, ReplayReport, again, bits, compare, hidden, replay, told};
use crate::{
    batch::{Batch, Case},
    lookup::{self, LookedUp},
    recalling,
    record_format::{More, Snapshot, hex},
    runtime::Runtime,
    stages::{judge, validate},
    stored, wire,
};

/// Replays a recalled decision against the one it names.
///
/// # Errors
/// As [`replay`], of either.
pub fn replay_recalled(entry: &Entry, source: &Entry, runtime: &Runtime) -> Result<ReplayReport> {
    let (recorded, original) = (stored::decision(entry)?, stored::decision(source)?);
    let (body, source_body) = (stored::opened(entry)?, stored::opened(source)?);
    let (snapshot, computed) = (Snapshot::parse(&body.input)?, Snapshot::parse(&source_body.input)?);
    let mut batch = again(&recorded, &snapshot, runtime)?;
    let mut before = again(&original, &computed, runtime)?;
    for (batch, body) in [(&mut batch, body), (&mut before, source_body)] {
        if let Some(case) = batch.cases.first_mut() {
            let more = More::parse(&body.more)?;
            (case.source, case.recall.mark) = (more.row, more.mark);
        }
        validate::run(batch);
    }
    // The rows that came with the answer: no system is asked again.
    lookup::restore(&snapshot.lookups, &mut batch);
    if let Some(case) = batch.cases.first_mut().filter(|case| case.is_open()) {
        case.output = original.output;
        case.classes.clone_from(&original.classes);
    }
    judge::run(&mut batch);
    let mut differences = Vec::new();
    // The row that it shows is the source's: the features are compared there.
    let shown = Snapshot { features: Vec::new(), ..snapshot.clone() };
    compare(&recorded, &shown, &batch, &mut differences);
    against(&recorded, &original, &mut differences);
    rows(&snapshot, &computed, &batch, &mut differences);
    if let (Some(case), Some(earlier)) = (batch.cases.first(), before.cases.first()) {
        keys(&batch, case, earlier, &mut differences);
        age(&batch, &recorded, &computed, &mut differences);
    }
    if entry.facts.plan != source.facts.plan {
        differences.push(difference("source: plan", &source.facts.plan, &entry.facts.plan));
    }
    let replayed = replay(source, runtime)?;
    let prefixed = replayed.differences.into_iter();
    differences.extend(prefixed.map(|one| Difference { what: format!("source: {}", one.what), ..one }));
    Ok(told(entry, &recorded, &batch, differences))
}

/// What the decision says of its source, against the source.
fn against(recorded: &Decision, original: &Decision, differences: &mut Vec<Difference>) {
    let named = recorded.recalled.as_ref();
    let of = |recalled: &Recalled| format!("{} at {:?}", recalled.from, recalled.at);
    let pairs = [
        ("source", named.map_or_else(|| "none".into(), of), format!("{} at {:?}", original.id, original.at)),
        ("source: integration", recorded.integration.to_string(), original.integration.to_string()),
        ("source: outcome", recorded.outcome.name().into(), original.outcome.name().into()),
        ("source: recalled itself", "false".into(), original.recalled.is_some().to_string()),
        ("source: model", format!("{:?}", recorded.model), format!("{:?}", original.model)),
        ("source: route", recorded.route.to_string(), original.route.to_string()),
        ("source: subject", hidden(recorded.subject.as_deref()), hidden(original.subject.as_deref())),
        ("source: number of classes", length(recorded), length(original)),
    ];
    differences
        .extend(pairs.into_iter().filter(|(_, was, is)| was != is).map(|(what, was, is)| difference(what, &was, &is)));
}

fn length(decision: &Decision) -> String {
    decision.classes.as_ref().map_or(0, Vec::len).to_string()
}

/// The row that was recorded with the recalled answer is the source's, and so is what had been looked up for it, as old as it
/// was by then.
fn rows(snapshot: &Snapshot, computed: &Snapshot, batch: &Batch, differences: &mut Vec<Difference>) {
    let all = |features: &[f64]| features.iter().map(|number| bits(Some(*number))).collect::<Vec<_>>().join(", ");
    let (was, is) = (all(&snapshot.features), all(&computed.features));
    if was != is {
        differences.push(difference("source: features", &was, &is));
    }
    let text = |looked: &[LookedUp]| serde_json::to_string(looked).unwrap_or_default();
    let aged = recalling::aged(&batch.ready.plan, &computed.lookups, batch.at);
    let (was, is) = (text(&snapshot.lookups), text(&aged));
    if was != is {
        differences.push(difference("source: looked-up rows", &digest(&was), &digest(&is)));
    }
}

/// Of personal values, only whether they are the same may be told.
fn digest(text: &str) -> String {
    hex(&ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref()[..8])
}

/// What had to be equal for the answer to be reused.
fn keys(batch: &Batch, case: &Case, earlier: &Case, differences: &mut Vec<Difference>) {
    let digest = |case: &Case| {
        let values = recalling::inputs(&batch.ready.plan, case).unwrap_or_default();
        let texts = values.into_iter().map(|value| serde_json::to_string(&wire::Out(value)).unwrap_or_default());
        digest(&texts.map(|text| format!("{}:{text},", text.len())).collect::<String>())
    };
    let (was, is) = (digest(case), digest(earlier));
    if was != is {
        differences.push(difference("cache key", &was, &is));
    }
}

/// How old the answer was, and how old it and its rows may have been.
fn age(batch: &Batch, recorded: &Decision, computed: &Snapshot, differences: &mut Vec<Difference>) {
    let Some(recalled) = &recorded.recalled else { return };
    let millis = recalling::age_ms(recalled.at, recorded.at);
    let told = |age_ms: u64, how: &str| format!("{age_ms} ms, {how}");
    let life = recalling::life(&batch.ready.plan, recalled.at, &computed.lookups);
    let is = match life {
        // A plan without a cache is another than the recorded one, and said so.
        None if batch.ready.plan.cache.is_none() => return,
        Some(life) if recorded.at < life.good => told(millis, "good"),
        Some(life) if recorded.at < life.kept => told(millis, "stale"),
        Some(_) | None => told(millis, "not to be given"),
    };
    let was = told(recalled.age_ms, if recalled.stale { "stale" } else { "good" });
    if was != is {
        differences.push(difference("age", &was, &is));
    }
}

fn difference(what: &str, recorded: &str, replayed: &str) -> Difference {
    Difference { what: what.into(), recorded: recorded.into(), replayed: replayed.into() }
}

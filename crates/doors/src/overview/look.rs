//! Makes the overview: asks the parts, the trends and the outbox, and adds up.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value as Json;
use tendon_kernel::{Result, Timestamp, metrics::Point};
use tendon_plan::IntegrationPlan;

use super::{
    Budget, Doing, Figures, Health, IntegrationView, Overview, Refusal, SystemRow, Trouble, Unanswered, Waiting, Watch,
    budgets,
};
use crate::{
    api::{Api, PartHealth, health},
    console::{Slot, Span},
    figure::count,
    service::SystemView,
    trust::Known,
};

/// What counts as now.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
/// Causes and reasons that are listed.
pub(super) const LISTED: usize = 8;

/// The document, and what is drawn beside it: a slot per step of the span.
pub(crate) struct Look {
    pub(crate) overview: Overview,
    /// All integrations together.
    pub(crate) trend: Vec<Option<Slot>>,
    /// Each integration, as the document lists them.
    pub(crate) trends: Vec<Vec<Option<Slot>>>,
}

/// Looks at everything, with the trends.
///
/// # Errors
/// `Forbidden` without the scope `read`.
pub(crate) async fn look(api: &Api, known: &Known, span: Span) -> Result<Look> {
    let (ready, stopping, parts) = health::is_ready(api).await;
    let systems = systems(&parts, api.service.systems(known)?);
    let tally = api.console.tally.now(api, known).await;
    let letters = &tally.letters;
    let mut seen = Integrations { outbox: api.console.office.outbox_by_integration(), ..Integrations::default() };
    for plan in api.service.integrations(known) {
        seen.add(api, &plan, span, &parts, tally.by_integration.get(&plan.name).copied().unwrap_or_default());
    }
    let (runtime, office) = (api.engine.runtime(), &api.console.office);
    let trouble: Vec<Trouble> =
        parts.iter().filter_map(Trouble::of).chain(seen.failing()).chain(seen.falling()).chain(seen.spent()).collect();
    let well = trouble.is_empty() && letters.count == Some(0);
    let overview = Overview {
        project: runtime.plan().project.clone(),
        version: env!("CARGO_PKG_VERSION"),
        plan: runtime.plan().digest.clone(),
        at: api.context.clock.now(),
        up_seconds: api.context.clock.monotonic().as_secs(),
        state: match () {
            () if stopping => Health::Stopping,
            () if !ready => Health::NotReady,
            () if well => Health::Healthy,
            () => Health::Degraded,
        },
        trouble,
        uptime_7d: office.uptime(7),
        uptime_30d: office.uptime(30),
        uptime_since: office.watched_since(),
        span: span.name(),
        minute: Figures::of(&seen.minute),
        integrations: seen.views,
        outbox: Waiting {
            waiting: systems.iter().map(|system| system.view.waiting).sum(),
            more: systems.iter().any(|system| system.view.more),
        },
        systems,
        letters: letters.clone(),
        unanswered: unanswered(api),
        refusals: refusals(api),
        models: api.service.models(known)?,
    };
    Ok(Look { overview, trend: seen.trend, trends: seen.trends })
}

/// The integrations looked at so far, and their sums.
#[derive(Default)]
struct Integrations {
    outbox: BTreeMap<Arc<str>, usize>,
    views: Vec<IntegrationView>,
    minute: Slot,
    trend: Vec<Option<Slot>>,
    trends: Vec<Vec<Option<Slot>>>,
}

impl Integrations {
    fn add(&mut self, api: &Api, plan: &IntegrationPlan, span: Span, parts: &[PartHealth], letters: usize) {
        let office = &api.console.office;
        let (trend, minute) = (office.trend(&plan.name, span), office.past(&plan.name, MINUTE));
        let objectives = budgets(plan, |time| office.past(&plan.name, time));
        sum_up(&mut self.trend, &trend);
        let mut all = Slot::default();
        trend.iter().flatten().for_each(|slot| all.add(slot));
        self.minute.add_beside(&minute);
        let part = |kind: &str| parts.iter().find(|part| part.name == format!("{kind}:{}", plan.name));
        let (model, watch) = (part("model"), part("watch"));
        let version = model.and_then(|model| model.detail.get("version")).and_then(Json::as_str).map(Into::into);
        self.views.push(IntegrationView {
            name: plan.name.clone(),
            purpose: plan.purpose.clone(),
            state: Doing::of(
                model.is_some_and(|part| !part.ok),
                watch.is_some_and(|part| !part.ok),
                &minute,
                &objectives,
            ),
            model: format!("{}@{}", plan.model, plan.alias),
            version,
            minute: Figures::of(&minute),
            figures: Figures::of(&all),
            watch: watch.map(Watch::of),
            outbox: self.outbox.get(&plan.name).copied().unwrap_or_default(),
            letters,
            objectives,
        });
        self.trends.push(trend);
    }

    /// Those whose decisions find no answer: no part of the process says so.
    fn failing(&self) -> impl Iterator<Item = Trouble> {
        self.views.iter().filter(|one| one.state == Doing::Failing).map(|one| Trouble {
            part: format!("integration:{}", one.name),
            why: format!(
                "{} of {} decisions of the last minute found no answer",
                one.minute.failed, one.minute.decisions
            ),
            vital: false,
        })
    }

    /// Those that a fallback answers for: their callers are served, and somebody should know that it is not the model that serves them.
    fn falling(&self) -> impl Iterator<Item = Trouble> {
        self.views.iter().filter(|one| one.minute.fallback > 0).map(|one| Trouble {
            part: format!("integration:{}", one.name),
            why: format!(
                "{} of {} decisions of the last minute were answered by a fallback",
                one.minute.fallback, one.minute.decisions
            ),
            vital: false,
        })
    }

    /// Those of which more went wrong than may.
    fn spent(&self) -> impl Iterator<Item = Trouble> {
        let of = |one: &IntegrationView, budget: &Budget| Trouble {
            part: format!("integration:{}", one.name),
            why: format!("the error budget of its objective is spent: {}", budget.words()),
            vital: false,
        };
        self.views
            .iter()
            .flat_map(move |one| one.objectives.iter().filter(|budget| budget.spent).map(move |budget| of(one, budget)))
    }
}

/// Adds one integration's slots to those of all.
fn sum_up(all: &mut Vec<Option<Slot>>, own: &[Option<Slot>]) {
    if all.len() < own.len() {
        all.resize(own.len(), None);
    }
    for (all, own) in all.iter_mut().zip(own) {
        let Some(own) = own else { continue };
        all.get_or_insert_with(Slot::default).add_beside(own);
    }
}

impl Watch {
    fn of(part: &PartHealth) -> Self {
        let text = |name: &str| part.detail.get(name).and_then(Json::as_str);
        Self {
            up_to_date_at: text("up_to_date_at").and_then(|text| Timestamp::parse(text).ok()),
            failing: text("failing").map(str::to_owned),
        }
    }
}

impl Trouble {
    /// What a part says of its trouble, where it is in any.
    fn of(part: &PartHealth) -> Option<Self> {
        let named = ["stopped", "failing", "last_failure", "refused_reload"].into_iter();
        let told = named.filter_map(|name| part.detail.get(name)).find(|value| !value.is_null());
        let why = match told {
            Some(Json::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None if part.detail["systems"].is_object() => held_up(&part.detail["systems"]),
            None if part.vital => "does not work; decisions cannot be answered".to_owned(),
            None => "does not work as it should".to_owned(),
        };
        (!part.ok).then(|| Self { part: part.name.clone(), why, vital: part.vital })
    }
}

/// Which systems of the outbox keep what waits, and why.
fn held_up(systems: &Json) -> String {
    let systems = systems.as_object().into_iter().flatten();
    let failing = systems.filter(|(_, desk)| desk["failures"] != 0 || desk["breaker"] != "closed");
    let line = |(system, desk): (&String, &Json)| {
        let waiting = count(desk["unfinished"].as_u64().unwrap_or_default());
        let more = if desk["more"] == true { "+" } else { "" };
        let why = desk["last_failure"].as_str().unwrap_or("writing fails");
        format!("{system}: {waiting}{more} write-backs wait; {why}")
    };
    failing.map(line).collect::<Vec<_>>().join(" · ")
}

fn systems(parts: &[PartHealth], views: Vec<SystemView>) -> Vec<SystemRow> {
    let row = |view: SystemView| {
        let detail = parts.iter().find(|part| part.name == format!("system:{}", view.name)).map(|part| &part.detail);
        let figure = |name: &str| detail.and_then(|detail| detail.get(name)).and_then(Json::as_u64);
        let (under_way, concurrency, queued) = (figure("under_way"), figure("concurrency"), figure("queued"));
        let [rate, rate_used] = ["most", "used"].map(|name| detail.and_then(|detail| detail["rate"][name].as_f64()));
        SystemRow { view, under_way, concurrency, queued, rate, rate_used }
    };
    views.into_iter().map(row).collect()
}

/// Questions that a model did not answer, by integration and reason, since the start.
fn unanswered(api: &Api) -> Vec<Unanswered> {
    let told = |point: &Point<f64>| Unanswered {
        integration: point.label("integration").to_owned(),
        reason: point.label("reason").to_owned(),
        times: point.count(),
    };
    most(api, "tendon_model_unanswered_total").iter().map(told).collect()
}

/// Requests refused before a decision, by reason, since the start.
fn refusals(api: &Api) -> Vec<Refusal> {
    let told = |point: &Point<f64>| Refusal { reason: point.label("reason").to_owned(), times: point.count() };
    most(api, "tendon_refusals_total").iter().map(told).collect()
}

/// What a counter counted, the most frequent first.
fn most(api: &Api, counter: &str) -> Vec<Point<f64>> {
    let mut all = api.context.metrics.sums(counter);
    all.retain(|point| point.count() > 0);
    all.sort_by(|a, b| b.count().cmp(&a.count()).then_with(|| a.labels.cmp(&b.labels)));
    all.truncate(LISTED);
    all
}

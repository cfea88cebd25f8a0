//! What a badge shows of one subject: the last decision, why it came out so, and how it was before. It names features and says
//! in words what they do; values that came in stay inside.

use std::{sync::Arc, time::Duration};

use tendon_engine::{stored, without_value};
use tendon_kernel::{
    Id, Result, Timestamp,
    context::Context,
    decision::{Decision, Outcome, Reason, Rung},
    sockets::ledger::{Body, Draft, Entry, EntryKind, Facts},
};
use tendon_plan::embed::EmbedPlan;

use super::{Filter, MOST_LISTED, Service, Sight, list::Found};
use crate::trust::{Holder, no_badge};

/// Decisions that are looked at, however old, for the last one with an output.
const LOOK_BACK: usize = 20;

/// How a score stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreState {
    /// The last decision has an output and is young enough.
    Fresh,
    /// It is older than the badge calls fresh, or what was asked since has no output.
    Stale,
    /// A person has to look at it before anybody else does.
    Waiting,
    /// None of the last decisions about the subject has an output.
    None,
}

/// The score.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Score {
    /// Integration.
    pub integration: Arc<str>,
    /// What it is for.
    pub purpose: Arc<str>,
    /// How the score stands.
    pub state: ScoreState,
    /// The decision it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Id>,
    /// When that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// How old it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<i64>,
    /// In how many seconds it is stale by its age alone, where it is fresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh_seconds: Option<u64>,
    /// The number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<f64>,
    /// Its band.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub band: Option<Arc<str>>,
    /// The rung of the ladder that answered in place of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degraded: Option<Rung>,
    /// How the last attempt ended, where it is a later one and has no output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Outcome>,
}

/// A reason without the value that it is about.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Part {
    /// Feature.
    pub feature: Arc<str>,
    /// Additive contribution to the margin.
    pub contribution: f64,
    /// In words.
    pub text: String,
}

/// A point of the trend.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Point {
    /// When it was decided.
    pub at: Timestamp,
    /// What came out.
    pub output: f64,
    /// Its band.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub band: Option<Arc<str>>,
}

/// What stands behind the score.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Breakdown {
    /// The score as it is now.
    pub score: Score,
    /// Contributions, largest first; empty when nothing was weighed.
    pub parts: Vec<Part>,
    /// Outputs of the time that the badge shows, oldest first.
    pub trend: Vec<Point>,
    /// Where that time begins.
    pub from: Timestamp,
    /// Where it ends.
    pub until: Timestamp,
    /// Whether there were more decisions in it than are shown; then the newest are.
    pub more: bool,
}

/// A decision that can be shown, and how what was asked since ended.
struct Last {
    entry: Entry,
    decision: Decision,
    since: Option<Outcome>,
}

impl Last {
    /// Whether there is something to show, or to wait for.
    fn shows(&self) -> bool {
        self.decision.output.is_some() || self.decision.awaits_review()
    }
}

impl Service {
    /// The score of the holder's subject.
    ///
    /// # Errors
    /// `NotFound` when the badge is gone; the ledger's.
    pub async fn score(&self, holder: &Holder, context: &Context) -> Result<Score> {
        let now = context.clock.now();
        let last = self.last(holder, now).await?;
        let shown = self.shown(holder, last.as_ref(), now)?;
        self.seen(holder, last.as_ref(), context, "score")?;
        Ok(shown)
    }

    /// What stands behind it.
    ///
    /// # Errors
    /// As [`Service::score`].
    pub async fn breakdown(&self, holder: &Holder, context: &Context) -> Result<Breakdown> {
        let until = context.clock.now();
        let last = self.last(holder, until).await?;
        let score = self.shown(holder, last.as_ref(), until)?;
        let explained = match &last {
            Some(last) if score.output.is_some() => self.explained(Sight::WithoutValues, &last.entry).await?,
            _ => None,
        };
        // Also of a rung of the ladder: what the plan says of it is not for the readers of somebody's page.
        let part = |reason: Reason| Part {
            text: without_value(&reason),
            feature: reason.feature,
            contribution: reason.contribution,
        };
        let parts = explained.into_iter().flat_map(|found| found.reasons).map(part).collect();
        let from = before(until, self.badge(holder)?.0.trend);
        let (trend, more) = self.trend(holder, from).await?;
        self.seen(holder, last.as_ref(), context, "breakdown")?;
        Ok(Breakdown { score, parts, trend, from, until, more })
    }

    /// What the plan in force says of the badge, and what the integration is for.
    fn badge(&self, holder: &Holder) -> Result<(EmbedPlan, Arc<str>)> {
        let runtime = self.engine.runtime();
        let plan = runtime.plan().integrations.get(&holder.integration);
        plan.and_then(|plan| plan.embed.clone().map(|embed| (embed, plan.purpose.clone()))).ok_or_else(no_badge)
    }

    /// The last decision that has an output or waits for a person: however many without one were made since, where it lies within the
    /// time that the badge shows; else among the last ones.
    async fn last(&self, holder: &Holder, now: Timestamp) -> Result<Option<Last>> {
        let about = about(holder);
        let (found, next) = self.collect(&about, None, 1).await?;
        let since = match standing(found)?.pop() {
            Some(last) if last.shows() => return Ok(Some(last)),
            Some(Last { decision, .. }) => Some(decision.outcome),
            None => None,
        };
        // What nobody answered is passed over unread.
        let from = before(now, self.badge(holder)?.0.trend);
        let answered = Filter { answered: true, since: Some(from), ..about.clone() };
        let mut place = next;
        while place.is_some() {
            let (found, further) = self.collect(&answered, place, LOOK_BACK).await?;
            if let Some(last) = standing(found)?.into_iter().find(Last::shows) {
                return Ok(Some(Last { since, ..last }));
            }
            place = further;
        }
        let (found, _) = match next {
            Some(_) => self.collect(&about, next, LOOK_BACK - 1).await?,
            None => return Ok(None),
        };
        Ok(standing(found)?.into_iter().find(Last::shows).map(|last| Last { since, ..last }))
    }

    fn shown(&self, holder: &Holder, last: Option<&Last>, now: Timestamp) -> Result<Score> {
        let (embed, purpose) = self.badge(holder)?;
        let mut score = Score {
            integration: holder.integration.clone(),
            purpose,
            state: ScoreState::None,
            decision: None,
            at: None,
            age_seconds: None,
            fresh_seconds: None,
            output: None,
            band: None,
            degraded: None,
            since: None,
        };
        let Some(Last { decision, since, .. }) = last else { return Ok(score) };
        let age = now.0.saturating_sub(decision.at.0) / 1_000_000;
        (score.decision, score.at, score.age_seconds) = (Some(decision.id), Some(decision.at), Some(age.max(0)));
        score.since = *since;
        if decision.awaits_review() {
            score.state = ScoreState::Waiting;
            return Ok(score);
        }
        // A decision of a clock that was ahead is new.
        let left = embed.fresh.as_secs().checked_sub(u64::try_from(age).unwrap_or(0));
        let recalled_stale = decision.recalled.as_ref().is_some_and(|recalled| recalled.stale);
        score.fresh_seconds = left.filter(|_| !recalled_stale && since.is_none()).map(|left| left + 1);
        score.state = if score.fresh_seconds.is_some() { ScoreState::Fresh } else { ScoreState::Stale };
        (score.output, score.band, score.degraded) = (decision.output, decision.band.clone(), decision.degraded);
        Ok(score)
    }

    /// Outputs since then, oldest first, and whether there were more.
    async fn trend(&self, holder: &Holder, from: Timestamp) -> Result<(Vec<Point>, bool)> {
        let filter = Filter { answered: true, since: Some(from), ..about(holder) };
        let (found, next) = self.collect(&filter, None, MOST_LISTED).await?;
        let point = |Last { decision, .. }: Last| {
            let output = decision.output.filter(|_| !decision.awaits_review())?;
            Some(Point { at: decision.at, output, band: decision.band })
        };
        Ok((standing(found)?.into_iter().rev().filter_map(point).collect(), next.is_some()))
    }

    /// Records that somebody was shown it: sealed with the subject's key, as the decision is.
    fn seen(&self, holder: &Holder, last: Option<&Last>, context: &Context, what: &str) -> Result<()> {
        let Some(Last { entry, .. }) = last else { return Ok(()) };
        let more = serde_json::json!({ "decision": entry.facts.id, "shown": what }).to_string().into_bytes();
        let facts = Facts {
            kind: EntryKind::Access,
            id: Id::new(context),
            at: context.clock.now(),
            model: None,
            route: Arc::from("embed"),
            reason: Arc::from("shown"),
            caller: holder.known.caller.id.clone(),
            ..entry.facts.clone()
        };
        let body = Body { subject: Some(holder.subject.clone()), more, ..Body::default() };
        self.engine.ledger().append(vec![Draft { facts, body, claim: None }])
    }
}

fn about(holder: &Holder) -> Filter {
    Filter {
        integration: Some(holder.integration.to_string()),
        subject: Some(holder.subject.to_string()),
        ..Filter::default()
    }
}

/// Decisions as they stand; without those whose subject was erased.
fn standing(found: Vec<Found>) -> Result<Vec<Last>> {
    let open = found.into_iter().filter(|(entry, _)| entry.body.is_some());
    let last = |(entry, standing): Found| {
        let decision = standing.map_or_else(|| stored::decision(&entry), Ok)?;
        Ok(Last { entry, decision, since: None })
    };
    open.map(last).collect()
}

fn before(now: Timestamp, span: Duration) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
}

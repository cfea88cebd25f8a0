//! Listing decisions, newest first, page by page. A page begins at a position of the ledger, so that decisions made meanwhile
//! neither shift a page nor repeat a row.

use std::sync::Arc;

use serde_json::value::RawValue;
use tendon_engine::stored;
use tendon_kernel::{
    Error, ErrorKind, Id, Result, Timestamp,
    decision::{Decision, Explanation, Outcome},
    sockets::ledger::{Entry, Listed, ModelRef, Query},
};

use super::{Reviewed, Service, Sight, cursor, read::raw, reader};
use crate::keys::Known;

/// Decisions of a page when nobody says.
const USUAL: usize = 50;
/// Decisions of the largest page.
pub const MOST_LISTED: usize = 500;
/// Entries looked at for one page: what a rare band costs at the most (it is sealed, and no list can hold it), or a version that shares
/// all blocks with others. The page is shorter then, and the next goes on.
const LOOK: usize = 4096;
/// Entries asked for at once while looking for a band.
const STEP: usize = 256;

/// Which decisions to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this integration.
    pub integration: Option<String>,
    /// Only about this subject.
    pub subject: Option<String>,
    /// Only at or after.
    pub since: Option<Timestamp>,
    /// Only before.
    pub until: Option<Timestamp>,
    /// Only in this band.
    pub band: Option<String>,
    /// Only that this version of a model was asked for.
    pub version: Option<String>,
    /// Only that ended so.
    pub outcome: Option<Outcome>,
    /// Only those that a model or a fallback answered.
    pub answered: bool,
    /// At most so many (default 50, at most [`MOST_LISTED`]).
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// In place of a cursor: only before this position of the ledger.
    pub before: Option<u64>,
    /// Only at or behind this position: what is older is not looked at.
    pub from: u64,
    /// With explanations.
    pub explain: bool,
}

/// A page of decisions.
#[derive(serde::Serialize)]
pub struct Page {
    /// The decisions, newest first.
    pub decisions: Vec<Row>,
    /// Where the next page begins; nothing: this is the last.
    pub next: Option<String>,
    /// When the last entry was made that was looked at, where the page ended because of that.
    #[serde(skip)]
    pub back_to: Option<Timestamp>,
}

/// A decision of a list.
#[derive(serde::Serialize)]
pub struct Row {
    /// Its id.
    pub id: Id,
    /// Position in the ledger.
    pub seq: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// Integration.
    pub integration: Arc<str>,
    /// How it ended.
    pub outcome: Arc<str>,
    /// Model version asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelRef>,
    /// Id of the key that asked.
    pub caller: Arc<str>,
    /// Whether its subject was erased; then the rest is gone.
    pub erased: bool,
    /// The decision as it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Box<RawValue>>,
    /// A person's part in it, as it stands, where one was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<Reviewed>,
    /// Why, when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
    /// The decision as it stands, where a person was asked.
    #[serde(skip)]
    pub standing: Option<Decision>,
}

/// An entry, and the decision as it stands where a person was asked.
pub(super) type Found = (Entry, Option<Decision>);

impl Filter {
    /// All that a cursor holds for, in one text that no other filters give.
    fn text(&self) -> String {
        let Self { integration, subject, since, until, band, version, outcome, answered, .. } = self;
        format!("{integration:?} {subject:?} {since:?} {until:?} {band:?} {version:?} {outcome:?} {answered:?}")
    }
}

impl Service {
    /// A page of decisions.
    ///
    /// # Errors
    /// `Forbidden` without the scope `read`; `Invalid` for a limit or cursor that cannot be; the ledger's.
    pub async fn list(&self, known: &Known, filter: &Filter) -> Result<Page> {
        reader(known)?;
        let limit = filter.limit.unwrap_or(USUAL);
        if limit == 0 || limit > MOST_LISTED {
            return Err(Error::new(ErrorKind::Invalid, "list_limit", "a page cannot have so many decisions")
                .hint(format!("`limit` is 1 to {MOST_LISTED}")));
        }
        let (tokens, text) = (self.engine.ledger().tokens(), filter.text());
        let before = filter.cursor.as_deref().map(|cursor| cursor::read(&*tokens, cursor, &text)).transpose()?;
        let before = before.or(filter.before);
        let (found, next) = self.collect(filter, before, limit).await?;
        let mut decisions = Vec::with_capacity(found.len());
        for found in found {
            decisions.push(self.row(known, found, filter.explain).await?);
        }
        let ended = next.filter(|_| decisions.len() < limit);
        let back_to = match ended {
            Some(position) => self.engine.ledger().entry(position).await?.map(|entry| entry.facts.at),
            None => None,
        };
        Ok(Page { decisions, next: next.map(|position| cursor::write(&*tokens, position, &text)), back_to })
    }

    /// The cursor of the page that begins after a decision of a list.
    pub fn decision_cursor(&self, filter: &Filter, seq: u64) -> String {
        cursor::write(&*self.engine.ledger().tokens(), seq, &filter.text())
    }

    /// What a page holds, and the position before which the next one looks.
    pub(super) async fn collect(
        &self,
        filter: &Filter,
        mut before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<Found>, Option<u64>)> {
        let step = if filter.band.is_some() { STEP } else { limit + 1 };
        let bounded = filter.band.is_some() || filter.version.is_some();
        let (mut found, mut looked): (Vec<Found>, usize) = (Vec::new(), 0);
        loop {
            let query = Query {
                integration: filter.integration.clone(),
                subject: filter.subject.clone(),
                since: filter.since,
                until: filter.until,
                outcome: filter.outcome,
                answered: filter.answered,
                version: filter.version.clone(),
                before,
                from: filter.from,
                limit: step,
                look: bounded.then(|| LOOK - looked),
            };
            let Listed { entries, looked: read, rest } = self.engine.ledger().search(query).await?;
            let last = entries.len() < step && rest.is_none();
            // What is in memory still is not read, but is looked at.
            looked += read.max(entries.len());
            for entry in entries {
                before = Some(entry.seq);
                let standing = self.engine.standing(&entry).await?;
                if !in_band(&entry, standing.as_ref(), filter.band.as_deref())? {
                    continue;
                }
                if found.len() == limit {
                    let next = found.last().map(|(entry, _)| entry.seq);
                    return Ok((found, next));
                }
                found.push((entry, standing));
            }
            if last {
                return Ok((found, None));
            }
            before = rest.or(before);
            if bounded && looked >= LOOK {
                return Ok((found, before));
            }
        }
    }

    async fn row(&self, known: &Known, (entry, standing): Found, explain: bool) -> Result<Row> {
        let sight = Sight::of(known, &entry.facts);
        let standing = standing.map(|decision| sight.decision(decision));
        let decision = entry.body.as_ref().map(|body| raw(&body.output)).transpose()?;
        let explanation = if explain && decision.is_some() { self.explained(sight, &entry).await? } else { None };
        let facts = entry.facts;
        Ok(Row {
            id: facts.id,
            seq: entry.seq,
            at: facts.at,
            integration: facts.integration,
            outcome: facts.reason,
            model: facts.model,
            caller: facts.caller,
            erased: decision.is_none(),
            decision,
            review: standing.as_ref().and_then(Reviewed::of),
            explanation,
            standing,
        })
    }
}

/// Whether a decision lies in a band, as it stands.
fn in_band(entry: &Entry, standing: Option<&Decision>, band: Option<&str>) -> Result<bool> {
    let Some(band) = band else { return Ok(true) };
    if entry.body.is_none() {
        return Ok(false);
    }
    Ok(match standing {
        Some(standing) => standing.band.as_deref() == Some(band),
        None => stored::decision(entry)?.band.as_deref() == Some(band),
    })
}

//! What lets a search pass over entries unread: in which blocks decisions ended in an uncommon way or asked a version of a model, between
//! which times the decisions of each span of positions were made, and of what sort each entry about a subject is. Times are nearly in the
//! order of positions, not exactly (wall clocks jump), so a span keeps its earliest and its latest, and none is left out by its place.

use std::collections::BTreeMap;

use tendon_kernel::{
    Result, Timestamp,
    decision::Outcome,
    sockets::{
        ledger::{EntryKind, Facts, Query},
        store::{Batch, Range, Table},
    },
};

use crate::{
    format::Fields,
    index::{BLOCK, BLOCKS, Index, PAGE, block_key, malformed, with_seq},
};

/// Span, and position of the first entry that this process added to it → earliest and latest time. A span that was begun before a
/// restart has a row of each process.
pub(crate) const TIMES: Table = Table("ledger_times");

/// Positions of a span: a million decisions are a thousand rows.
const SPAN: u64 = 1024;
/// How most decisions end: no list of their blocks is shorter than all blocks.
const COMMON: &str = Outcome::Ok.name();

/// What each integration's name is shortened to in a subject's row: others with the same letters are read in vain.
const SHORT: usize = 3;
/// The first byte of a sort: no decision; one that ended in a way of its own, which nothing is known of; then by [`Outcome::ALL`].
const NO_DECISION: u8 = 0;
const OWN: u8 = 1;

/// Of what sort an entry about a subject is, as its row says it: how it ended, and of which integration it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sort(pub(crate) [u8; 1 + SHORT]);

impl Sort {
    pub(crate) fn of(facts: &Facts) -> Self {
        let place = (OWN + 1..).zip(Outcome::ALL).find(|(_, outcome)| outcome.name() == &*facts.reason);
        let ended = match facts.kind {
            EntryKind::Decision => place.map_or(OWN, |(number, _)| number),
            _ => NO_DECISION,
        };
        let [a, b, c] = short(&facts.integration);
        Self([ended, a, b, c])
    }

    pub(crate) fn decision(self) -> bool {
        self.0[0] != NO_DECISION
    }

    /// Whether the entry may be one that is asked for: others need not be read.
    pub(crate) fn may(self, query: &Query) -> bool {
        let [ended, integration @ ..] = self.0;
        let outcome = (OWN + 1..).zip(Outcome::ALL).find(|(number, _)| *number == ended).map(|(_, outcome)| outcome);
        let as_asked = |outcome: Outcome| {
            query.outcome.is_none_or(|wanted| wanted == outcome) && (!query.answered || outcome.answered())
        };
        self.decision()
            && outcome.is_none_or(as_asked)
            && query.integration.as_deref().is_none_or(|name| short(name) == integration)
    }
}

/// A name, shortened (FNV-1a, folded).
fn short(name: &str) -> [u8; SHORT] {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let [a, b, c, d] = hash.to_le_bytes();
    [a ^ d, b, c]
}

/// What is remembered between batches.
#[derive(Default)]
pub(crate) struct Search {
    /// The last block written under each head.
    blocks: BTreeMap<Box<str>, u64>,
    span: Option<Span>,
}

struct Span {
    number: u64,
    first: u64,
    earliest: i64,
    latest: i64,
}

impl Search {
    /// Adds an entry's rows, but for the span that it may have begun or widened.
    pub(crate) fn add(&mut self, batch: &mut Batch, seq: u64, facts: &Facts) {
        if facts.kind != EntryKind::Decision {
            return;
        }
        let at = facts.at.0;
        match self.span.as_mut().filter(|span| span.number == seq / SPAN) {
            Some(span) => (span.earliest, span.latest) = (span.earliest.min(at), span.latest.max(at)),
            None => {
                self.put(batch);
                self.span = Some(Span { number: seq / SPAN, first: seq, earliest: at, latest: at });
            }
        }
        self.list(batch, &facts.integration, seq / BLOCK);
        if &*facts.reason != COMMON {
            self.list(batch, &ended(&facts.reason, None), seq / BLOCK);
            self.list(batch, &ended(&facts.reason, Some(&facts.integration)), seq / BLOCK);
        }
        if let Some(model) = &facts.model {
            self.list(batch, &asked(&model.version), seq / BLOCK);
        }
    }

    /// Lists a block under a head, once.
    fn list(&mut self, batch: &mut Batch, head: &str, block: u64) {
        if self.blocks.get(head) != Some(&block) {
            batch.put(BLOCKS, block_key(head, block), []);
            self.blocks.insert(head.into(), block);
        }
    }

    /// Adds the row of the span that is being filled.
    pub(crate) fn put(&self, batch: &mut Batch) {
        if let Some(Span { number, first, earliest, latest }) = &self.span {
            let value = [earliest.to_le_bytes(), latest.to_le_bytes()].concat();
            batch.put(TIMES, with_seq(&number.to_be_bytes(), *first), value);
        }
    }

    /// The last batch was not written: what it would have written is not there. (The span's times are those of its entries still.)
    pub(crate) fn forget(&mut self) {
        self.blocks.clear();
    }
}

/// The head of an outcome, of all integrations or of one; no name of an integration has this sign.
fn ended(outcome: &str, integration: Option<&str>) -> String {
    format!("{outcome}\u{1}{}", integration.unwrap_or_default())
}

/// The head of a model's version; no integration and no outcome begins with this sign.
fn asked(version: &str) -> String {
    format!("\u{2}{version}")
}

/// The heads under all of which a block is listed that may hold what is asked for; none: all blocks may.
pub(crate) fn heads(query: &Query) -> Vec<String> {
    let outcome = query.outcome.map(Outcome::name).filter(|name| *name != COMMON);
    let ended = outcome.map(|outcome| ended(outcome, query.integration.as_deref()));
    let first = ended.or_else(|| query.integration.clone());
    first.into_iter().chain(query.version.as_deref().map(asked)).collect()
}

impl Index {
    /// The newest blocks below a position that are listed under all of some heads, newest first; none: no block from `from` on is.
    pub(crate) async fn listed(&self, heads: &[String], from: u64, mut before: u64) -> Result<Vec<u64>> {
        // Nearly always two lists soon meet; where they do not, more of them is looked at together.
        let mut page = 64;
        loop {
            let Some((head, others)) = heads.split_first() else { return Ok(Vec::new()) };
            let mut found = self.blocks(head, before, page).await?;
            let (Some(&newest), Some(&oldest)) = (found.first(), found.last()) else { return Ok(found) };
            // Down to here, all that is listed under each head is known.
            let mut known = oldest;
            for other in others {
                let listed = self.blocks(other, (newest + 1) * BLOCK, page).await?;
                let Some(&last) = listed.last() else { return Ok(Vec::new()) };
                known = known.max(if listed.len() < page { 0 } else { last });
                found.retain(|block| listed.binary_search_by(|listed| block.cmp(listed)).is_ok());
            }
            if !found.is_empty() || known * BLOCK <= from {
                return Ok(found);
            }
            before = known * BLOCK;
            page = (4 * page).min(PAGE);
        }
    }

    /// The newest positions below one that may hold decisions of these times: from, and up to. All spans that lie side by side are
    /// given at once, so that whoever looks further does not come back for each of them.
    pub(crate) async fn span(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        before: u64,
    ) -> Result<Option<(u64, u64)>> {
        let mut to = before.div_ceil(SPAN).to_be_bytes().to_vec();
        let mut found: Option<(u64, u64)> = None;
        loop {
            let range = Range { from: Vec::new(), to: Some(to), limit: PAGE, descending: true };
            let rows = self.store.range(TIMES, range).await?;
            for (key, value) in &rows {
                let mut fields = Fields(value);
                let mut time = || fields.array().map(i64::from_le_bytes).map(Timestamp).ok_or_else(malformed);
                let (earliest, latest) = (time()?, time()?);
                let number = Fields(key).u64_key().ok_or_else(malformed)?;
                let fits = until.is_none_or(|until| earliest < until) && since.is_none_or(|since| latest >= since);
                match &mut found {
                    None if fits => found = Some((number, number)),
                    Some((first, _)) if fits && number + 1 >= *first => *first = number,
                    // A gap, or a span that does not fit by this row (by another it may: it is looked at again then).
                    Some((first, _)) if number < *first => return Ok(found.map(range_of(before))),
                    _ => {}
                }
            }
            match rows.into_iter().nth(PAGE - 1) {
                Some((key, _)) => to = key,
                None => return Ok(found.map(range_of(before))),
            }
        }
    }
}

/// The positions of spans, from the first to the last of them.
fn range_of(before: u64) -> impl Fn((u64, u64)) -> (u64, u64) {
    move |(first, last)| (first * SPAN, before.min((last + 1) * SPAN))
}

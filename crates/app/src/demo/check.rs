//! What the ledger says about the demo: how many decisions, and whether any was made twice for the same state of a lead.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use tendon_engine::record_format::Snapshot;
use tendon_kernel::{
    Result,
    sockets::ledger::{Ledger, Query},
};

/// How callers begin that are no people but watched rows.
const FLOWS: &str = "door:";
/// Decisions read at once.
const PAGE: usize = 1000;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// All decisions, whoever asked, also erased ones.
    pub(super) decisions: u64,
    /// Those about rows of the CRM, live and backfilled.
    pub(super) about_rows: u64,
    /// Those that saw what the lead's decision before them saw.
    pub(super) doubled: u64,
}

/// Reads all decisions, newest first.
///
/// # Errors
/// As the ledger's.
pub(super) async fn record(ledger: &dyn Ledger) -> Result<Record> {
    let mut found = Record::default();
    let mut seen: HashMap<Arc<str>, u64> = HashMap::new();
    let mut before = None;
    loop {
        let query = Query { integration: Some("lead-score".to_owned()), before, limit: PAGE, ..Query::default() };
        let page = ledger.list(query).await?;
        let Some(last) = page.last() else { return Ok(found) };
        before = Some(last.seq);
        for entry in &page {
            found.decisions += 1;
            if !entry.facts.caller.starts_with(FLOWS) {
                continue;
            }
            found.about_rows += 1;
            // Erased ones are counted and cannot be compared.
            let Some(body) = &entry.body else { continue };
            let Some(subject) = body.subject.clone() else { continue };
            let mut saw = DefaultHasher::new();
            for feature in Snapshot::parse(&body.input)?.features {
                feature.to_bits().hash(&mut saw);
            }
            let saw = saw.finish();
            if seen.insert(subject, saw) == Some(saw) {
                found.doubled += 1;
            }
        }
    }
}

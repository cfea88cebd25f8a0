//! The deliveries of a decision as people see them: what was to be written, and what became of it.

use std::{collections::BTreeMap, sync::Arc};

use tendon_kernel::{
    Result, Value,
    decision::{Delivery, DeliveryState},
    sockets::ledger::{Entry, EntryKind},
};

use super::{letters::Edited, outcome::OutcomeForm};
use crate::record_format::More;

/// One delivery of a decision, with its state.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct DeliveryReport {
    /// Its id: entry and index, as `entry-index`.
    pub id: String,
    /// System.
    pub system: Arc<str>,
    /// Resource.
    pub resource: Arc<str>,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts made: as recorded; of one that waits, those of this process. `None`: nobody here knows.
    pub attempts: Option<u32>,
    /// Fields and new values.
    pub set: Vec<(String, Value)>,
    /// Fields and values before, when this write replaced them.
    pub old: Option<Vec<(String, Value)>>,
    /// Cause, when dead; of one that waits, what keeps it.
    pub cause: Option<String>,
    /// Who changed what is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<String>,
    /// What the decision said in the fields that were changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub decided: Vec<(String, Value)>,
    /// Who had it undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undone_by: Option<String>,
}

/// The deliveries of a decision with their states, from all its entries.
///
/// # Errors
/// `Corrupt` when a payload cannot be read.
pub fn report(entries: &[Entry]) -> Result<Vec<DeliveryReport>> {
    let mut reports = BTreeMap::new();
    for entry in entries {
        let Some(body) = &entry.body else { continue };
        match entry.facts.kind {
            EntryKind::Decision | EntryKind::Review => {
                for (index, delivery) in More::parse(&body.more)?.deliveries.into_iter().enumerate() {
                    reports.insert((entry.seq, index), report_pending(format!("{}-{index}", entry.seq), delivery));
                }
            }
            EntryKind::Delivery => {
                let form = OutcomeForm::decode(&body.more)?;
                if let Some(report) = reports.get_mut(&(form.seq, usize::from(form.index))) {
                    apply_outcome(report, &entry.facts.reason, form);
                }
            }
            _ => {}
        }
    }
    Ok(reports.into_values().collect())
}

fn report_pending(id: String, delivery: Delivery) -> DeliveryReport {
    let resource = delivery.shown();
    DeliveryReport {
        id,
        system: delivery.system,
        resource,
        state: DeliveryState::Pending,
        attempts: None,
        set: delivery.set,
        old: None,
        cause: None,
        changed_by: None,
        decided: Vec::new(),
        undone_by: None,
    }
}

fn apply_outcome(report: &mut DeliveryReport, word: &str, form: OutcomeForm) {
    if word != "undone" {
        report.attempts = Some(form.attempts);
    }
    report.cause = Some(form.message.clone()).filter(|message| !message.is_empty());
    report.state = match word {
        "delivered" => DeliveryState::Delivered,
        "superseded" => DeliveryState::Superseded,
        "dead" => DeliveryState::Dead,
        "erased" => DeliveryState::Erased,
        "undone" => DeliveryState::Undone,
        _ => DeliveryState::Pending,
    };
    if word == "undone" {
        // The values before our write stay in the report; those that the undo replaced were ours.
        report.undone_by = form.by;
        return;
    }
    if form.is_edited() {
        let by = form.by.clone();
        if let Some(edited) = form.edited_values() {
            edit(report, by.unwrap_or_default(), edited);
        }
    } else if let Some(old) = form.old_values() {
        report.old = Some(old);
    }
}

/// A person's values are written from now on. A retry that only carries them on changes nobody's name.
fn edit(report: &mut DeliveryReport, by: String, edited: Edited) {
    if edited.was.is_empty() {
        return;
    }
    for (name, value) in edited.was {
        // What the decision said is what stood there before the first change.
        if !report.decided.iter().any(|(known, _)| *known == name) {
            report.decided.push((name, value));
        }
    }
    report.set = edited.set;
    report.changed_by = Some(by);
}

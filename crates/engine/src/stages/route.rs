//! Route: which version answers. An integration may give a share of its subjects to other versions: a canary on trial, arms
//! that are compared. Who gets which is decided by a keyed hash of the subject, so that a person always meets the same
//! version (also after a restart), nobody can guess which, and raising a share keeps those who have it.

use std::sync::{Arc, LazyLock};

use tendon_kernel::sockets::ledger::Tokens;

use crate::{
    batch::{Batch, Case},
    engine::Engine,
};

static CHAMPION: LazyLock<Arc<str>> = LazyLock::new(|| "champion".into());

/// Name of the route to the integration's own version.
pub(crate) fn champion() -> Arc<str> {
    Arc::clone(&CHAMPION)
}

/// Names the version that each open case asks.
pub(crate) fn run(engine: &Engine, batch: &mut Batch) {
    let ready = Arc::clone(&batch.ready);
    let tokens = (!ready.arms.is_empty()).then(|| engine.ledger.tokens());
    for case in batch.open() {
        case.slot.clone_from(&ready.champion);
        let Some(tokens) = &tokens else { continue };
        let point = point(&**tokens, "route", &ready.plan.name, case);
        let arm = ready.arms.iter().find(|arm| point < arm.upto);
        // An arm that could not be loaded is the champion's again; the decision says champion then.
        if let Some((arm, slot)) = arm.and_then(|arm| arm.slot.as_ref().map(|slot| (arm, slot))) {
            case.slot = Some(Arc::clone(slot));
            case.route = Arc::clone(&arm.route);
        }
    }
}

/// Where a case stands among the subjects of an integration, from 0 to below 100. Without a subject each decision stands
/// somewhere else.
pub(crate) fn point(tokens: &dyn Tokens, what: &str, integration: &str, case: &Case) -> f64 {
    let whom = case.subject.as_deref().map_or_else(|| case.id.to_string(), str::to_owned);
    let token = tokens.token(what, &format!("{integration}\0{whom}"));
    let high = u32::from_le_bytes([token[0], token[1], token[2], token[3]]);
    f64::from(high) / (f64::from(u32::MAX) + 1.0) * 100.0
}

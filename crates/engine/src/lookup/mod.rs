//! Lookups: rows of systems that decisions need beside their input, found by key before the features are made.
//!
//! The cases of a batch are asked for together: each distinct key once, one read per lookup, lookups that need nothing of
//! each other at the same time. What was found (or why nothing was) is part of the decision's record, so that a replay asks
//! no system: it takes the rows from there and goes through the same `settle`.

mod ask;
mod copies;
mod looked_up;
mod meters;
mod settle;

use std::sync::Arc;

use futures_util::future::join_all;
use tendon_kernel::{context::Context, decision::LookupNote};
use tendon_plan::lookup::LookupsPlan;

use crate::batch::{Batch, Case};

use ask::Asking;
pub(crate) use copies::Copies;
pub use looked_up::{FoundRow, LookedUp};
pub(crate) use meters::LookupMeters;

/// What asking needs of the world.
pub(crate) struct World<'a> {
    pub(crate) context: &'a Context,
    /// Rows read before; `None`: every row is read.
    pub(crate) copies: Option<&'a Copies>,
}

/// Looks everything up that the open cases need.
pub(crate) async fn run(world: &World<'_>, batch: &mut Batch) {
    let ready = Arc::clone(&batch.ready);
    let plan = &ready.plan.lookups;
    if plan.list.is_empty() {
        return;
    }
    settle::begin(plan, batch);
    for case in batch.open() {
        // A recalled answer comes with its rows.
        if let Some(hit) = &case.recall.hit {
            give_back(plan, &hit.looked, &mut case.looked);
        }
    }
    for wave in 0..plan.waves() {
        let lookups = plan.list.iter().enumerate().filter(|(_, lookup)| lookup.wave == wave);
        let asking: Vec<Asking<'_>> = lookups.map(|(index, _)| Asking::new(&ready, index, batch)).collect();
        let deadline = batch.deadline;
        let answers = join_all(asking.iter().map(|asking| asking.answer(world, deadline))).await;
        for (asking, answers) in asking.iter().zip(answers) {
            asking.hand_out(&answers, world.context.clock.now(), batch);
        }
        settle::wave(plan, wave, batch);
    }
    settle::end(plan, batch);
}

/// Gives a batch of one case back what its record says was found.
pub(crate) fn restore(recorded: &[LookedUp], batch: &mut Batch) {
    let ready = Arc::clone(&batch.ready);
    let plan = &ready.plan.lookups;
    if plan.list.is_empty() {
        return;
    }
    settle::begin(plan, batch);
    batch.open().for_each(|case| give_back(plan, recorded, &mut case.looked));
    for wave in 0..plan.waves() {
        settle::wave(plan, wave, batch);
    }
    settle::end(plan, batch);
}

/// Puts what was found before where it would have been found.
fn give_back(plan: &LookupsPlan, found: &[LookedUp], places: &mut [Option<LookedUp>]) {
    for (place, lookup) in places.iter_mut().zip(&plan.list) {
        *place = found.iter().find(|found| found.name == lookup.name).cloned();
    }
}

/// What a decision says of its lookups.
pub(crate) fn notes(case: &Case) -> Vec<LookupNote> {
    let note = |found: &LookedUp| LookupNote {
        name: Arc::clone(&found.name),
        state: found.state,
        age_ms: found.age_ms,
        why: found.why.clone(),
    };
    case.looked.iter().flatten().map(note).collect()
}

//! Judge: the band that an output falls into; the first that matches wins. Then the answers that a person has to see take a
//! place among what waits for people.

use std::sync::Arc;

use tendon_kernel::decision::Outcome;
use tendon_plan::plan::{BandPlan, Threshold};

use super::fall_back::too_many;
use crate::{
    batch::{Batch, scope},
    engine::Engine,
    recalling::Use,
};

/// Gives every answered case its band.
pub(crate) fn run(batch: &mut Batch) {
    let ready = Arc::clone(&batch.ready);
    for case in batch.open() {
        case.band = case.output.and_then(|output| band(&ready.plan.bands, output));
    }
}

/// Has a person see the answers for which the integration says so. Where there is no place to wait the decision fails: it would
/// pass unseen.
pub(crate) fn ask_people(engine: &Engine, batch: &mut Batch, how: &Use) {
    let ready = Arc::clone(&batch.ready);
    let Some(review) = &ready.plan.review else { return };
    // Nobody asked for a renewal, and nothing is delivered; whoever recalls its answer has a decision of its own.
    if matches!(how, Use::Renew(_)) {
        return;
    }
    let at = batch.at;
    for case in batch.open() {
        let (Some(output), None, Some(record)) = (case.output, &case.seat, &case.record) else { continue };
        // A condition without a result for this record says nothing that would spare the look.
        if !review.when.holds(&scope(record, at, Some(output), case.band.as_deref())).unwrap_or(true) {
            continue;
        }
        case.seat = engine.reviews.take(case.id, &ready.plan.name, at, &review.people, review.hold);
        if case.seat.is_none() {
            (case.rung, case.band) = (None, None);
            case.end(Outcome::Failed, too_many("a person has to see the answer", "review.most"));
            continue;
        }
        let asked = format!("the integration has a person see it: {}", review.when.source());
        case.why = Some(case.why.take().map_or_else(|| asked.clone(), |why| format!("{why}; {asked}")));
    }
}

/// The band of an output.
pub(crate) fn band(bands: &[BandPlan], output: f64) -> Option<Arc<str>> {
    let found = bands.iter().find(|band| match band.test {
        Threshold::AtLeast(limit) => output >= limit,
        Threshold::Above(limit) => output > limit,
        Threshold::AtMost(limit) => output <= limit,
        Threshold::Below(limit) => output < limit,
        Threshold::Otherwise => true,
    });
    found.map(|band| Arc::clone(&band.name))
}

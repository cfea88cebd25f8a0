//! Judge: the band that an output falls into; the first that matches wins.

use std::sync::Arc;

use tendon_plan::plan::{BandPlan, Threshold};

use crate::batch::Batch;

/// Gives every answered case its band.
pub(crate) fn run(batch: &mut Batch) {
    let ready = Arc::clone(&batch.ready);
    for case in batch.open() {
        case.band = case.output.and_then(|output| band(&ready.plan.bands, output));
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

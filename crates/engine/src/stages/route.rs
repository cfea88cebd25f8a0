//! Route: which version answers. The champion, until canaries and shadows come.

use crate::batch::Batch;

/// Name of the route.
pub(crate) const CHAMPION: &str = "champion";

/// Names the version that is asked.
pub(crate) fn run(batch: &mut Batch) {
    batch.slot = batch.ready.champion.clone();
}

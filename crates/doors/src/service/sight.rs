//! What a caller sees of a decision. That it was made, what came out and which features spoke for it is for everybody who may read;
//! the values that it was made from come back to whoever sent them, and else are for operators and for who reviews the integration.

use tendon_engine::without_values;
use tendon_kernel::{
    decision::{Decision, Explanation},
    sockets::ledger::Facts,
};

use crate::keys::Known;

/// How much of a decision is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// All, as it was answered.
    Whole,
    /// Reasons name features and what they do, not their values.
    WithoutValues,
}

impl Sight {
    /// What somebody sees of the decision with these facts.
    pub(crate) fn of(known: &Known, facts: &Facts) -> Self {
        let values = known.operate || facts.caller == known.caller.id || known.may_review(&facts.integration);
        if values { Self::Whole } else { Self::WithoutValues }
    }

    /// An explanation as it is shown.
    pub(super) fn explanation(self, explanation: Explanation) -> Explanation {
        match self {
            Self::Whole => explanation,
            Self::WithoutValues => without_values(explanation),
        }
    }

    /// A decision with its explanation, as they are shown.
    pub(super) fn decision(self, mut decision: Decision) -> Decision {
        decision.explanation = decision.explanation.map(|found| self.explanation(found));
        decision
    }
}

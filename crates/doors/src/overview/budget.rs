//! How much of what may go wrong is left of each declared objective, and how fast it is used up. Pure, and in whole numbers
//! where something is called used up.

use std::time::Duration;

use serde::Serialize;
use tendon_kernel::metrics::SECONDS;
use tendon_plan::{
    IntegrationPlan,
    objectives::{ObjectiveKind, ObjectivePlan},
};

use super::words;
use crate::{
    console::Slot,
    figure::{lasting, portion},
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// An objective and how it does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Budget {
    /// `answered`, `by_model` or `fast`.
    pub objective: &'static str,
    /// The share that is to be reached.
    pub target: f64,
    /// For `fast`: the time, in seconds.
    pub within: Option<f64>,
    /// Over how many seconds it is counted.
    pub window: u64,
    /// What was counted in the window: decisions that were asked for with fit input; for `fast` what was asked at
    /// once: no backfill and no batch, of which nobody waits for a single answer.
    pub counted: u64,
    /// Those of them that went wrong.
    pub wrong: u64,
    /// The share that was reached; nothing where nothing was counted.
    pub reached: Option<f64>,
    /// What is left of the budget, as a share of it; below 0 when more went wrong than may.
    pub left: Option<f64>,
    /// How fast the last hour used it up: 1 lasts exactly one window.
    pub burn_1h: Option<f64>,
    /// The same of the last 24 hours.
    pub burn_24h: Option<f64>,
    /// Whether nothing is left.
    pub spent: bool,
}

impl Budget {
    /// From what was counted in the window, the last hour and the last day.
    pub fn of(plan: ObjectivePlan, window: Duration, [all, hour, day]: [&Slot; 3]) -> Self {
        let (wrong, counted) = counts(plan.kind, all);
        Self {
            objective: plan.kind.name(),
            // As it is written: 99.9 % are 0.999, and no 0.9990000000000001.
            target: (plan.percent() * 1e6).round() / 1e8,
            within: match plan.kind {
                ObjectiveKind::Fast(within) => Some(within.as_secs_f64()),
                ObjectiveKind::Answered | ObjectiveKind::ByModel => None,
            },
            window: window.as_secs(),
            counted,
            wrong,
            reached: ratio(counted - wrong, counted),
            left: burnt(plan, all).map(|burnt| 1.0 - burnt),
            burn_1h: burnt(plan, hour),
            burn_24h: burnt(plan, day),
            spent: wrong > 0 && u128::from(wrong) * 1_000_000 >= u128::from(counted) * u128::from(plan.allowed),
        }
    }
}

impl Budget {
    /// What is to be reached.
    pub fn title(&self) -> String {
        words::objective(self.objective, self.target, self.within)
    }

    /// What it counts.
    pub fn unit(&self) -> &'static str {
        if self.within.is_some() { "asks" } else { "decisions" }
    }

    /// What is to be reached, and what was.
    pub fn words(&self) -> String {
        format!("{} in {}, {} reached", self.title(), lasting(self.window), portion(self.reached))
    }
}

/// Those of an integration, as its plan lists them, by what was counted in the last while.
pub fn budgets(plan: &IntegrationPlan, past: impl Fn(Duration) -> Slot) -> Vec<Budget> {
    let Some(objectives) = &plan.objectives else { return Vec::new() };
    let slots = [past(objectives.window), past(HOUR), past(DAY)];
    let budget = |one: &ObjectivePlan| Budget::of(*one, objectives.window, slots.each_ref());
    objectives.objectives.iter().map(budget).collect()
}

/// What went wrong, and of how many.
fn counts(kind: ObjectiveKind, slot: &Slot) -> (u64, u64) {
    // Input that was refused is the caller's affair: neither good nor bad.
    let asked = slot.ok + slot.degraded + slot.failed;
    match kind {
        ObjectiveKind::Answered => (slot.failed, asked),
        ObjectiveKind::ByModel => (slot.failed + slot.degraded, asked),
        ObjectiveKind::Fast(within) => {
            // Buckets hold what took no longer than their bound, and the plan knows the bounds only.
            let fast = SECONDS.iter().take_while(|bound| **bound <= within.as_secs_f64()).count();
            (slot.asked.iter().skip(fast).sum(), slot.asked.iter().sum())
        }
    }
}

/// What went wrong, in budgets of as many as were counted.
fn burnt(plan: ObjectivePlan, slot: &Slot) -> Option<f64> {
    let (wrong, counted) = counts(plan.kind, slot);
    ratio(wrong, counted).map(|wrong| wrong * 1e6 / f64::from(plan.allowed))
}

#[expect(clippy::cast_precision_loss, reason = "shares that people read")]
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: Duration = Duration::from_secs(7 * 86_400);

    fn answered(allowed: u32, ok: u64, failed: u64) -> Budget {
        let slot = Slot { ok, failed, refused: 1_000, ..Slot::default() };
        let plan = ObjectivePlan { kind: ObjectiveKind::Answered, allowed };
        Budget::of(plan, WEEK, [&slot, &Slot::default(), &slot])
    }

    #[test]
    fn a_budget_is_spent_when_as_much_went_wrong_as_may() {
        // 99.9 percent of 2,000: two may fail.
        let [none, one, two, three] = [0, 1, 2, 3].map(|failed| answered(1000, 2_000 - failed, failed));
        assert_eq!([none.spent, one.spent, two.spent, three.spent], [false, false, true, true]);
        let close = |found: Option<f64>, wanted: f64| found.is_some_and(|found| (found - wanted).abs() < 1e-9);
        assert!(close(none.left, 1.0) && close(one.left, 0.5) && close(two.left, 0.0) && close(three.left, -0.5));
        assert!(close(one.burn_24h, 0.5) && one.burn_1h.is_none() && close(one.reached, 0.9995));
        let nothing = answered(1000, 0, 0);
        assert_eq!((nothing.reached, nothing.left, nothing.spent), (None, None, false));
    }

    #[test]
    fn a_time_counts_up_to_its_bound() {
        for (at, bound) in SECONDS.iter().enumerate() {
            let mut times = vec![1; SECONDS.len() + 1];
            times[at] = 7;
            // A fill that took for ever is no ask.
            let slot = Slot { times: vec![1_000; SECONDS.len() + 1], asked: times, ..Slot::default() };
            let kind = ObjectiveKind::Fast(Duration::from_secs_f64(*bound));
            let slower = u64::try_from(SECONDS.len() - at).unwrap();
            assert_eq!(counts(kind, &slot), (slower, u64::try_from(SECONDS.len()).unwrap() + 7), "{bound}");
        }
    }
}

//! `systems.NAME.limits`: numbers that fit together.

use std::time::Duration;

use crate::{
    finding::{Findings, Mark, plain},
    guard::GuardPlan,
    raw::{BreakerRaw, LimitsRaw, Span},
};

/// The guard of a system with this timeout.
pub(super) fn guard(raw: &LimitsRaw, timeout: Duration, findings: &mut Findings) -> GuardPlan {
    let usual = GuardPlan::default();
    let mut wrong = |mark: Mark, message: &str| findings.add(mark, "bad_limit", message.to_owned(), plain);
    if let Some(slow) = raw.slow.as_ref().filter(|slow| slow.value.0 >= timeout) {
        wrong(slow.mark, "slow must be shorter than timeout: a request that takes that long has failed already");
    }
    if let Some(retries) = raw.retries.as_ref().filter(|retries| !(0.0..=100.0).contains(&retries.value)) {
        wrong(retries.mark, "retries is a percentage: 0 to 100");
    }
    let mut plan = GuardPlan {
        queue: count(raw.queue, usual.queue),
        retries: raw.retries.as_ref().map_or(usual.retries, |retries| retries.value / 100.0),
        slow: raw.slow.as_ref().map(|slow| slow.value.0),
        ..usual
    };
    if let Some(breaker) = &raw.breaker {
        plan = with(&breaker.value, plan);
        let whole = GuardPlan { share: breaker.value.share.unwrap_or(50.0), ..plan };
        if !(whole.share > 0.0 && whole.share <= 100.0) {
            wrong(breaker.mark, "share is a percentage above 0, up to 100");
        }
        if plan.calls > plan.window {
            wrong(breaker.mark, "calls must not be more than window");
        }
        if plan.wait.is_zero() || plan.longest < plan.wait {
            wrong(breaker.mark, "wait must be above 0, and longest not shorter than it");
        }
    }
    plan
}

fn with(raw: &BreakerRaw, plan: GuardPlan) -> GuardPlan {
    let span = |span: Option<Span>, usual| span.map_or(usual, |Span(span)| span);
    GuardPlan {
        window: count(raw.window, plan.window),
        calls: count(raw.calls, plan.calls),
        share: raw.share.map_or(plan.share, |percent| percent / 100.0),
        probes: count(raw.probes, plan.probes),
        wait: span(raw.wait, plan.wait),
        longest: span(raw.longest, plan.longest),
        ..plan
    }
}

fn count(value: Option<u32>, usual: usize) -> usize {
    value.and_then(|value| usize::try_from(value).ok()).unwrap_or(usual)
}

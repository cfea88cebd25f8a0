//! How long an answer may be given again: by its own age, and by the age of each row that it was made from. A cache makes no row
//! older than its lookup lets it be without one: while every row is `fresh` and the answer within its `ttl`, the answer is
//! good; after that it may be given as stale for as long as the cache says, and no longer than each row may be used stale.

use std::time::Duration;

use tendon_kernel::{Timestamp, decision::LookupState};
use tendon_plan::{IntegrationPlan, lookup::LookupPlan};

use crate::lookup::LookedUp;

/// Until when, the end left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    /// Given as it is.
    pub(crate) good: Timestamp,
    /// Given as stale.
    pub(crate) kept: Timestamp,
}

/// The life of an answer of that time, made from these rows; `None` for one that is nobody else's: a system had failed, and
/// what was used instead must not outlive that.
pub(crate) fn life(plan: &IntegrationPlan, at: Timestamp, looked: &[LookedUp]) -> Option<Life> {
    let cache = plan.cache.as_ref()?;
    let mut good = after(at, cache.ttl);
    let mut last = Timestamp(i64::MAX);
    if looked.len() != plan.lookups.list.len() {
        return None;
    }
    for found in looked {
        let lookup = of(plan, found)?;
        let longest = match found.state {
            LookupState::Fresh => lookup.stale,
            // That there is no row is believed while a row would be fresh, and never stale.
            LookupState::Missing => lookup.fresh,
            LookupState::Stale | LookupState::Failed => return None,
        };
        good = good.min(after(found.at, lookup.fresh));
        last = last.min(after(found.at, longest));
    }
    Some(Life { good, kept: after(good, cache.stale).min(last) })
}

/// The rows of an answer as they are when it is given again.
pub(crate) fn aged(plan: &IntegrationPlan, looked: &[LookedUp], now: Timestamp) -> Vec<LookedUp> {
    let one = |found: &LookedUp| {
        let old = of(plan, found).is_some_and(|lookup| now >= after(found.at, lookup.fresh));
        LookedUp {
            state: if old && found.row.is_some() { LookupState::Stale } else { found.state },
            age_ms: Some(age_ms(found.at, now)),
            why: Some("recalled".into()),
            ..found.clone()
        }
    };
    looked.iter().map(one).collect()
}

/// How old something of that time is. A wall clock that was set back makes it new.
pub(crate) fn age_ms(at: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.0.saturating_sub(at.0)).unwrap_or(0) / 1000
}

fn of<'a>(plan: &'a IntegrationPlan, found: &LookedUp) -> Option<&'a LookupPlan> {
    plan.lookups.list.iter().find(|lookup| lookup.name == found.name)
}

fn after(at: Timestamp, time: Duration) -> Timestamp {
    Timestamp(at.0.saturating_add(i64::try_from(time.as_micros()).unwrap_or(i64::MAX)))
}

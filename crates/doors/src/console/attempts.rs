//! Limits wrong keys at sign-in. Those whose id belongs to a key in force are counted by that id, all others together, so that a
//! stranger who tries keys at random keeps nobody out who has one.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long a wrong attempt counts.
const WINDOW: Duration = Duration::from_secs(60);
/// Wrong attempts in that time.
const MOST: u32 = 10;

/// Wrong attempts, by the id of the key that was meant; empty: of none.
#[derive(Default)]
pub(super) struct Attempts(Mutex<BTreeMap<String, (Duration, u32)>>);

impl Attempts {
    /// Whether another attempt is looked at.
    pub(super) fn allowed(&self, id: &str, now: Duration) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (began, _)| now.saturating_sub(*began) < WINDOW);
        all.get(id).is_none_or(|(_, count)| *count < MOST)
    }

    /// Counts a wrong one. Only ids of keys in force are told apart, so their number bounds the memory.
    pub(super) fn wrong(&self, id: &str, now: Duration) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(id.to_owned()).or_insert((now, 0)).1 += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_keys_are_limited_and_keep_nobody_else_out() {
        let attempts = Attempts::default();
        let at = Duration::from_secs;
        for _ in 0..MOST {
            assert!(attempts.allowed("", at(5)));
            attempts.wrong("", at(5));
        }
        assert!(!attempts.allowed("", at(6)), "no more of these");
        assert!(attempts.allowed("Ab12", at(6)), "a key's own attempts are its own");
        assert!(!attempts.allowed("", at(64)));
        assert!(attempts.allowed("", at(65)), "a minute later");
    }
}

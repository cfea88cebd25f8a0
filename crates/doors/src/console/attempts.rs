//! Counts wrong keys at sign-in, so that a program which tries them without a pause is told to stop. It keeps nobody out: a right key
//! is let in whatever was tried before (a lock on an id is a way to lock its person out). Ids that belong to a key in force are counted
//! each for itself, all others together.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long a wrong attempt counts.
const WINDOW: Duration = Duration::from_secs(60);
/// Wrong attempts in that time that are told why.
const MOST: u32 = 10;

/// Wrong attempts, by the id of the key that was meant; empty: of none.
#[derive(Default)]
pub(super) struct Attempts(Mutex<BTreeMap<String, (Duration, u32)>>);

impl Attempts {
    /// Counts a wrong one; whether there were few enough. Only ids of keys in force are told apart, so their number bounds the memory.
    pub(super) fn wrong(&self, id: &str, now: Duration) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (began, _)| now.saturating_sub(*began) < WINDOW);
        let (_, count) = all.entry(id.to_owned()).or_insert((now, 0));
        *count = count.saturating_add(1);
        *count <= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_keys_are_counted_by_whose_they_would_be() {
        let attempts = Attempts::default();
        let at = Duration::from_secs;
        for _ in 0..MOST {
            assert!(attempts.wrong("", at(5)));
        }
        assert!(!attempts.wrong("", at(6)), "no more of these");
        assert!(attempts.wrong("Ab12", at(6)), "a key's own attempts are its own");
        assert!(!attempts.wrong("", at(64)));
        assert!(attempts.wrong("", at(65)), "a minute later");
    }
}

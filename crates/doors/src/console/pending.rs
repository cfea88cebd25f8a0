//! Sign-ins that are under way at an identity provider: for ten minutes, in memory, each bound to the browser that began it and good
//! for one return.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::keys::hash;

/// How long somebody may take.
pub(super) const LONGEST: Duration = Duration::from_secs(600);
/// Sign-ins at once; beyond it the oldest is forgotten. Whoever wants to keep others out has to begin so many while one of them types
/// a password.
const MOST: usize = 10_000;

/// A sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Away {
    /// The provider's name.
    pub(super) provider: Arc<str>,
    /// What has to come back inside the ID token.
    pub(super) nonce: String,
    /// What only this process knows of the code.
    pub(super) verifier: String,
    /// Where to go then: a page of the console.
    pub(super) next: String,
}

struct Kept {
    browser: [u8; 32],
    began: Duration,
    away: Away,
}

/// All of them, by the hash of their state.
#[derive(Default)]
pub(super) struct Pending(Mutex<BTreeMap<[u8; 32], Kept>>);

impl Pending {
    /// Begins one; `browser`: the secret in its cookie.
    pub(super) fn begin(&self, state: &str, browser: &str, away: Away, now: Duration) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.retain(|_, kept| kept.lives(now));
        }
        if all.len() >= MOST {
            let oldest = all.iter().min_by_key(|(_, kept)| kept.began).map(|(state, _)| *state);
            oldest.and_then(|oldest| all.remove(&oldest));
        }
        all.insert(hash(state), Kept { browser: hash(browser), began: now, away });
    }

    /// Ends one, once, for the browser that began it. Another browser learns and changes nothing. Hashes are compared: how long it
    /// takes tells nothing of the secret.
    pub(super) fn end(&self, state: &str, browser: &str, now: Duration) -> Option<Away> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = hash(state);
        if all.get(&state)?.browser != hash(browser) {
            return None;
        }
        all.remove(&state).filter(|kept| kept.lives(now)).map(|kept| kept.away)
    }
}

impl Kept {
    fn lives(&self, now: Duration) -> bool {
        now.saturating_sub(self.began) < LONGEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away(name: &str) -> Away {
        Away { provider: name.into(), nonce: String::new(), verifier: String::new(), next: String::new() }
    }

    #[test]
    fn a_sign_in_is_its_browsers_and_ends_once_and_in_time() {
        let (pending, at) = (Pending::default(), Duration::from_secs);
        pending.begin("state", "browser", away("a"), at(0));
        assert_eq!(pending.end("state", "another", at(1)), None);
        assert_eq!(pending.end("other", "browser", at(1)), None);
        assert_eq!(pending.end("state", "browser", at(599)), Some(away("a")), "another browser has changed nothing");
        assert_eq!(pending.end("state", "browser", at(599)), None, "once");
        pending.begin("state", "browser", away("a"), at(0));
        assert_eq!(pending.end("state", "browser", at(600)), None, "ten minutes");
    }

    #[test]
    fn sign_ins_are_bounded() {
        let (pending, at) = (Pending::default(), Duration::from_secs);
        for number in 0..=MOST {
            pending.begin(&number.to_string(), "browser", away("a"), at(1 + u64::from(number > 0)));
        }
        assert_eq!(pending.0.lock().unwrap().len(), MOST);
        assert_eq!((pending.end("0", "browser", at(3)), pending.end("1", "browser", at(3))), (None, Some(away("a"))));
        // Those of yesterday go first.
        pending.begin("late", "browser", away("a"), at(605));
        pending.begin("later", "browser", away("a"), at(605));
        assert_eq!(pending.0.lock().unwrap().len(), 2);
    }
}

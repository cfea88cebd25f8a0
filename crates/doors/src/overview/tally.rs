//! Dead letters as the overview counts them. `tendon top` and open pages ask each second or two, and letters change seldom: they are read
//! anew when one has come or gone.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tendon_engine::outbox::DeadLetter;
use tendon_kernel::Result;

use super::{Cause, Letters, look::LISTED};
use crate::{api::Api, trust::Known};

/// Dead letters looked at to count them by cause.
const LETTERS: usize = 500;
/// Longest wait for them.
const LETTERS_WAIT: Duration = Duration::from_secs(2);

/// What was counted.
pub(crate) struct Counted {
    /// By cause.
    pub(super) letters: Letters,
    /// How many each integration has.
    pub(super) by_integration: BTreeMap<Arc<str>, usize>,
}

/// What was counted last, and how many entries there were when letters had last changed by then.
#[derive(Default)]
pub(crate) struct Tally(Mutex<Option<(u64, Arc<Counted>)>>);

impl Tally {
    /// What there is to count now.
    pub(super) async fn now(&self, api: &Api, known: &Known) -> Arc<Counted> {
        let changed = api.service.desk.letters_changed();
        if let Some(kept) = self.kept(changed) {
            return kept;
        }
        let projected = api.engine.ledger().state().projected;
        // A ledger or store in trouble is what the overview has to tell of: it does not wait for them.
        let letters = tokio::time::timeout(LETTERS_WAIT, api.service.letters(known, Some(LETTERS), None)).await;
        let page = letters.ok().and_then(Result::ok);
        // What changed them may not have been in the lists yet when they were read.
        let whole = page.is_some() && projected >= changed;
        let counted = Arc::new(counted(page.map(|page| (page.letters, page.next.is_some()))));
        if whole {
            self.keep(changed, &counted);
        }
        counted
    }

    fn kept(&self, changed: u64) -> Option<Arc<Counted>> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(of, _)| *of == changed).map(|(_, counted)| counted.clone())
    }

    fn keep(&self, changed: u64, counted: &Arc<Counted>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((changed, counted.clone()));
    }
}

fn counted(looked: Option<(Vec<DeadLetter>, bool)>) -> Counted {
    let count = looked.as_ref().map(|(letters, _)| letters.len());
    let (letters, more) = looked.unwrap_or_default();
    let mut by_integration = BTreeMap::<Arc<str>, usize>::new();
    let mut causes = BTreeMap::<(String, String), usize>::new();
    for letter in letters {
        *by_integration.entry(letter.row.integration).or_default() += 1;
        *causes.entry((letter.row.code, letter.row.message)).or_default() += 1;
    }
    let mut causes: Vec<_> =
        causes.into_iter().map(|((code, message), times)| Cause { code, message, times }).collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.times));
    causes.truncate(LISTED);
    Counted { letters: Letters { count, more, causes }, by_integration }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_counts_until_a_letter_comes_or_goes() {
        let tally = Tally::default();
        assert!(tally.kept(0).is_none(), "nothing was counted yet");
        tally.keep(7, &Arc::new(counted(Some((Vec::new(), false)))));
        assert_eq!(tally.kept(7).map(|kept| kept.letters.count), Some(Some(0)));
        assert!(tally.kept(8).is_none() && tally.kept(0).is_none());
    }
}

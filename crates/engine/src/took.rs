//! How long the stages of the path took, as the record of a decision keeps it: up to `explain`, because the entry is
//! written by the stage after it.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::ask::Timing;

/// The stages whose time is told, in the path's order. Entries keep times by their place in this list: it may only grow,
/// and what is recorded ([`RECORDED`]) comes first.
pub(crate) const STAGES: [&str; 11] =
    ["admit", "dedupe", "validate", "route", "recall", "enrich", "infer", "judge", "explain", "record", "deliver"];

/// How many of [`STAGES`] have ended when an entry is written.
const RECORDED: usize = 9;

/// Where the time of models stands: the one stage that decisions of a batch pass or not, each for itself.
const INFER: usize = 6;

/// Times of the batch that a decision was in: `{"of":40,"ns":[2100,800,…]}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Took {
    /// How many decisions were recorded together; each stage takes all of them at once.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub of: u64,
    /// Nanoseconds in each stage, in the order of the path; 0 for one that was not passed.
    #[serde(deserialize_with = "known")]
    ns: [u64; RECORDED],
}

/// The times that this version knows, however many another one wrote.
fn known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u64; RECORDED], D::Error> {
    let mut ns = [0; RECORDED];
    for (place, time) in ns.iter_mut().zip(Vec::deserialize(deserializer)?) {
        *place = time;
    }
    Ok(ns)
}

impl Took {
    /// What a batch took so far; `of` is for whoever records it.
    pub(crate) fn so_far(times: impl Iterator<Item = Timing>) -> Self {
        let mut ns = [0; RECORDED];
        for (stage, spent) in times {
            if let Some(at) = STAGES[..RECORDED].iter().position(|known| *known == stage) {
                ns[at] = spent.as_nanos().try_into().unwrap_or(u64::MAX);
            }
        }
        Self { of: 1, ns }
    }

    /// The same for one of the batch; `asked` says whether a model had a row of it.
    pub(crate) fn of_one(&self, asked: bool) -> Self {
        let mut one = *self;
        if !asked {
            one.ns[INFER] = 0;
        }
        one
    }

    /// Each stage with its time.
    pub fn stages(&self) -> impl Iterator<Item = Timing> + '_ {
        STAGES.into_iter().zip(self.ns.iter().copied().map(Duration::from_nanos))
    }
}

fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's `skip_serializing_if` calls it so")]
fn is_one(of: &u64) -> bool {
    *of == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_at_the_place_of_their_stage() {
        let times = [
            ("admit", Duration::from_nanos(2100)),
            ("infer", Duration::from_micros(40)),
            ("record", Duration::from_millis(1)),
            ("a stage of another day", Duration::from_secs(1)),
        ];
        let took = Took::so_far(times.into_iter());
        let text = serde_json::to_string(&took).unwrap();
        assert_eq!(text, r#"{"ns":[2100,0,0,0,0,0,40000,0,0]}"#);
        assert_eq!(serde_json::from_str::<Took>(&text).unwrap(), took);
        let passed: Vec<_> = took.stages().filter(|(_, spent)| !spent.is_zero()).collect();
        assert_eq!(passed, times[..2]);
        assert!(serde_json::to_string(&Took { of: 40, ..took }).unwrap().starts_with(r#"{"of":40,"#));
        let unasked = took.of_one(false);
        assert_eq!(unasked.stages().filter(|(_, spent)| !spent.is_zero()).collect::<Vec<_>>(), times[..1]);
        assert_eq!(took.of_one(true), took);
    }

    #[test]
    fn what_other_versions_wrote_is_read() {
        let fewer: Took = serde_json::from_str(r#"{"of":3,"ns":[5,6]}"#).unwrap();
        let passed: Vec<_> = fewer.stages().filter(|(_, spent)| !spent.is_zero()).collect();
        assert_eq!(passed, [("admit", Duration::from_nanos(5)), ("dedupe", Duration::from_nanos(6))]);
        let more: Took = serde_json::from_str(r#"{"ns":[1,1,1,1,1,1,1,1,1,1,1,1,1]}"#).unwrap();
        let passed = more.stages().filter(|(_, spent)| *spent == Duration::from_nanos(1));
        assert_eq!(passed.map(|(stage, _)| stage).collect::<Vec<_>>(), STAGES[..RECORDED]);
    }
}

//! Small texts from headers, flags and files: ids, times, durations, keys, scopes, rates, trace contexts. What is taken is written and
//! read back as the same.

use std::collections::HashMap;

use tendon_doors::keys::Token;
use tendon_kernel::{Id, Timestamp, trace::TraceContext};
use tendon_plan::{Scope, trust::Rate};

use super::{Run, Target, Verdict, kind, proper};

pub(super) const TARGET: Target = Target {
    name: "words",
    about: "ids, times, durations, API keys, scopes, rates, trace contexts",
    words: &[
        "tdn_", "decide:", "review:*", "admin", "T", "Z", "+14:00", "00-", "-01", "/s", "/h", "ms", "90d", "\u{2212}",
    ],
    memory: (1 << 16, 64),
    short: 100_000,
    open: || Box::new(Words),
};

struct Words;

impl Run for Words {
    fn run(&mut self, input: &[u8]) -> Result<Verdict, String> {
        let Ok(text) = std::str::from_utf8(input) else { return Ok(Verdict { kind: 0, taken: false }) };
        let mut taken = HashMap::<&str, bool>::new();
        let again = |what: &str, same: bool| if same { Ok(()) } else { Err(format!("{what} is read back as another")) };
        match Id::parse(text) {
            Ok(id) => again("an id", Id::parse(&id.to_string()).is_ok_and(|back| back == id))?,
            Err(error) => proper(&error)?,
        }
        match Timestamp::parse(text) {
            Ok(time) => {
                taken.insert("time", true);
                again("a time", Timestamp::parse(&time.to_string()).is_ok_and(|back| back == time))?;
            }
            Err(error) => proper(&error)?,
        }
        match Scope::parse(text) {
            Ok(scope) => {
                taken.insert("scope", true);
                again("a scope", Scope::parse(&scope.to_string()).is_ok_and(|back| back == scope))?;
            }
            Err(error) => proper(&error)?,
        }
        if let Ok(token) = Token::parse(text) {
            taken.insert("key", true);
            again("a key", token.reveal() == text && text.contains(token.id()))?;
            again("`Debug` of a key", !format!("{token:?}").contains(&text[17..]))?;
        }
        if let Some(rate) = Rate::parse(text) {
            taken.insert("rate", true);
            again("a rate", Rate::parse(&rate.to_string()).is_some_and(|back| back == rate))?;
        }
        if tendon_plan::duration(text).is_some() {
            taken.insert("duration", true);
        }
        if let Some(context) = TraceContext::parse(text, Some(text)) {
            taken.insert("trace", true);
            let back = TraceContext::parse(&context.traceparent(), None);
            again("a trace", back.is_some_and(|back| back.trace == context.trace && back.span == context.span))?;
        }
        let mut names: Vec<_> = taken.keys().copied().collect();
        names.sort_unstable();
        Ok(Verdict { kind: kind(&[&names, &text.len().min(80)]), taken: !names.is_empty() })
    }
}

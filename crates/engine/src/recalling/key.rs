//! The name under which an answer is kept: a keyed hash of everything that it depends on. The declared fields and the subject;
//! the integration, the plan, the route and the model's bytes, so that a rollback or a canary never serves another version's
//! answer.

use std::fmt::Write as _;

use tendon_kernel::{
    Value,
    sockets::{cache::CacheKey, ledger::Tokens},
};
use tendon_plan::{IntegrationPlan, cache::KeyPart};

use crate::{batch::Case, runtime::Ready, wire};

/// What entries about a subject are removed by.
pub(crate) fn tag(tokens: &dyn Tokens, subject: &str) -> [u8; 16] {
    tokens.token("recalled subject", subject)
}

/// Name of a case's answer; `None` when no model would be asked. The subject stands in both of its halves.
pub(crate) fn key(tokens: &dyn Tokens, ready: &Ready, case: &Case) -> Option<CacheKey> {
    let slot = case.slot.as_ref()?;
    let mut text = String::with_capacity(384);
    let fixed = [&*ready.plan.name, &*ready.digest, &*slot.reference.digest, &*case.route];
    for part in fixed.into_iter().chain([case.subject.as_deref().unwrap_or("\0")]) {
        // With its length: no other parts give the same text.
        let _ = write!(text, "{}:{part},", part.len());
    }
    for value in inputs(&ready.plan, case)? {
        let value = serde_json::to_string(&wire::Out(value)).ok()?;
        let _ = write!(text, "{}:{value},", value.len());
    }
    let key = tokens.token("recalled answer", &text);
    // About nobody: nobody can be erased, so each stands alone.
    Some(CacheKey { tag: case.subject.as_deref().map_or(key, |subject| tag(tokens, subject)), key })
}

/// The values that must be equal: the declared fields, or the whole input where one of them cannot be given.
pub(crate) fn inputs<'a>(plan: &IntegrationPlan, case: &'a Case) -> Option<Vec<&'a Value>> {
    let (cache, record) = (plan.cache.as_ref()?, case.record.as_ref()?);
    let part = |part: &KeyPart| match part {
        KeyPart::Field(position) => record.values.get(*position),
        KeyPart::Mark => mark(case),
        KeyPart::Unknown(_) => None,
    };
    let declared: Option<Vec<&Value>> = cache.parts.iter().map(part).collect();
    // Behind the input's fields may stand what was looked up.
    Some(declared.unwrap_or_else(|| record.values.iter().take(plan.input.schema.fields.len()).collect()))
}

/// The watermark of the row that a case is about.
fn mark(case: &Case) -> Option<&Value> {
    let own = case.source.as_ref().map(|row| &row.mark);
    own.or(case.recall.mark.as_ref()).filter(|mark| !mark.is_null())
}

//! The HTTP door of an integration: its times, and the declared receivers of callbacks, whose addresses are judged and whose
//! secrets must be references.

use std::{sync::Arc, time::Duration};

use crate::{
    callback::{CallbackPlan, origin},
    finding::Findings,
    plan::ApiPlan,
    raw::{ApiRaw, CallbackRaw, Span},
    yaml::At,
};

/// Longest wait for one call, and how long one is tried again, when nobody says.
const USUAL_TIMEOUT: Duration = Duration::from_secs(10);
const USUAL_GIVE_UP: Duration = Duration::from_secs(86_400);

/// The door.
pub(super) fn api(raw: &ApiRaw, findings: &mut Findings) -> ApiPlan {
    let usual = ApiPlan::default();
    let span = |span: Option<Span>, usual| span.map_or(usual, |Span(time)| time);
    ApiPlan {
        deadline: span(raw.deadline, usual.deadline),
        async_deadline: span(raw.async_deadline, usual.async_deadline),
        callbacks: callbacks(&raw.callbacks, findings),
    }
}

/// The receivers of an integration.
fn callbacks(raw: &[CallbackRaw], findings: &mut Findings) -> Vec<CallbackPlan> {
    raw.iter().filter_map(|one| callback(one, findings)).collect()
}

fn callback(raw: &CallbackRaw, findings: &mut Findings) -> Option<CallbackPlan> {
    let (to, secret) = (raw.to.as_ref()?, raw.secret.as_ref()?);
    for secret in [Some(secret), raw.old_secret.as_ref()].into_iter().flatten() {
        referenced(secret, "callback_secret", findings);
    }
    let Some(origin) = origin(to.text()) else {
        // The text itself stays out: an address of a receiver may hold a key.
        findings.add(to.mark, "callback_address", "no callback can be sent to this address", |finding| {
            finding.allow(
                "https://host[:port][/path] in lower case, without user, query, fragment and %; http:// only to 127.0.0.1 or localhost",
            )
        });
        return None;
    };
    let span = |span: Option<Span>, usual| span.map_or(usual, |Span(time)| time);
    Some(CallbackPlan {
        to: Arc::from(to.text()),
        origin: Arc::from(origin),
        secret: secret.text().to_owned(),
        old_secret: raw.old_secret.as_ref().map(|secret| secret.text().to_owned()),
        timeout: span(raw.timeout, USUAL_TIMEOUT),
        give_up: span(raw.give_up, USUAL_GIVE_UP),
    })
}

/// Adds what is wrong with a secret that stands in the file itself.
pub(super) fn referenced(secret: &At<String>, code: &'static str, findings: &mut Findings) {
    let text = secret.text();
    if !(text.starts_with("${") && text.ends_with('}')) {
        findings.add(secret.mark, code, "a secret stands in the file", |finding| {
            finding.allow("a reference: ${env:NAME} or ${file:path}")
        });
    }
}

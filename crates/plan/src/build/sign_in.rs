//! Signing in to the console with an identity provider, checked: where browsers come back to, what is asked for, which claim decides,
//! and that what proves a sign-in opens nothing else.

use std::{collections::BTreeMap, time::Duration};

use super::{api::referenced, trust::exact_origin};
use crate::{
    callback::is_here,
    finding::{Findings, plain},
    raw::{OidcRaw, SignInRaw, Span},
    scope::Scope,
    trust::SignInPlan,
    yaml::At,
};

/// Longest session, as for keys.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// Shortest: below it people would do nothing but sign in.
const SHORTEST: Duration = Duration::from_secs(60);

/// Steps to a claim.
pub(super) fn steps(claim: Option<&At<String>>) -> Vec<String> {
    claim.map_or("scope", At::text).split('.').map(str::to_owned).collect()
}

/// Reads and checks it; `raw`: all of the provider.
pub(super) fn sign_in(
    name: &At<String>,
    raw: &OidcRaw,
    console: &SignInRaw,
    grants: &BTreeMap<String, Vec<Scope>>,
    findings: &mut Findings,
) -> Option<SignInPlan> {
    if let Some(secret) = &console.secret {
        referenced(secret, "oidc_secret", findings);
    }
    if let Some(url) = console.url.as_ref().filter(|url| !good_origin(url.text())) {
        let message = format!("{} cannot be where browsers reach the console", url.text());
        findings.add(url.mark, "bad_console_url", message, |finding| {
            finding.allow("an exact origin without path, as in https://tendon.acme.example; http only for 127.0.0.1 and localhost")
        });
    }
    for scope in console.scopes.iter().flatten().filter(|scope| !good_scope(scope.text())) {
        let message = format!("{} is nothing that can be asked for", scope.text());
        findings.add(scope.mark, "bad_oidc_scope", message, |finding| {
            finding.allow("one word in each item, as in [profile, groups]; openid is asked for anyway")
        });
    }
    if console.session.is_some_and(|Span(session)| !(SHORTEST..=LONGEST).contains(&session)) {
        let message = format!("sessions with provider {} would be too short or too long", name.text());
        findings.add(name.mark, "bad_session", message, |finding| finding.allow("1m to 12h"));
    }
    doors(name, raw, console, grants, findings);
    let scopes = console.scopes.iter().flatten().map(|scope| scope.text().to_owned());
    Some(SignInPlan {
        client: console.client.as_ref()?.text().to_owned(),
        secret: console.secret.as_ref().map(|secret| secret.text().to_owned()),
        origin: console.url.as_ref()?.text().to_owned(),
        scopes: scopes.filter(|scope| scope != "openid").collect(),
        claim: steps(console.claim.as_ref().or(raw.claim.as_ref())),
        title: console.title.clone().unwrap_or_else(|| name.text().to_owned()),
        session: console.session.map_or(LONGEST, |Span(session)| session),
    })
}

/// Adds what would let in nobody, or more than was meant.
fn doors(
    name: &At<String>,
    raw: &OidcRaw,
    console: &SignInRaw,
    grants: &BTreeMap<String, Vec<Scope>>,
    findings: &mut Findings,
) {
    let Some(client) = &console.client else { return };
    if raw.audience.iter().flatten().any(|one| one.text() == client.text()) {
        let message =
            format!("the tokens by which people sign in to the console as {} would open the API, too", client.text());
        findings.add(client.mark, "console_audience", message, |finding| {
            finding.allow("a client of its own for the console, whose id is none of audience")
        });
    }
    if steps(console.claim.as_ref().or(raw.claim.as_ref())) == ["scope"] {
        let message = format!("nobody could sign in with provider {}: an ID token has no claim scope", name.text());
        findings.add(client.mark, "console_claim", message, |finding| {
            finding.allow("claim: groups, or what else the provider writes into the ID tokens of this client")
        });
    }
    let opens = |scope: &Scope| !matches!(scope, Scope::Decide(_) | Scope::DecideAll);
    if !grants.is_empty() && !grants.values().flatten().any(opens) {
        let message =
            format!("nobody could sign in with provider {}: no grant opens a page of the console", name.text());
        findings.add(name.mark, "console_grants", message, |finding| {
            finding.allow("a grant of read, operate, review:INTEGRATION, review:* or admin")
        });
    }
    if console.title.as_ref().is_some_and(|title| title.trim().is_empty()) {
        findings.add(name.mark, "bad_title", format!("the title of provider {} is empty", name.text()), plain);
    }
}

/// What somebody in between could read and change is no way to sign in, unless there is nobody in between.
fn good_origin(text: &str) -> bool {
    let host = text.strip_prefix("http://").map(|rest| rest.split(':').next().unwrap_or_default());
    exact_origin(text) && host.is_none_or(is_here)
}

/// RFC 6749, 3.3.
fn good_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

//! The embed door of an integration: its times, the origins of its pages, and its secrets, which must be references.

use std::time::Duration;

use super::{api::referenced, trust::exact_origins};
use crate::{
    embed::{EmbedPlan, HoldersPlan},
    finding::{Findings, Mark},
    raw::{EmbedRaw, Span},
    trust::CorsPlan,
    yaml::At,
};

const DAY: Duration = Duration::from_secs(86_400);
/// History, freshness and life of tokens when nobody says, and the longest that may be said.
const TREND: [Duration; 2] = [DAY.saturating_mul(90), DAY.saturating_mul(730)];
const FRESH: [Duration; 2] = [DAY, DAY.saturating_mul(3650)];
const LIFETIME: [Duration; 2] = [Duration::from_secs(600), Duration::from_secs(3600)];
/// How long a browser remembers that a page may ask.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The door. `subject`: whether the integration says whom a decision is about.
pub(super) fn embed(raw: &At<EmbedRaw>, subject: bool, findings: &mut Findings) -> EmbedPlan {
    let (mark, raw) = (raw.mark, &raw.value);
    EmbedPlan {
        trend: time("trend", raw.trend.as_ref(), TREND, "1s to 730d", findings),
        fresh: time("fresh", raw.fresh.as_ref(), FRESH, "1s to 3650d", findings),
        holders: holders(raw, mark, subject, findings),
    }
}

fn holders(raw: &EmbedRaw, mark: Mark, subject: bool, findings: &mut Findings) -> Option<HoldersPlan> {
    for secret in raw.secret.iter().chain(&raw.old_secret) {
        referenced(secret, "embed_secret", findings);
    }
    let origins = exact_origins(&raw.origins, findings);
    let lifetime = time("lifetime", raw.lifetime.as_ref(), LIFETIME, "1s to 1h", findings);
    let mut closed = |code, message: &'static str, allowed: &'static str| {
        findings.add(mark, code, message, |finding| finding.warning().allow(allowed));
    };
    let Some(secret) = &raw.secret else {
        let message = "nobody can be shown the badge: there is no secret that tokens could be signed with";
        closed("embed_without_secret", message, "secret: ${env:BADGE_SECRET}");
        return None;
    };
    if raw.origins.is_empty() {
        let message = "no page can show the badge: its origins are not declared";
        closed("embed_without_origins", message, "origins: [\"https://crm.example\"]");
    }
    if !subject {
        let message = "a badge is about one subject, and the integration does not say whom a decision is about";
        findings.add(mark, "embed_without_subject", message, |finding| finding.allow("subject: input.id"));
    }
    Some(HoldersPlan {
        secret: secret.text().to_owned(),
        old_secret: raw.old_secret.as_ref().map(|secret| secret.text().to_owned()),
        lifetime,
        cors: CorsPlan { origins, max_age: REMEMBERED },
    })
}

fn time(
    name: &str,
    raw: Option<&At<Span>>,
    [usual, longest]: [Duration; 2],
    allowed: &'static str,
    findings: &mut Findings,
) -> Duration {
    let Some(raw) = raw else { return usual };
    let Span(time) = raw.value;
    if time < Duration::from_secs(1) || time > longest {
        let message = format!("{name} of the badge is too short or too long");
        findings.add(raw.mark, "embed_time", message, |finding| finding.allow(allowed));
    }
    time
}

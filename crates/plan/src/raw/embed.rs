//! The shape of the embed door: a badge with the score of one subject in the page of somebody else.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Span;
use crate::yaml::At;

/// The badge. It shows the last decision about a subject to whoever holds a token that the server of the page signed for that subject
/// (a JWT with HS256: `sub` the subject, `aud` the integration, `exp` soon).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EmbedRaw {
    /// Reference to the secret that tokens are signed with, `${env:…}` or `${file:…}`: at least 32 bytes, known to the page's server. Without it nobody is shown the badge.
    pub(crate) secret: Option<At<String>>,
    /// The secret before: its tokens count too, until every server of a page knows the new one.
    pub(crate) old_secret: Option<At<String>>,
    /// Exact origins of the pages that may show the badge, for example `https://crm.example`; no patterns (default: none).
    pub(crate) origins: Vec<At<String>>,
    /// How much history the badge shows (default 90d, at most 730d).
    pub(crate) trend: Option<At<Span>>,
    /// Age up to which a decision counts as fresh; an older one is shown as stale (default 24h).
    pub(crate) fresh: Option<At<Span>>,
    /// How far ahead a token may end (default 10m, at most 1h).
    pub(crate) lifetime: Option<At<Span>>,
}

//! The shape of `doors.api.callbacks`: who may be told of decisions that were asked for with `Prefer: respond-async`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Span;
use crate::yaml::At;

/// A receiver of callbacks.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["to", "secret"]))]
pub(crate) struct CallbackRaw {
    /// Address that a request's `callback` must be, or begin with (at a `/` or `?`): `https://…`; `http://` only to this machine.
    /// Nobody else is ever called, and redirects are not followed.
    #[schemars(required)]
    pub(crate) to: Option<At<String>>,
    /// Secret that signs the calls (Standard Webhooks, `v1`): a reference such as `${env:HOOK_SECRET}` to 24 bytes or more, as
    /// `whsec_` and base64, or as plain text.
    #[schemars(required)]
    pub(crate) secret: Option<At<String>>,
    /// The secret before: signs too, until every receiver knows the new one.
    pub(crate) old_secret: Option<At<String>>,
    /// Longest wait for one call (default 10s).
    pub(crate) timeout: Option<Span>,
    /// How long after its decision a call is tried again before it becomes a dead letter (default 24h).
    pub(crate) give_up: Option<Span>,
}

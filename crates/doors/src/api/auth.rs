//! Who is asking: the API key in `Authorization: Bearer`. A key anywhere else is refused, because addresses end up in logs.

use std::sync::Arc;

use axum::http::{HeaderMap, Uri, header::AUTHORIZATION};
use tendon_kernel::{Error, ErrorKind, Result};

use super::Api;
use crate::keys::Known;

/// Recognises the caller.
///
/// # Errors
/// `Unauthenticated` without a valid key; `Invalid` when a key stands in the address.
pub(super) fn caller(api: &Api, headers: &HeaderMap, uri: &Uri) -> Result<Arc<Known>> {
    if uri.query().is_some_and(|query| query.contains("tdn_")) {
        return Err(Error::new(
            ErrorKind::Invalid,
            "key_in_address",
            "an API key stands in the address of the request",
        )
        .hint("addresses end up in logs: revoke this key and send the new one as `Authorization: Bearer tdn_…`"));
    }
    let value = headers.get(AUTHORIZATION).ok_or_else(|| {
        Error::new(ErrorKind::Unauthenticated, "key_missing", "the request has no API key")
            .hint("send `Authorization: Bearer tdn_…`; `tendon keys create --name NAME` makes a key")
    })?;
    let text = value.to_str().ok().and_then(|value| {
        let (scheme, text) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| text.trim())
    });
    api.keys.recognise(text.unwrap_or_default())
}

//! All problem codes a caller can meet: code, status, meaning. Codes are never renamed and never change their meaning.

/// Sorted by code.
pub(super) const CODES: &[(&str, u16, &str)] = &[
    ("body_broken", 400, "the connection ended before the body was complete"),
    ("body_too_large", 413, "the body is larger than `server.body_bytes`"),
    ("decision_erased", 410, "the decision was erased together with its subject"),
    ("decision_not_found", 404, "no decision has this id"),
    ("idempotency_key", 400, "the header `Idempotency-Key` cannot be used"),
    ("input_missing", 400, "the body has no member `input`"),
    ("key_in_address", 400, "an API key stands in the address; revoke it"),
    ("key_missing", 401, "the request has no API key"),
    ("key_mistyped", 401, "the API key's checksum does not fit"),
    ("key_not_recognised", 401, "the credentials are no API key"),
    ("key_unknown", 401, "the API key is unknown or was revoked"),
    ("malformed_json", 400, "the body is no JSON object in UTF-8"),
    ("no_route", 404, "nothing is served at this address"),
    ("not_available_yet", 501, "this way of asking is not offered"),
    ("not_json", 415, "the content type is not JSON"),
    ("scope_missing", 403, "the API key's scopes do not allow this"),
    ("slow_body", 408, "the body did not arrive in time"),
    ("timeout_header", 400, "the deadline header is no duration"),
    ("too_deep", 400, "the body is nested deeper than `server.depth`"),
    ("unknown_member", 400, "the body has a member other than `input`"),
    ("unknown_parameter", 400, "the query is not known"),
    ("wrong_method", 405, "the address does not know this method"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_unique() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}

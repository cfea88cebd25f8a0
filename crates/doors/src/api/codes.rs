//! All problem codes a caller can meet: code, statuses, meaning. Codes are never renamed and never change their meaning.

/// Sorted by code.
pub(super) const CODES: &[(&str, &[u16], &str)] = &[
    ("answer_not_written", &[500], "a defect: the answer could not be written as JSON"),
    ("bad_output", &[503], "the model's output was unusable and nothing else could answer"),
    ("batch_too_long", &[400], "the batch has more records than `server.batch_records`, or than a document may"),
    ("body_broken", &[400], "the connection ended before the body was complete"),
    ("body_too_large", &[413], "the body is larger than `server.body_bytes`"),
    ("callback_address", &[400], "the callback is no text"),
    ("callback_at_once", &[400], "a callback stands in a request that is answered at once"),
    ("callback_not_declared", &[400], "the integration declares no such address for callbacks; nobody else is called"),
    ("claim_mismatch", &[500], "the ledger holds another decision where this idempotency key's stands; verify it"),
    ("client_ended", &[401], "the client certificate has ended since the connection was made"),
    ("client_unknown", &[401], "the client certificate is trusted, but belongs to no known caller"),
    ("compressed", &[501], "the message of the gRPC call is compressed, which is not read here"),
    ("cursor", &[400], "the cursor was not made by this service for this list"),
    (
        "deadline_exceeded",
        &[503, 504],
        "the deadline passed under way: before the decision was recorded, or before it could be made",
    ),
    ("deadline_passed", &[408], "the deadline had passed when the request arrived; nothing was tried"),
    ("decision_erased", &[410], "the decision was erased together with its subject"),
    ("decision_not_found", &[404], "no decision has this id"),
    ("decision_unreadable", &[500], "the record of the decision cannot be read"),
    ("duplicate_field", &[422], "a field stands twice in the input"),
    ("entry_missing", &[500], "the record names an entry that is not there"),
    ("entry_too_large", &[400], "the input is too large to be recorded"),
    ("entry_unreadable", &[500], "the record of the decision cannot be read"),
    ("feature_failed", &[422, 503], "a feature has no value for this input"),
    ("graphql_argument", &[200], "an argument of the GraphQL field has no usable value; other fields are answered"),
    ("graphql_batch", &[400], "the body is a list of GraphQL requests"),
    ("graphql_invalid", &[400], "the operation is no GraphQL, or does not fit the schema"),
    ("graphql_operation", &[400], "the document has no operation of this name, or several and none is named"),
    ("graphql_request", &[400], "the body is no GraphQL request"),
    ("graphql_schema", &[500], "a defect: the GraphQL schema of the project cannot be made"),
    ("graphql_too_costly", &[400], "the GraphQL operation could cost more than allowed"),
    ("graphql_too_deep", &[400], "the GraphQL operation goes deeper than allowed"),
    ("graphql_too_long", &[400], "the text of the GraphQL operation is longer than allowed"),
    ("graphql_variables", &[400], "the variables do not fit the GraphQL operation"),
    ("idempotency_conflict", &[409], "the idempotency key was used with another input"),
    ("idempotency_key", &[400], "the header `Idempotency-Key` cannot be used"),
    ("identity_unavailable", &[503], "the keys of the token's issuer are not known, and it cannot be asked now"),
    ("input_missing", &[400], "the body has no member `input`"),
    ("integration_forbidden", &[403], "the API key may not ask this integration"),
    ("integration_unknown", &[404], "no integration has this name"),
    ("key_expired", &[401], "the API key has ended"),
    ("key_in_address", &[400], "an API key stands in the address; revoke it"),
    ("key_missing", &[401], "the request has no API key"),
    ("key_mistyped", &[401], "the API key's checksum does not fit"),
    ("key_not_recognised", &[401], "the credentials are no API key"),
    ("key_unknown", &[401], "the API key is unknown or was revoked"),
    ("ledger_behind", &[503], "the ledger cannot be written fast enough now"),
    ("ledger_closed", &[503], "the process is stopping"),
    ("ledger_unavailable", &[503], "the decision could not be recorded, so it is not answered"),
    ("letter_erased", &[410], "the subject of the letter was erased"),
    ("letter_not_found", &[404], "no dead letter has this id"),
    ("list_limit", &[400], "a page cannot have so many rows"),
    (
        "lookup_failed",
        &[422, 503],
        "a system that is looked up for the decision failed or was late. 503: there is no answer now; 422: the record is set aside",
    ),
    ("lookup_missing", &[422], "a row that is looked up for the decision is not there"),
    (
        "malformed_json",
        &[400, 422],
        "no JSON in UTF-8. 400: the body, so nothing was asked; counted in the ledger's summary of refusals, no decision. 422: \
         the member `input`, so a decision was asked; it is recorded as rejected",
    ),
    ("malformed_message", &[400], "the message of the gRPC call is none, or holds what JSON cannot"),
    ("missing_field", &[422], "a required field is missing"),
    ("model_not_loaded", &[404, 503], "the model is not at hand"),
    ("model_unavailable", &[503], "the model could not answer, and neither could a fallback"),
    ("no_answer", &[500], "a defect: the path gave no answer"),
    ("no_badge", &[404], "no integration with a badge has this name"),
    ("no_caller", &[500], "a defect: a handler asks who calls on a route that recognises nobody"),
    ("no_contributions", &[500], "a defect: the model's explanation does not fit its outputs"),
    ("no_holder", &[500], "a defect: a handler asks who holds a token on a route that asks for none"),
    ("no_method", &[501], "the gRPC service has no such method"),
    ("no_route", &[404], "nothing is served at this address"),
    ("not_a_letter_id", &[400], "the text is no id of a dead letter"),
    ("not_a_time", &[400], "a time of the gRPC call lies outside the years that a time can have"),
    ("not_allowed", &[422], "a text is not among the allowed values"),
    ("not_an_id", &[400], "the text is no decision id"),
    ("not_an_object", &[422], "the input is no JSON object"),
    ("not_json", &[415], "the content type is not JSON"),
    ("not_recorded", &[500], "a defect: a decision left the path without its record"),
    ("not_running", &[503], "only a running process can do this now"),
    ("not_under_review", &[409], "the decision does not wait for a person"),
    ("nothing_to_approve", &[409], "the decision has no output that could be approved; override or reject it"),
    ("nothing_to_explain", &[404], "the decision has no output that could be explained"),
    (
        "origin_forbidden",
        &[403],
        "a web page of another origin asks: without a key, where a certificate alone does not let it in, or for a badge that is not for its \
         origin",
    ),
    ("out_of_range", &[422], "a number is outside its range"),
    ("output_out_of_range", &[400], "the output of a verdict lies outside of the integration's range"),
    ("overloaded", &[503], "too many decisions are under way"),
    ("parameter", &[400], "a parameter of the address has no usable value"),
    ("pattern_mismatch", &[422], "a text does not match its pattern"),
    ("quality_quarantined", &[422], "a quality rule set the record aside"),
    ("quality_rejected", &[422], "a quality rule refused the record"),
    ("quota_exceeded", &[429], "the caller has fewer decisions left today than it asks for"),
    ("rate_limited", &[429], "the caller asks more often than it may"),
    ("request_pending", &[503], "the request is accepted, and not decided yet"),
    ("review_closed", &[409], "somebody has given a verdict on the decision already"),
    ("review_not_found", &[404], "no decision with this id waits, or waited, for a person"),
    ("review_outdated", &[409], "the integration has changed since, so that the verdict cannot take effect"),
    ("scope_missing", &[403], "the API key's scopes do not allow this"),
    ("slow_body", &[408], "the body did not arrive in time"),
    ("stopping", &[503], "the process is stopping"),
    ("timeout_header", &[400], "the deadline header is no duration"),
    ("token_algorithm", &[401], "the token's signature algorithm is not accepted here"),
    ("token_audience", &[401], "the token is meant for another service, or of a badge: for another integration"),
    ("token_early", &[401], "the token is not valid yet"),
    ("token_expired", &[401], "the token has ended"),
    ("token_issuer", &[401], "the token is of an issuer that is not accepted here"),
    ("token_lifetime", &[401], "the token of a badge lives longer than `doors.embed.lifetime` lets it"),
    ("token_malformed", &[401], "the credentials are neither an API key nor a token that can be read"),
    ("token_missing", &[401], "the badge has no token"),
    ("token_signature", &[401], "the token is not signed by a key of its issuer, or with the secret of the badge"),
    ("token_subject", &[403], "the token of a badge is for another subject than the one that is asked about"),
    ("token_without_grants", &[403], "the token is genuine and allows nothing here"),
    ("too_deep", &[400, 422], "the body is nested deeper than `server.depth`"),
    ("too_long", &[422], "a text is longer than allowed"),
    ("too_many_requests", &[503], "as many asynchronous requests wait as `server.requests` allows"),
    ("too_many_reviews", &[503], "nothing could answer, and as many decisions wait for a person as may"),
    ("unknown_field", &[422], "the input has a field that the schema does not know"),
    ("unknown_member", &[400], "the body has a member other than `input`"),
    ("unknown_parameter", &[400], "the query is not known"),
    ("verdict_malformed", &[400], "the body is no verdict"),
    ("wrong_method", &[405], "the address does not know this method"),
    ("wrong_type", &[422], "a value has another type than its field"),
];

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn sorted_and_unique() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    /// Codes that never reach an HTTP caller: orders at the command line, configuration, wrong rows of systems, what only the log
    /// is told of an identity provider, and what people read who sign in to the console with one.
    const ELSEWHERE: [&str; 15] = [
        "bad_pattern",
        "descriptor",
        "embed_secret_short",
        "identity_answer",
        "key_ambiguous",
        "key_lifetime",
        "key_name",
        "key_not_found",
        "key_record",
        "key_rotated",
        "key_scopes",
        "no_provider",
        "sign_in_client",
        "unknown_scope",
        "wrong_row",
    ];

    /// Every code that the path's stages or this door can give is in the list.
    #[test]
    fn no_code_is_missing() {
        let rooms = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut missing = Vec::new();
        for folder in [
            "doors/src/api",
            "doors/src/embed",
            "doors/src/graphql",
            "doors/src/grpc",
            "doors/src/keys",
            "doors/src/trust",
            "doors/src/trust/oidc",
            "engine/src/form",
            "engine/src/stages",
        ] {
            for file in fs::read_dir(rooms.join(folder)).unwrap() {
                let path = file.unwrap().path();
                if path.extension().is_none_or(|end| end != "rs") || path.ends_with("tests.rs") {
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]").next().unwrap();
                missing.extend(codes_in(text).into_iter().filter(|code| CODES.iter().all(|(known, ..)| known != code)));
            }
        }
        missing.retain(|code| !ELSEWHERE.contains(&code.as_str()));
        assert!(missing.is_empty(), "not documented: {missing:?}");
    }

    /// Texts that stand where a code stands: after an error kind, or as the member `code`.
    fn codes_in(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (at, _) in text.match_indices("ErrorKind::").chain(text.match_indices("code: \"")) {
            let rest = &text[at..];
            let rest = rest.strip_prefix("code: ").unwrap_or_else(|| rest.split_once(',').map_or("", |(_, rest)| rest));
            let code = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()).unwrap_or_default();
            if !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
                found.push(code.to_owned());
            }
        }
        found
    }
}

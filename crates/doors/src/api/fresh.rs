//! Conditional reads: an answer carries an `ETag`; whoever brings it back in `If-None-Match` and would get the same is told 304,
//! without the body.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use ring::digest::{SHA256, digest};

use super::answer;
use crate::keys::hex;

/// A tag over the bytes of an answer.
pub(crate) fn tag_of(body: &[u8]) -> String {
    hex(digest(&SHA256, body).as_ref().get(..12).unwrap_or_default())
}

/// Adds the tag to a good answer, or answers 304 when the caller has it already.
pub(crate) fn conditional(mut response: Response, headers: &HeaderMap, tag: &str) -> Response {
    if response.status() != StatusCode::OK {
        return response;
    }
    let tag = format!("\"{tag}\"");
    if knows(headers, &tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    answer::set(response.headers_mut(), header::ETAG, &tag);
    // Kept by whoever asked, never shown without asking here: keys are revoked and subjects are erased.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

fn knows(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(if_none_match: &'static str) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(if_none_match));
        conditional(Response::new(Body::from("x")), &headers, "abc")
    }

    #[test]
    fn who_has_it_is_told_so() {
        for known in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            assert_eq!(asked(known).status(), StatusCode::NOT_MODIFIED, "{known}");
        }
        for other in ["\"abd\"", "abc", ""] {
            let response = asked(other);
            assert_eq!(response.status(), StatusCode::OK, "{other}");
            assert_eq!(response.headers()[header::ETAG], "\"abc\"");
        }
    }
}

//! What a provider says of itself (OpenID Connect Discovery 1.0, RFC 8414), as far as people sign in with it.

use serde_json::Value;

/// The addresses of a provider, and what it can.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct About {
    /// Where browsers go to sign in.
    pub(super) authorization: Option<String>,
    /// Where a code becomes an ID token.
    pub(super) token: Option<String>,
    /// Where browsers go to sign out.
    pub(super) end_session: Option<String>,
    /// Whether it names itself whenever it sends somebody back (RFC 9207).
    pub(super) names_itself: bool,
    /// Whether a client's secret goes into the form; otherwise into the header.
    pub(super) secret_in_form: bool,
}

impl About {
    /// Reads a discovery document of this issuer. An address that nobody can be sent to counts as none.
    pub(super) fn read(document: &Value, issuer: &str) -> Self {
        let address = |name: &str| {
            let text = document.get(name).and_then(Value::as_str)?;
            // A provider on this machine may speak plain HTTP throughout.
            let safe = text.starts_with("https://") || (issuer.starts_with("http://") && text.starts_with("http://"));
            let plain =
                text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains(['#', '"', '\'', '<', '>', '\\']);
            (safe && plain).then(|| text.to_owned())
        };
        let ways = document.get("token_endpoint_auth_methods_supported").and_then(Value::as_array);
        let way = |name: &str| ways.is_some_and(|ways| ways.iter().any(|way| way == name));
        Self {
            authorization: address("authorization_endpoint"),
            token: address("token_endpoint"),
            end_session: address("end_session_endpoint"),
            names_itself: document.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
            // What is meant where a document says nothing is the header.
            secret_in_form: way("client_secret_post") && !way("client_secret_basic"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_addresses_that_somebody_may_be_sent_to_are_read() {
        let document = json!({
            "authorization_endpoint": "https://login.example/authorize?tenant=1", "token_endpoint": "http://login.example/token",
            "end_session_endpoint": "javascript:alert(1)", "authorization_response_iss_parameter_supported": true,
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        });
        let about = About::read(&document, "https://login.example");
        assert_eq!(about.authorization.as_deref(), Some("https://login.example/authorize?tenant=1"));
        assert_eq!(
            (about.token, about.end_session, about.names_itself, about.secret_in_form),
            (None, None, true, true)
        );
        let about = About::read(&document, "http://localhost:1");
        assert_eq!(about.token.as_deref(), Some("http://login.example/token"));
        for nonsense in ["https://a b/", "https://a/#x", "https://a/\n", "https://a/\"onclick="] {
            assert_eq!(About::read(&json!({ "token_endpoint": nonsense }), "https://a").token, None, "{nonsense}");
        }
        assert_eq!(About::read(&json!({}), "https://a"), About::default());
    }
}

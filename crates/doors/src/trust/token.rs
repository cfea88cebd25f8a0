//! Tokens (JWS compact form, RFC 7515) as they come from outside: read strictly, verified with a key and an algorithm that are
//! known here, then their claims. Nothing in a token says where its key is found.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use tendon_kernel::{Error, ErrorKind, Result, Timestamp};

/// Longest token that is looked at.
const LONGEST: usize = 16 * 1024;
/// Longest key id.
const KEY_ID: usize = 256;

/// The protected header, as far as it matters. A member that stands twice is an error.
#[derive(serde::Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that must be understood: none is.
    crit: Option<Value>,
}

/// A token that nobody has verified yet.
pub(super) struct Unverified<'t> {
    /// Algorithm it claims.
    pub(super) alg: String,
    /// Id of the key it claims.
    pub(super) kid: Option<String>,
    /// Whether it says that it is an access token (RFC 9068), and so proves no sign-in.
    pub(super) access: bool,
    signed: &'t str,
    signature: Vec<u8>,
    claims: Map<String, Value>,
}

pub(super) fn refused(code: &'static str, message: &'static str) -> Error {
    Error::new(ErrorKind::Unauthenticated, code, message)
}

fn malformed() -> Error {
    refused("token_malformed", "the credentials are neither an API key nor a token that can be read").hint(
        "send `Authorization: Bearer` with an API key (tdn_…) or the access token of an identity provider (a JWT)",
    )
}

impl<'t> Unverified<'t> {
    /// Reads a token.
    ///
    /// # Errors
    /// `Unauthenticated` when it is too long or has another form.
    pub(super) fn read(text: &'t str) -> Result<Self> {
        if text.len() > LONGEST {
            return Err(refused("token_malformed", "the token is too long").hint("at most 16 KiB"));
        }
        let (signed, signature) = text.rsplit_once('.').ok_or_else(malformed)?;
        let (header, claims) = signed.split_once('.').ok_or_else(malformed)?;
        let header: Header = json(header)?;
        let claims: Map<String, Value> = json(claims)?;
        let kind = |kinds: &[&str]| {
            header.typ.as_deref().is_some_and(|typ| kinds.iter().any(|known| typ.eq_ignore_ascii_case(known)))
        };
        let access = kind(&["at+jwt", "application/at+jwt"]);
        let plain = header.typ.is_none() || kind(&["jwt"]) || access;
        if header.crit.is_some() || !plain || header.kid.as_ref().is_some_and(|kid| kid.len() > KEY_ID) {
            return Err(malformed());
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed())?;
        Ok(Self { alg: header.alg, kid: header.kid, access, signed, signature, claims })
    }

    /// Who it says issued it; only for choosing whose keys to try.
    pub(super) fn issuer(&self) -> &str {
        self.claims.get("iss").and_then(Value::as_str).unwrap_or_default()
    }

    /// What was signed, and the signature.
    pub(super) fn signed(&self) -> (&[u8], &[u8]) {
        (self.signed.as_bytes(), &self.signature)
    }

    /// Its claims, once it is known to be genuine.
    pub(super) fn genuine(self) -> Claims {
        Claims(self.claims)
    }
}

/// What a genuine token says.
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    /// A claim.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The claim at the end of these steps. A name may have dots of its own, as those of Auth0 (`https://acme.example/roles`) and the
    /// clients of Keycloak (`resource_access.my.client.roles`) have: at each step the longest name that is there counts.
    pub(super) fn place(&self, steps: &[String]) -> Option<&Value> {
        within(&self.0, steps)
    }

    /// A claim that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Whether it is meant for one of these.
    pub(super) fn meant_for(&self, wanted: impl Fn(&str) -> bool) -> bool {
        let wanted = |value: &Value| value.as_str().is_some_and(&wanted);
        match self.get("aud") {
            Some(Value::Array(list)) => list.iter().any(wanted),
            Some(one) => wanted(one),
            None => false,
        }
    }

    /// Holds its times against the clock; gives how many seconds are left.
    ///
    /// # Errors
    /// `Unauthenticated` when it never ends, has ended, or is not valid yet.
    pub(super) fn left(&self, now: Timestamp, leeway: Duration) -> Result<f64> {
        #[expect(clippy::cast_precision_loss, reason = "seconds of today have eleven digits")]
        let (now, leeway) = (now.0 as f64 / 1e6, leeway.as_secs_f64());
        let time = |name: &str| match self.get(name) {
            None => Ok(None),
            Some(value) => value.as_f64().filter(|time| time.is_finite()).map(Some).ok_or_else(malformed),
        };
        let ends = time("exp")?.ok_or_else(|| refused("token_malformed", "the token never ends: it has no `exp`"))?;
        if now >= ends + leeway {
            return Err(refused("token_expired", "the token has ended").hint("ask whoever issued it for a new one"));
        }
        if [time("nbf")?, time("iat")?].into_iter().flatten().any(|begin| begin > now + leeway) {
            return Err(refused("token_early", "the token is not valid yet")
                .hint("the clocks of its issuer and of this machine differ; only a little is allowed for"));
        }
        Ok(ends - now)
    }
}

fn within<'v>(claims: &'v Map<String, Value>, steps: &[String]) -> Option<&'v Value> {
    (1..=steps.len()).rev().find_map(|count| {
        let (name, rest) = steps.split_at_checked(count)?;
        let value = claims.get(&name.join("."))?;
        if rest.is_empty() { Some(value) } else { within(value.as_object()?, rest) }
    })
}

fn json<T: serde::de::DeserializeOwned>(part: &str) -> Result<T> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed())?;
    serde_json::from_slice(&bytes).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_is_found_whatever_dots_its_name_has() {
        let claims = Claims(
            json!({
                "realm_access": { "roles": [1] },
                "https://acme.example/roles": [2],
                "resource_access": { "my.client": { "roles": [3] }, "my": { "other": 4 } },
                "a.b": 5, "a": { "b": 6, "c": 7 },
            })
            .as_object()
            .unwrap()
            .clone(),
        );
        let found = |claim: &str| claims.place(&claim.split('.').map(str::to_owned).collect::<Vec<_>>()).cloned();
        for (claim, value) in [
            ("realm_access.roles", json!([1])),
            ("https://acme.example/roles", json!([2])),
            ("resource_access.my.client.roles", json!([3])),
            ("resource_access.my.other", json!(4)),
            ("a.b", json!(5)),
            ("a.c", json!(7)),
        ] {
            assert_eq!(found(claim), Some(value), "{claim}");
        }
        for none in ["realm_access.roles.x", "realm_access.x", "roles", "", "https://acme"] {
            assert_eq!(found(none), None, "{none}");
        }
    }
}

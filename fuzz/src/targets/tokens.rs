//! What stands in `Authorization`: keys, tokens of an identity provider, nonsense. One genuine token lets its caller in, as it is to the
//! last character, and nothing else does: the genuine key is not among the seeds, and the issuer's key that signed was thrown away. The
//! refusal tells nothing of what was sent.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tendon_doors::trust::Credentials;
use tendon_kernel::{
    ErrorKind, Result as Told,
    sockets::http::{HttpClient, HttpRequest, HttpResponse},
};

use super::{Run, Target, Verdict, http, kind, proper};
use crate::world;

pub(super) const TARGET: Target = Target {
    name: "tokens",
    about: "credentials: API keys and bearer tokens",
    words: &[
        "Bearer ",
        "bearer ",
        "Basic ",
        "tdn_",
        ".",
        "eyJhbGciOiJSUzI1NiJ9",
        "eyJhbGciOiJub25lIn0",
        "eyJhbGciOiJIUzI1NiJ9",
        "eyJpc3MiOiJodHRwOi8vMTI3LjAuMC4xOjEifQ",
        "=",
        "==",
        "-_-_",
        "\u{e4}",
    ],
    memory: (1 << 20, 200),
    short: 20_000,
    open: || Box::new(Tokens::open()),
};

struct Tokens(http::Front);

/// The public half of the issuer's key.
const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"k1","use":"sig","alg":"ES256","x":"Dl4fwWC4AEWSMs0bjB4z9Zc3S2tJd1pGZPD9XpTWQXs","y":"bxty7kzPlOwsTTbyn65SERfaC-Ei1SqKGgLe9PUCXck"}]}"#;
/// What it signed once, for this service and for a century.
const GENUINE: &str = "eyJhbGciOiAiRVMyNTYiLCAia2lkIjogImsxIn0.eyJpc3MiOiAiaHR0cDovLzEyNy4wLjAuMToxIiwgImF1ZCI6ICJ0ZW5kb24iLCAic3ViIjogInNvbWVib2R5IiwgImV4cCI6IDQxMDI0NDQ4MDAsICJzY29wZSI6ICJhIn0.uVJ7jmwWWJBYiICbL7TWsQ8h5xOFHJ3cPqGedTQzYWQuA_-bjFBLdrsQFKxLg92nAv0nY44_4uAhoqcoqb4Jkw";

/// The identity provider, without a network.
struct Issuer;

impl HttpClient for Issuer {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Told<HttpResponse>> {
        let body = if request.url.ends_with("/keys") {
            KEYS
        } else {
            r#"{"issuer":"http://127.0.0.1:1","jwks_uri":"http://127.0.0.1:1/keys"}"#
        };
        Box::pin(async move { Ok(HttpResponse { status: 200, headers: Vec::new(), body: body.into() }) })
    }
}

/// What its project says of it.
const ISSUER: &str = "auth:\n  oidc:\n    company: { issuer: \"http://127.0.0.1:1\", audience: [tendon], grants: { a: [\"decide:*\"] } }\n";

impl Tokens {
    fn open() -> Self {
        let front = http::Front::open_with(|_| Arc::new(Issuer));
        let (plan, findings) = world::planned(&format!("{}{ISSUER}", world::PROJECT), world::INTEGRATION);
        let plan = plan.unwrap_or_else(|| panic!("the issuer's project: {findings:#?}"));
        let rules = front.gate().prepare(&plan).unwrap_or_else(|error| panic!("{error}"));
        front.gate().adopt(rules);
        Self(front)
    }
}

impl Run for Tokens {
    fn run(&mut self, input: &[u8]) -> Result<Verdict, String> {
        // A header that is no text reaches the gate as an empty one.
        let text = std::str::from_utf8(input).unwrap_or_default();
        let credentials = Credentials { authorization: Some(text), peer: None };
        let Err(error) = self.0.wait(self.0.gate().identify(credentials)) else {
            let genuine = text.split_ascii_whitespace().any(|word| word == GENUINE);
            let verdict = Verdict { kind: kind(&[&"let in", &text.len()]), taken: true };
            return genuine.then_some(verdict).ok_or_else(|| "somebody was let in".to_owned());
        };
        proper(&error)?;
        let kinds = [ErrorKind::Unauthenticated, ErrorKind::Unavailable, ErrorKind::Forbidden];
        if !kinds.contains(&error.kind()) {
            return Err(format!("refused as {:?}: {error}", error.kind()));
        }
        let told = format!("{error} {error:?} {:?}", error.private_detail());
        let sent = text.split([' ', '.']).find(|part| part.len() > 20 && told.contains(part));
        if let Some(part) = sent {
            return Err(format!("the refusal tells {part}: {told}"));
        }
        Ok(Verdict {
            kind: kind(&[&error.code(), &text.matches('.').count().min(5), &text.len().min(64)]),
            taken: false,
        })
    }

    fn seeds(&mut self) -> Vec<Vec<u8>> {
        vec![format!("Bearer {GENUINE}").into_bytes()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_genuine_token_is_let_in_and_what_was_signed_for_others_is_not() {
        let mut tokens = Tokens::open();
        assert!(tokens.run(format!("Bearer {GENUINE}").as_bytes()).unwrap().taken);
        for kept in crate::kept::inputs("corpus", "tokens") {
            assert!(!tokens.run(&kept).unwrap().taken, "{}", String::from_utf8_lossy(&kept));
        }
    }
}

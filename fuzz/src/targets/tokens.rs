//! What stands in `Authorization`: keys, tokens of an identity provider, nonsense. Nobody is ever let in: the genuine key is not among
//! the seeds, and no key of the issuer is known. The refusal tells nothing of what was sent.

use tendon_doors::trust::Credentials;
use tendon_kernel::ErrorKind;
use tendon_plan::trust::TrustPlan;

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

/// An issuer that nobody answers for.
const ISSUER: &str = "auth:\n  oidc:\n    company: { issuer: \"http://127.0.0.1:1\", audience: [tendon], grants: { a: [\"decide:*\"] } }\n";

impl Tokens {
    fn open() -> Self {
        let front = http::Front::open();
        let (plan, findings) = world::planned(&format!("{}{ISSUER}", world::PROJECT), world::INTEGRATION);
        let trust: TrustPlan = plan.unwrap_or_else(|| panic!("the issuer's project: {findings:#?}")).trust;
        let rules = front.gate().prepare(&trust).unwrap_or_else(|error| panic!("{error}"));
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
            return Err("somebody was let in".to_owned());
        };
        proper(&error)?;
        if !matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::Unavailable) {
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
}

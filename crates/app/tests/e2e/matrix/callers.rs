//! Every kind of credentials that a caller may bring, good and bad.

use serde_json::{Value as Json, json};

use super::cases::World;

/// What is expected of a caller's requests.
pub(super) enum Expected {
    /// Nothing but what is open: status and code of everything else.
    Refused(u16, &'static str),
    /// As far as its scopes go.
    May(May),
    /// It is shown the badge of one subject, and is nobody elsewhere.
    Holder,
    /// It may do everything, and all its decisions of the day are spent.
    Spent,
}

/// Scopes, as the rules of the matrix understand them.
pub(super) struct May {
    decides: &'static [&'static str],
    pub(super) read: bool,
    pub(super) reviews: &'static [&'static str],
    pub(super) operate: bool,
}

const NOTHING: May = May { decides: &[], read: false, reviews: &[], operate: false };

impl May {
    pub(super) fn decides(&self, integration: &str) -> bool {
        self.decides.iter().any(|name| *name == integration || *name == "*")
    }

    pub(super) fn reviews(&self, integration: &str) -> bool {
        self.reviews.iter().any(|name| *name == integration || *name == "*")
    }
}

/// A caller: its name in the tables, what its requests carry, what is expected of them.
pub(super) struct Caller {
    pub(super) name: &'static str,
    pub(super) told: Json,
    pub(super) expected: Expected,
}

impl Caller {
    /// Whether the process lets it in at all.
    pub(super) fn known(&self) -> bool {
        !matches!(self.expected, Expected::Refused(..))
    }

    /// Whether it may see what waits for a person at the desk.
    pub(super) fn reviews_desk(&self) -> bool {
        match &self.expected {
            Expected::May(may) => may.reviews("desk"),
            Expected::Spent => true,
            Expected::Refused(..) | Expected::Holder => false,
        }
    }
}

/// All of them. The first one may do everything: the client reads the reflection as it.
pub(super) fn all(world: &World) -> Vec<Caller> {
    let mut all = scoped(world);
    all.extend(refused(world));
    all
}

fn bearer(key: &str) -> Json {
    json!({ "authorization": format!("Bearer {key}") })
}

fn scoped(world: &World) -> Vec<Caller> {
    let (all, one, desk): (&[&str], &[&str], &[&str]) = (&["*"], &["lead-score"], &["desk"]);
    let key = |name: &str, scopes: &[&str]| bearer(&world.sandbox.key(name, scopes));
    let may = |name, told, may| Caller { name, told, expected: Expected::May(may) };
    let decider = May { decides: one, ..NOTHING };
    let reader = May { read: true, ..NOTHING };
    vec![
        may("admin", bearer(&world.admin), May { decides: all, read: true, reviews: all, operate: true }),
        may("decider", bearer(&world.decider), decider),
        may("decider-other", key("decider-other", &["decide:desk"]), May { decides: desk, ..NOTHING }),
        may("decider-all", key("decider-all", &["decide:*"]), May { decides: all, ..NOTHING }),
        may("reader", key("reader", &["read"]), reader),
        may("operator", key("operator", &["operate"]), May { read: true, operate: true, ..NOTHING }),
        may("reviewer", key("reviewer", &["review:desk"]), May { reviews: desk, ..NOTHING }),
        may("reviewer-other", key("reviewer-other", &["review:lead-score"]), May { reviews: one, ..NOTHING }),
        may("reviewer-all", key("reviewer-all", &["review:*"]), May { reviews: all, ..NOTHING }),
        may("token-decider", bearer(&world.issuer.token("urn:tendon", "leads.score")), May { decides: one, ..NOTHING }),
        may("token-reader", bearer(&world.issuer.token("urn:tendon", "leads.read")), May { read: true, ..NOTHING }),
        may("certificate-decider", world.certificate("billing"), May { decides: one, ..NOTHING }),
        may("certificate-reader", world.certificate("audit"), May { read: true, ..NOTHING }),
        Caller { name: "holder", told: bearer(&world.held), expected: Expected::Holder },
        Caller { name: "quota-spent", told: spent(world, "quota", "admin"), expected: Expected::Spent },
    ]
}

/// A caller whose one request is spent before anything is asked.
fn spent(world: &World, what: &str, scope: &str) -> Json {
    let limit = if what == "quota" { ["--quota", "1"] } else { ["--rate", "1/h"] };
    let key = world.made(&[&["--name", what, "--scope", scope], &limit[..]].concat());
    let mut told = bearer(&key);
    told["spend"] = json!([{ "surface": "http", "method": "POST", "path": "/v1/integrations/lead-score/decisions",
        "body": crate::support::body(1) }]);
    told
}

fn refused(world: &World) -> Vec<Caller> {
    let with = |mut told: Json, name: &str, value: &str| {
        told[name] = value.into();
        told
    };
    let revoked = world.sandbox.key("revoked", &["admin"]);
    world.sandbox.json(&["keys", "revoke", "revoked"]);
    let mut mistyped = world.admin.clone();
    let last = mistyped.pop();
    mistyped.push(if last == Some('0') { '1' } else { '0' });
    let ended = world.made(&["--name", "ended", "--scope", "admin", "--expires", "1s"]);
    let token = |resource: &str, scope: &str| world.issuer.token(resource, scope);
    let genuine = token("urn:tendon", "leads.score");
    let forged = format!("{}{}", &genuine[..genuine.len() - 8], "AAAAAAAA");
    [
        ("nobody", json!({}), 401, "key_missing"),
        ("key-foreign", bearer("tdn_something"), 401, "key_not_recognised"),
        ("key-mistyped", bearer(&mistyped), 401, "key_mistyped"),
        ("key-ended", with(bearer(&ended), "until", "key_expired"), 401, "key_expired"),
        ("key-revoked", bearer(&revoked), 401, "key_unknown"),
        ("scheme-basic", json!({ "authorization": "Basic YWRtaW46YWRtaW4=" }), 401, "key_not_recognised"),
        ("rate-spent", spent(world, "rate", "admin"), 429, "rate_limited"),
        (
            "token-ended",
            with(bearer(&token("urn:tendon:short", "leads.score")), "until", "token_expired"),
            401,
            "token_expired",
        ),
        ("token-for-others", bearer(&token("urn:other", "leads.score")), 401, "token_audience"),
        ("token-without-grants", bearer(&token("urn:tendon", "nothing")), 403, "token_without_grants"),
        ("token-forged", bearer(&forged), 401, "token_signature"),
        ("certificate-unknown", world.certificate("other"), 401, "client_unknown"),
    ]
    .into_iter()
    .map(|(name, told, status, code)| Caller { name, told, expected: Expected::Refused(status, code) })
    .collect()
}

//! Tokens: genuine ones show one subject; every other one is refused, and says why. Pages: those declared, and no other.

use super::{SECRET, ask, python, sandbox, token};
use crate::support::{Running, eventually};

const PAGE: &str = "https://crm.example";

/// Tokens that differ from a good one in one thing, and the code that names it.
const WRONG: &[(&str, &str)] = &[
    ("sign('another-secret-that-is-long-enough-000', 'lead-score', '1')", "token_signature"),
    ("sign(S, 'lead-score', '1', -31)", "token_expired"),
    ("sign(S, 'lead-score', '1', 600 + 60)", "token_lifetime"),
    ("sign(S, 'desk', '1')", "token_audience"),
    ("made({'alg': 'none'}, {'sub': '1', 'aud': 'lead-score', 'exp': soon}, sign=False)", "token_algorithm"),
    ("made({'alg': 'HS512'}, {'sub': '1', 'aud': 'lead-score', 'exp': soon})", "token_algorithm"),
    ("made({'alg': 'HS256', 'crit': ['exp']}, {'sub': '1', 'aud': 'lead-score', 'exp': soon})", "token_malformed"),
    ("made({'alg': 'HS256'}, {'sub': '1', 'aud': 'lead-score', 'exp': soon}, sign=False)", "token_signature"),
    ("made({'alg': 'HS256'}, {'sub': '1', 'aud': 'lead-score'})", "token_malformed"),
    ("made({'alg': 'HS256'}, {'sub': '1', 'aud': 'lead-score', 'exp': 'soon'})", "token_malformed"),
    ("made({'alg': 'HS256'}, {'sub': '1', 'exp': soon})", "token_audience"),
    ("made({'alg': 'HS256'}, {'aud': 'lead-score', 'exp': soon})", "token_malformed"),
    ("made({'alg': 'HS256'}, {'sub': 1, 'aud': 'lead-score', 'exp': soon})", "token_malformed"),
    ("made({'alg': 'HS256'}, {'sub': '', 'aud': 'lead-score', 'exp': soon})", "token_malformed"),
    ("made({'alg': 'HS256'}, {'sub': 'x' * 2000, 'aud': 'lead-score', 'exp': soon})", "token_malformed"),
    ("made({'alg': 'HS256'}, {'sub': '1', 'aud': 'lead-score', 'exp': soon, 'nbf': soon})", "token_early"),
    ("'not a token'", "token_malformed"),
    ("'tdn_' + 'a' * 62", "token_malformed"),
];

/// Makes tokens that `sign` does not make.
const MADE: &str = "
soon = int(time.time()) + 120
def made(header, claims, sign=True):
    part = lambda raw: base64.urlsafe_b64encode(raw).rstrip(b'=').decode()
    text = '.'.join(part(json.dumps(one).encode()) for one in (header, claims))
    return text + '.' + part(hmac.new(S.encode(), text.encode(), hashlib.sha256).digest() if sign else b'')
";

fn wrong() -> Vec<(String, &'static str)> {
    let all = WRONG.iter().map(|(made, _)| *made).collect::<Vec<_>>().join(", ");
    let made = python(&format!("S = {SECRET:?}\n{MADE}\nfor one in [{all}]: print(one)"));
    made.lines().map(str::to_owned).zip(WRONG.iter().map(|(_, code)| *code)).collect()
}

fn scored(running: &Running, subject: &str) {
    let token = token("lead-score", subject);
    eventually("the subject has a score", || ask(running, "lead-score/score", &token, &[]).json()["state"] == "fresh");
}

#[test]
fn a_token_shows_its_subject_and_nothing_else_does() {
    let sandbox = sandbox(2, PAGE);
    let key = sandbox.key("admin", &["admin"]);
    let running = sandbox.up();
    scored(&running, "1");
    for what in ["lead-score/score", "lead-score/breakdown"] {
        for (token, code) in wrong() {
            let answer = ask(&running, what, &token, &[]);
            assert_eq!((answer.status, answer.json()["code"].as_str().unwrap()), (401, code), "{token}");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        }
        // A key is no token, whatever it may do; and who brings nothing is told what is missing.
        assert_eq!(ask(&running, what, &key, &[]).json()["code"], "token_malformed");
        let nothing = running.request("GET", &format!("/embed/integrations/{what}"), &[], "");
        assert_eq!((nothing.status, nothing.json()["code"].as_str().unwrap()), (401, "token_missing"));
        // The badge says whom it wants to show.
        let (one, subject) = (token("lead-score", "1"), "tendon-subject");
        assert_eq!(ask(&running, what, &one, &[(subject, "1")]).status, 200);
        let other = ask(&running, what, &one, &[(subject, "2")]);
        assert_eq!((other.status, other.json()["code"].as_str().unwrap()), (403, "token_subject"));
        assert_eq!(ask(&running, what, &one, &[(subject, "%zz")]).json()["code"], "token_subject");
        let unknown = ask(&running, &what.replace("lead-score", "nobody"), &one, &[]);
        assert_eq!((unknown.status, unknown.json()["code"].as_str().unwrap()), (404, "no_badge"));
    }
    // Nor is a token a key.
    let bearer = format!("Bearer {}", token("lead-score", "1"));
    for path in ["/v1/decisions", "/v1/integrations", "/v1/systems"] {
        assert_eq!(running.request("GET", path, &[("authorization", &bearer)], "").status, 401, "{path}");
    }
}

#[test]
fn the_secret_before_counts_until_it_is_taken_out() {
    let sandbox = sandbox(1, PAGE);
    sandbox.write("next.secret", "the-next-secret-of-the-badge-0123456789");
    let running = sandbox.up();
    scored(&running, "1");
    let (old, new) =
        (token("lead-score", "1"), python("print(sign('the-next-secret-of-the-badge-0123456789', 'lead-score', '1'))"));
    let file = std::fs::read_to_string(sandbox.path("integrations/lead-score.yaml")).unwrap();
    let reloaded = |text: &str| {
        sandbox.write("integrations/lead-score.yaml", text);
        running.signal("-HUP");
    };
    assert_eq!(ask(&running, "lead-score/score", &new, &[]).status, 401);
    let both = file.replace("badge.secret}\"", "next.secret}\", old_secret: \"${file:badge.secret}\"");
    reloaded(&both);
    eventually("both count", || ask(&running, "lead-score/score", &new, &[]).status == 200);
    assert_eq!(ask(&running, "lead-score/score", &old, &[]).status, 200);
    reloaded(&file.replace("badge.secret", "next.secret"));
    eventually("the old one does not", || ask(&running, "lead-score/score", &old, &[]).status == 401);
    assert_eq!(ask(&running, "lead-score/score", &new, &[]).status, 200);
    // A secret that anybody guesses is refused, and what was in force stays.
    sandbox.write("short.secret", "hunter2");
    reloaded(&file.replace("badge.secret", "short.secret"));
    running.wait_for_line("embed_secret_short");
    assert_eq!(ask(&running, "lead-score/score", &new, &[]).status, 200);
}

#[test]
fn only_declared_pages_may_ask_and_frame() {
    let sandbox = sandbox(1, PAGE);
    let running = sandbox.up();
    scored(&running, "1");
    let one = token("lead-score", "1");
    let from = |origin: &str| ask(&running, "lead-score/score", &one, &[("origin", origin)]);
    let good = from(PAGE);
    assert_eq!((good.status, good.header("access-control-allow-origin")), (200, Some(PAGE)));
    // Its own iframe is of the same origin.
    assert_eq!(from("http://test").status, 200);
    for other in [
        "https://evil.example",
        "http://crm.example",
        "https://crm.example.evil.example",
        "null",
        "https://crm.example:444",
    ] {
        let answer = from(other);
        assert_eq!((answer.status, answer.json()["code"].as_str().unwrap()), (403, "origin_forbidden"), "{other}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{other}");
    }
    let preflight = |path: &str, origin: &str| {
        let asks = [
            ("origin", origin),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "authorization,tendon-subject"),
        ];
        running.request("OPTIONS", path, &asks, "")
    };
    let allowed = preflight("/embed/integrations/lead-score/score", PAGE);
    assert_eq!(allowed.status, 204);
    assert!(allowed.header("access-control-allow-headers").unwrap().contains("tendon-subject"));
    assert_eq!(preflight("/embed/integrations/lead-score/score", "https://evil.example").status, 405);
    // The badge's pages may ask for nothing but the badge.
    assert_eq!(preflight("/v1/integrations/lead-score/decisions", PAGE).status, 405);
    let policy =
        |path: &str| running.request("GET", path, &[], "").header("content-security-policy").unwrap().to_owned();
    assert!(policy("/embed/frame?integration=lead-score").ends_with(&format!("frame-ancestors {PAGE}")));
    for nobody in ["/embed/frame", "/embed/frame?integration=nobody"] {
        assert!(policy(nobody).ends_with("frame-ancestors 'none'"), "{nobody}");
    }
}

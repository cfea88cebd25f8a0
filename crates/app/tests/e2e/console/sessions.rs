//! Sessions: begun with a key, ended by signing out, by revoking the key, by a restart; and wrong keys at the door.

use super::{Visitor, sign_in, to};
use crate::support::{Sandbox, body};

#[test]
fn a_session_is_its_keys_and_no_longer() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("ada", &["read"]);
    let running = sandbox.up();
    let answer = sign_in(&running, &key);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict") && !cookie.contains("Secure"), "{cookie}");
    // Whoever ends TLS before this process is told by what the browser calls the page.
    let through = [("origin", "https://test"), ("content-type", "application/x-www-form-urlencoded")];
    let answer = running.request("POST", "/console/sign-in", &through, &format!("key={key}"));
    let secure = answer.header("set-cookie").unwrap();
    assert!(secure.starts_with("__Host-tendon_session=") && secure.ends_with("; Secure"), "{secure}");

    // There only the name counts that no other host of the domain can set: not that of a session which somebody else began.
    let secret = secure.split(['=', ';']).nth(1).unwrap();
    let asked = |name: &str, more: &[(&str, &str)]| {
        let cookie = format!("{name}={secret}");
        running.request("GET", "/console", &[more, &[("cookie", cookie.as_str())]].concat(), "").status
    };
    let over_tls = [("sec-fetch-site", "none")];
    assert_eq!((asked("__Host-tendon_session", &over_tls), asked("tendon_session", &over_tls)), (200, 303));
    assert_eq!(asked("tendon_session", &[]), 200, "without TLS there is no other name");

    let (ada, other) = (Visitor::new(&running, &key), Visitor::new(&running, &key));
    assert!(ada.page("/console").contains("viewer"));
    assert_eq!(ada.get("/console").header("cache-control"), Some("no-store"));
    // Signed in again: the session before ends, and no other one.
    let again = ada.post("/console/sign-in", &format!("key={key}"));
    assert_eq!((again.status, ada.get("/console").status), (303, 303), "the old session lives on");
    let ada = Visitor { cookie: again.header("set-cookie").unwrap().split(';').next().unwrap().to_owned(), ..ada };
    assert_eq!((ada.get("/console").status, other.get("/console").status), (200, 200));
    // Signed out: the cookie is worth nothing, the other session goes on.
    let out = ada.post("/console/sign-out", &format!("token={}", ada.token()));
    assert_eq!((out.status, to(&out)), (303, "/console/sign-in?out=1"));
    // Colours change where one is, with the search, the span and the check that are open.
    for place in ["/console/decisions?subject=a%26b&band=red", "/console?span=7d", "/console/decisions?since=never"] {
        let page = String::from_utf8(other.get(place).body).unwrap();
        let (_, next) = page.split_once("name=\"next\" value=\"").unwrap();
        let next = next.split('"').next().unwrap().replace("&amp;", "&");
        assert_eq!(next, place);
        let sent: String = next.bytes().map(|byte| format!("%{byte:02X}")).collect();
        assert_eq!(to(&other.post("/console/theme", &format!("theme=dark&next={sent}"))), place);
    }
    assert_eq!(
        to(&ada.get("/console/decisions?band=red")),
        "/console/sign-in?ended=1&next=%2Fconsole%2Fdecisions%3Fband%3Dred"
    );
    // They are told; a stranger, who had no session, is not.
    let told = |path: &str| String::from_utf8(Visitor::stranger(&running).get(path).body).unwrap();
    assert!(told("/console/sign-in?ended=1").contains("Your session has ended.</p>"));
    assert!(told("/console/sign-in?ended=change").contains("Your session has ended. Nothing was changed."));
    assert_eq!(to(&Visitor::stranger(&running).get("/console/map")), "/console/sign-in?next=%2Fconsole%2Fmap");
    // A stroke too much leads to the page itself, and nobody elsewhere; what cannot be read is not passed over.
    assert_eq!(to(&other.get("/console/")), "/console");
    assert_eq!(to(&other.get("/console/decisions/?band=red")), "/console/decisions?band=red");
    for none in ["/console//evil.example/", "/console/%2F%2Fevil/", "/console/a%0Db/", "/console/nowhere"] {
        assert_eq!(other.get(none).status, 404, "{none}");
    }
    for unread in ["subject=M%FCller", "band=%zz&subject=x", "outcome=failed&subject=%"] {
        assert_eq!(other.get(&format!("/console/decisions?{unread}")).status, 400, "{unread}");
    }
    assert_eq!(other.get("/console").status, 200);
    // Revoked: every session of the key ends at once.
    sandbox.json(&["keys", "revoke", "ada"]);
    assert_eq!(to(&other.get("/console")), "/console/sign-in?ended=1");
    assert_eq!(to(&other.post("/console/theme", "theme=dark&next=//evil")), "/console");
    assert_eq!(sign_in(&running, &key).status, 401);
}

#[test]
fn wrong_keys_are_few_and_keep_nobody_out() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("ada", &["read"]);
    let running = sandbox.up();
    let wrong = |id: &str| format!("tdn_{id}_{}", "b".repeat(49));
    let statuses: Vec<u16> = (0..12).map(|_| sign_in(&running, &wrong("aaaaaaaaaaaa")).status).collect();
    assert_eq!(statuses, [[401; 10].as_slice(), &[429; 2]].concat());
    assert_eq!(sign_in(&running, &key).status, 303, "a stranger who guesses keeps nobody out");
    // Nor does one who knows the id of a key, which is no secret.
    let id = key.split('_').nth(1).unwrap();
    let statuses: Vec<u16> = (0..12).map(|_| sign_in(&running, &wrong(id)).status).collect();
    assert_eq!(statuses, [[401; 10].as_slice(), &[429; 2]].concat());
    assert_eq!(sign_in(&running, &key).status, 303, "whoever knows an id locks its person out");
    let answer = sign_in(&running, "<script>alert(1)</script>");
    assert!(!String::from_utf8_lossy(&answer.body).contains("alert(1)"), "what was typed is not repeated");
    for (next, goes) in [
        ("/console/decisions", "/console/decisions"),
        ("//evil", "/console"),
        ("/consolex", "/console"),
        ("https://evil/", "/console"),
    ] {
        let answer = Visitor::stranger(&running).post("/console/sign-in", &format!("key={key}&next={next}"));
        assert_eq!(to(&answer), goes, "{next}");
    }
}

#[test]
fn trends_survive_a_restart_and_sessions_do_not() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("ada", &["admin"]);
    let running = sandbox.up();
    let failed = |text: &str| text.split_once("data-of=\"Failed\">").unwrap().1.split('<').next().unwrap().to_owned();
    let visitor = Visitor::new(&running, &key);
    assert_eq!(failed(&visitor.page("/console?span=24h")), "–", "nothing was decided yet");
    assert_eq!(running.decide(&key, &[], &body(1)).unwrap().status, 200);
    let cookie = visitor.cookie.clone();
    assert!(running.stop().success());

    let running = sandbox.up();
    let old = Visitor { cookie, ..Visitor::stranger(&running) };
    assert_eq!(old.get("/console").status, 303);
    let page = Visitor::new(&running, &key).page("/console?span=24h");
    assert_eq!(failed(&page), "0 %", "what was decided before the restart is counted");
}

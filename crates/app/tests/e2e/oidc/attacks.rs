//! What can be done to somebody who signs in: another browser's answer, one that was used, one of another provider; ID tokens that
//! lie; addresses that lead elsewhere; a provider that is gone. Each is refused in words, and nobody is signed in.

use super::{Company, SECRET, told, walker::Walker};
use crate::{
    support::{Answer, Running, Sandbox, eventually, tendon},
    tokens::Issuer,
};

/// The status and words of a refusal, which begins no session.
fn refused(answer: &Answer, status: u16, words: &str) {
    let alert = told(answer);
    assert!(answer.status == status && alert.contains(words), "{}: {alert}", answer.status);
    assert!(!answer.head.contains("tendon_session="), "{}", answer.head);
    assert!(alert.contains("small"), "what to do is not said: {alert}");
}

/// The address with another value of one parameter; nothing: without it.
fn other(url: &str, name: &str, value: Option<&str>) -> String {
    let (path, query) = url.split_once('?').unwrap();
    let of_name = format!("{name}=");
    let kept = query.split('&').filter(|pair| !pair.starts_with(&of_name)).map(str::to_owned);
    format!("{path}?{}", kept.chain(value.map(|value| format!("{of_name}{value}"))).collect::<Vec<_>>().join("&"))
}

const OUTDATED: &str = "not under way any more";

#[test]
fn an_answer_is_good_once_and_in_the_browser_that_asked() {
    let company = Company::new();
    // Somebody makes another browser bring what was meant for their own: a stranger's session would begin there.
    let (mut eve, mut ada) = (company.walker(), company.walker());
    let lure = eve.there_and_back("eve", "/console");
    refused(&ada.come(&lure), 401, OUTDATED);
    ada.leave("/console");
    refused(&ada.come(&lure), 401, OUTDATED);
    // A code that belongs to another sign-in: the provider holds it against what only the right one knows.
    let stolen = company.walker().there_and_back("ada", "/console");
    let code = stolen.split_once("code=").unwrap().1.split('&').next().unwrap();
    refused(&eve.come(&other(&lure, "code", Some(code))), 401, "does not accept the answer");
    // Once, in the right browser; whoever reads the address later has nothing.
    let back = ada.there_and_back("ada", "/console");
    let cookies = ada.shown().join("; ");
    assert_eq!(ada.come(&back).status, 200);
    refused(&ada.come(&back), 401, OUTDATED);
    refused(&company.walker().ask("GET", &back, &[("cookie", &cookies)], "", true), 401, OUTDATED);
    let kept = ada.shown();
    assert!(kept.len() == 2, "the one that was left, and the session: {kept:?}");
    // Without a state, or with one that nobody made.
    for state in [None, Some("0".repeat(64)), Some("x".to_owned()), Some("%C3%A9".repeat(16))] {
        refused(&company.walker().come(&other(&back, "state", state.as_deref())), 401, OUTDATED);
    }
    // A state is no cookie: who knows one, of another window, cannot make the other.
    let mut mallory = company.walker();
    let there = mallory.leave("/console");
    let state = there.split_once("&state=").unwrap().1.split('&').next().unwrap();
    let foreign = format!("{}/console/oidc/return?code=x&state={state}", company.home);
    let forged = [("cookie", format!("tendon_away_{}={state}", &state[..16]))];
    let headers = [("cookie", forged[0].1.as_str())];
    refused(&company.walker().ask("GET", &foreign, &headers, "", true), 401, OUTDATED);
}

#[test]
fn an_id_token_that_lies_signs_nobody_in() {
    let company = Company::new();
    let proves = "does not prove who you are";
    for (how, status, words) in [
        ("none", 401, proves),
        ("key", 401, proves),
        ("audience", 401, "meant for another service"),
        ("audiences", 401, "meant for another service"),
        ("azp", 401, "meant for another service"),
        ("nonce", 401, proves),
        ("no nonce", 401, proves),
        ("issuer", 401, proves),
        ("ended", 401, "clocks"),
        ("early", 401, "clocks"),
        ("no iat", 401, proves),
        ("no subject", 401, proves),
        ("access", 401, proves),
        ("missing", 503, "does not answer as it should"),
    ] {
        company.spoil(how);
        println!("{how}");
        let (mut walker, met) = company.signed_in("ada");
        refused(&met, status, words);
        assert_eq!(walker.page("/console").status, 303, "{how}");
    }
    // Only the lies are refused: a token for others, too, that says it was made for this client.
    company.spoil("both");
    assert_eq!(company.signed_in("ada").1.status, 200);
    // What it was, the log says.
    let log = company.running.finish().join("\n");
    for code in [
        "token_algorithm",
        "token_signature",
        "token_audience",
        "sign_in_nonce",
        "token_issuer",
        "token_expired",
        "token_early",
    ] {
        assert!(log.contains(code), "{code}");
    }
}

#[test]
fn what_a_provider_says_is_checked_and_told_in_words() {
    let company = Company::new();
    // The answer of another provider: RFC 9207.
    for issuer in [Some("https%3A%2F%2Fevil.example"), None] {
        let mut ada = company.walker();
        let back = ada.there_and_back("ada", "/console");
        refused(&ada.come(&other(&back, "iss", issuer)), 401, "does not prove who you are");
    }
    // No code: its own words are not repeated.
    for (error, status, words) in [
        ("access_denied", 403, "did not let you in, or you said no"),
        ("server_error", 503, "does not answer as it should"),
        ("%3Cscript%3E", 401, "ended the sign-in before it was finished"),
    ] {
        let mut ada = company.walker();
        let back = ada.there_and_back("ada", "/console/letters");
        let back = other(&other(&back, "code", None), "error", Some(error));
        let met = ada.come(&other(&back, "error_description", Some("planted-words")));
        refused(&met, status, words);
        let page = String::from_utf8_lossy(&met.body).into_owned();
        assert!(
            !page.contains("planted") && !page.contains("<script>") && page.contains("next=%2Fconsole%2Fletters"),
            "{page}"
        );
        // The same without naming itself is not this provider's.
        let mut ada = company.walker();
        let back = ada.there_and_back("ada", "/console");
        let back = other(&other(&other(&back, "code", None), "error", Some(error)), "iss", None);
        refused(&ada.come(&back), 401, "does not prove who you are");
    }
    // Keys that were exchanged meanwhile are found.
    company.issuer.ask("GET", "/test/rotate", "");
    eventually("the new key is found", || company.signed_in("ada").1.status == 200);
}

#[test]
fn nobody_is_led_elsewhere_and_no_other_page_begins_a_sign_in() {
    let company = Company::new();
    for next in [
        "//evil.example",
        "https://evil.example/",
        "/console/../v1",
        "/console/%2e%2e//evil",
        "/consolex",
        "%5C%5Cevil",
        "%0d%0a",
    ] {
        let mut ada = company.walker();
        let back = ada.there_and_back("ada", next);
        let page = String::from_utf8(ada.come(&back).body).unwrap();
        assert!(page.contains("content=\"0;url=/console\""), "{next}: {page}");
    }
    let start = format!("{}/console/oidc/start?with=acme", company.home);
    for from in ["cross-site", "same-site"] {
        let mut ada = company.walker();
        let answer = ada.ask("GET", &start, &[("sec-fetch-site", from)], "", true);
        assert_eq!((answer.header("location"), ada.shown().len()), (Some("/console/sign-in"), 0), "{from}");
    }
    for from in ["same-origin", "none"] {
        let answer = company.walker().ask("GET", &start, &[("sec-fetch-site", from)], "", false);
        assert!(answer.header("location").unwrap().starts_with("http://localhost:"), "{from}");
    }
    // By another name of this machine the cookie would be of no use.
    let answer = company.running.request("GET", "/console/oidc/start?with=acme", &[], "");
    refused(&answer, 400, &format!("works at {} only", company.home));
    let answer = company.walker().page("/console/oidc/start?with=another");
    refused(&answer, 404, "nobody signs in with a provider of this name");
}

#[test]
fn what_proves_a_sign_in_opens_nothing_else() {
    let company = Company::new();
    let (mut root, _) = company.signed_in("root");
    let token = root.token();
    let out = root.post("/console/sign-out", &format!("token={token}"));
    let page = String::from_utf8(out.body).unwrap();
    let proof = page.split_once("id_token_hint=").unwrap().1.split(['"', '&']).next().unwrap();
    let bearer = format!("Bearer {proof}");
    for path in ["/v1/decisions", "/v1/integrations", "/v1/status"] {
        let answer = company.running.request("GET", path, &[("authorization", &bearer)], "");
        assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("token_audience")), "{path}");
    }
    // And it cannot be declared so.
    let wrong = Sandbox::with(
        0,
        "auth:\n  oidc:\n    a: { issuer: \"https://a.example\", audience: [console], claim: groups, \
        grants: { x: [read] }, console: { client: console, url: \"https://b.example\" } }\n",
    );
    let said = String::from_utf8(wrong.run(&["check"]).stdout).unwrap()
        + &String::from_utf8(wrong.run(&["check"]).stderr).unwrap();
    assert!(said.contains("console_audience"), "{said}");
}

#[test]
fn a_provider_that_is_gone_is_told_of_and_keeps_no_key_out() {
    let mut company = Company::new();
    let mut ada = company.walker();
    let back = ada.there_and_back("ada", "/console");
    company.issuer.kill();
    refused(&ada.come(&back), 503, "cannot be reached");
    // A process that never asked it.
    let listen = company.home.trim_start_matches("http://").to_owned();
    assert!(company.running.stop().success());
    let key = company.sandbox.key("ada", &["read"]);
    let mut command = tendon(&["up", "--listen", &listen, "--project"]);
    let _running = Running::of(command.arg(company.sandbox.path("")).env("OIDC_SECRET", SECRET));
    let mut ada = Walker::new(&company.home);
    refused(&ada.page("/console/oidc/start?with=acme"), 503, "a key opens the console meanwhile");
    assert_eq!(ada.post("/console/sign-in", &format!("key={key}")).status, 303);
    // Back again.
    let port = company.issuer.address.port();
    let _back = Issuer::of_people(port, &company.home);
    let mut vera = Walker::new(&company.home);
    eventually("it is back", || vera.page("/console/oidc/start?with=acme").status == 303);
    let back = vera.there_and_back("vera", "/console");
    assert_eq!(vera.come(&back).status, 200);
}

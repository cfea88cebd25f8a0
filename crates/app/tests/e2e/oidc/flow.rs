//! The way there and back, for each kind of client; roles; what is recorded; the way out.

use super::{Company, SECRET, told};
use crate::{
    planted::files_with,
    support::{Answer, MODEL, eventually},
};

fn page(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

#[test]
fn somebody_signs_in_over_another_site_and_out_again() {
    let company = Company::new();
    let mut ada = company.walker();
    let door = page(&ada.page("/console/sign-in?next=/console/decisions"));
    let link = "href=\"/console/oidc/start?with=acme&amp;next=%2Fconsole%2Fdecisions\">Sign in with Acme</a>";
    assert!(door.contains(link), "{door}");
    // There: nothing goes along that could be used by whoever reads it.
    let answer = ada.page("/console/oidc/start?with=acme&next=%2Fconsole%2Fdecisions%3Fband%3Dred");
    let there = answer.header("location").unwrap();
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("tendon_away_") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=600"),
        "{cookie}"
    );
    for part in
        ["response_type=code", "code_challenge_method=S256", "scope=openid%20profile%20groups&", "nonce=", "state="]
    {
        assert!(there.contains(part), "{part}: {there}");
    }
    assert!(!there.contains(cookie.split(['=', ';']).nth(1).unwrap()), "the cookie's secret stays here");
    // Back: the session's cookie is strict, so a page of this origin goes on.
    let back = ada.follow(there, "ada");
    let met = ada.come(&back);
    assert_eq!(met.status, 200, "{}", told(&met));
    assert!(
        page(&met).contains("http-equiv=\"refresh\" content=\"0;url=/console/decisions?band=red\""),
        "{}",
        page(&met)
    );
    let cookies = ada.shown();
    assert!(cookies.len() == 1 && cookies[0].starts_with("tendon_session="), "{cookies:?}");
    let overview = page(&ada.page("/console"));
    let id = overview.split_once("The record calls you <code>").unwrap().1.split('<').next().unwrap();
    assert!(id.starts_with("oidc:acme:") && id.len() == 34, "{id}");
    assert!(overview.contains("Ada &lt;b&gt;Lovelace") && overview.contains(">operator<"), "{overview}");
    assert_eq!(ada.page("/console/keys").status, 403);
    // Who is signed in does not leave once more, and who comes back once more is there already.
    assert_eq!(
        ada.page("/console/oidc/start?with=acme&next=/console/letters").header("location"),
        Some("/console/letters")
    );
    assert_eq!(ada.get(&back).header("location"), Some("/console"));

    // Out, here and at the provider.
    let out = ada.token();
    let answer = ada.post("/console/sign-out", &format!("token={out}"));
    let text = page(&answer);
    assert!(!text.contains("class=\"side\"") && ada.shown().is_empty(), "{text}");
    let to = text.split_once("content=\"0;url=").unwrap().1.split('"').next().unwrap().replace("&amp;", "&");
    assert!(to.contains("/session/end?client_id=tendon-console&") && to.contains("&id_token_hint=ey"), "{to}");
    let back = ada.follow(&to, "ada");
    assert!(page(&ada.get(&back)).contains("You are signed out."), "{back}");
    assert_eq!(ada.page("/console").status, 303);
    // The provider asks again who it is.
    let back = ada.there_and_back("vera", "/console");
    assert_eq!(ada.come(&back).status, 200);
    assert!(page(&ada.page("/console")).contains(">viewer<"));

    // Neither the log nor a file knows a name, a secret, or a token.
    let planted = ["Lovelace", SECRET, "secret%2Bof", "code_verifier"];
    assert_eq!(files_with(&company.sandbox.path(".tendon"), &planted), [""; 0]);
    let log = company.running.finish().join("\n");
    assert!(log.contains("somebody signed in to the console"), "{log}");
    assert!(!planted.iter().chain(&["eyJ", "?code"]).any(|planted| log.contains(planted)), "{log}");
}

#[test]
fn people_do_what_their_role_allows_and_are_recorded_without_a_name() {
    let company = Company::new();
    company.sandbox.write("models/lead-score/v2.txt", &format!("{MODEL}\n"));
    company.sandbox.json(&["models", "promote", "lead-score", "v1"]);
    // No page and no change beyond what the provider says of somebody.
    let (mut vera, _) = company.signed_in("vera");
    let token = vera.token();
    assert!(page(&vera.page("/console")).contains(">viewer<"));
    assert_eq!(vera.post("/console/letters/retry", &format!("token={token}&letter=none")).status, 403);
    let (mut rita, met) = company.signed_in("rita");
    assert!(page(&met).contains("0;url=/console/reviews"), "{}", page(&met));
    assert_eq!((rita.page("/console/reviews").status, rita.page("/console").status), (200, 403));
    for nobody in ["nora", "dora", "stranger"] {
        let (mut walker, met) = company.signed_in(nobody);
        assert_eq!(met.status, 403, "{nobody}");
        assert!(told(&met).contains("nothing that it says of you gives you a role"), "{nobody}: {}", told(&met));
        assert_eq!(walker.page("/console").status, 303, "{nobody}");
    }

    // A change is recorded with an id that is always the same one's, and names nobody.
    let promote = |version: &str| {
        let (mut root, _) = company.signed_in("root");
        let form = format!("token={}&model=lead-score&version={version}", root.token());
        assert_eq!(root.post("/console/models/promote", &form).status, 303);
    };
    promote("v2");
    promote("v1");
    let shown = company.sandbox.json(&["models", "show", "lead-score"]);
    let by: Vec<_> = shown["history"].as_array().unwrap().iter().filter_map(|one| one["by"].as_str()).collect();
    let people: Vec<_> = by.iter().filter(|by| by.starts_with("oidc:acme:")).collect();
    assert!(people.len() == 2 && people[0] == people[1] && people[0].len() == 34, "{shown}");
    assert_eq!(files_with(&company.sandbox.path(".tendon"), &["Lovelace"]), [""; 0]);
}

#[test]
fn each_kind_of_client_proves_itself_as_its_provider_wants() {
    let public = Company::with(SECRET, |text| {
        let lines = text.lines().filter(|line| !line.contains("secret:"));
        lines
            .map(|line| format!("{line}\n"))
            .collect::<String>()
            .replace("client: tendon-console", "client: tendon-console-public")
    });
    assert_eq!(public.signed_in("ada").1.status, 200);
    let post = Company::with(SECRET, |text| text.replace("client: tendon-console", "client: tendon-console-post"));
    post.issuer.ask("GET", "/test/post", "");
    let met = post.signed_in("ada").1;
    assert_eq!(met.status, 200, "{}", told(&met));
    // A secret that the provider does not know.
    let wrong = Company::with("another", |text| text);
    let met = wrong.signed_in("ada").1;
    assert_eq!(met.status, 503);
    assert!(told(&met).contains("does not accept this console as one of its clients"), "{}", told(&met));
}

#[test]
fn a_session_ends_with_what_it_stands_on() {
    let company = Company::new();
    let (mut ada, _) = company.signed_in("ada");
    assert_eq!(ada.page("/console").status, 200);
    let text = std::fs::read_to_string(company.sandbox.path("tendon.yaml")).unwrap();
    // Another role, then none.
    company.sandbox.write("tendon.yaml", &text.replace("operators: [operate]", "operators: [read]"));
    eventually("the role is another", || page(&ada.page("/console")).contains(">viewer<"));
    company.sandbox.write("tendon.yaml", &text.replace("operators: [operate]", "leaders: [operate]"));
    eventually("the session ends", || ada.page("/console").status == 303);
    company.sandbox.write("tendon.yaml", &text);
    let (mut vera, _) = company.signed_in("vera");
    eventually("the role is back", || company.signed_in("ada").1.status == 200);
    assert_eq!((ada.page("/console").status, vera.page("/console").status), (303, 200), "ended is ended");
    // The provider goes: who is signed in stays.
    let mut company = company;
    company.issuer.kill();
    assert_eq!(vera.page("/console").status, 200);
    assert!(company.running.stop().success());
}

/// Where providers write what somebody is: a list within a claim, also of a client whose name has dots, and a claim whose name is an
/// address.
#[test]
fn roles_are_found_where_providers_write_them() {
    for claim in ["realm_access.roles", "resource_access.my.client.roles", "https://acme.example/roles"] {
        let company = Company::with(SECRET, |text| text.replace("claim: groups", &format!("claim: \"{claim}\"")));
        let (mut ada, met) = company.signed_in("ada");
        assert_eq!(met.status, 200, "{claim}: {}", told(&met));
        assert!(page(&ada.page("/console")).contains(">operator<"), "{claim}");
        let (_, met) = company.signed_in("nora");
        assert_eq!(met.status, 403, "{claim}: {}", told(&met));
    }
}

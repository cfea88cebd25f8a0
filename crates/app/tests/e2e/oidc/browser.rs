//! All of it in a real browser, which knows the rules of cookies, redirects and policies better than a test.

use serde_json::json;

use super::Company;
use crate::support::{MODEL, browse};

#[test]
fn a_browser_signs_in_over_another_site_and_leaves_nothing_behind() {
    let company = Company::new();
    company.sandbox.write("models/lead-score/v2.txt", &format!("{MODEL}\n"));
    company.sandbox.json(&["models", "promote", "lead-score", "v1"]);
    let issuer = format!("http://localhost:{}", company.issuer.address.port());
    let seen = browse(&company.running, "oidc.mjs", &issuer, "oidc-pictures", &[]);
    for nothing in ["console", "outside", "axe", "wide"] {
        assert_eq!(seen[nothing], json!([]), "{nothing}");
    }
    for script in ["with", "without"] {
        let of = &seen[script];
        assert_eq!(of["first"], "/console/decisions", "{script}: where the link led");
        assert_eq!(of["who"], "Root <b>Lovelace</b> admin", "{script}");
        assert_eq!(of["cookies"], json!([["tendon_session", "Strict", true]]), "{script}");
        assert_eq!(of["viewer"], json!([false, 403]), "{script}: keys are for admins");
        assert!(of["id"].as_str().unwrap().starts_with("oidc:acme:"), "{seen}");
        assert!(of["told"].as_str().unwrap().contains("is champion of lead-score now"), "{seen}");
        assert_eq!(of["out"], "You are signed out.", "{script}");
        assert_eq!(of["after"], json!([]), "{script}: cookies of the console");
        let back = of["back"].as_array().unwrap();
        assert!(!back.is_empty() && back.iter().all(|title| title == "Sign in to the console"), "{script}: {back:?}");
        assert_eq!(of["asked"], true, "{script}: the provider asks again");
    }
    assert_eq!(seen["norole"], 403);
    let shown = company.sandbox.json(&["models", "show", "lead-score"]);
    let by = shown["history"].as_array().unwrap().iter().filter(|one| one["by"] == seen["with"]["id"]).count();
    assert_eq!((by, &seen["with"]["id"]), (2, &seen["without"]["id"]), "{shown}");
}

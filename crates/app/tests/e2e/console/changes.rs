//! Changes made in the console are those of the commands, in force at once and recorded with the name of whoever made them.

use super::{Visitor, hold_all, person, sign_in, to};
use crate::support::{MODEL, Sandbox, body, eventually};

#[test]
fn a_change_is_made_by_a_person_and_told_once() {
    let sandbox = Sandbox::new(2);
    sandbox.crm.open().execute_batch("UPDATE leads SET age = 'forty' WHERE id = 2").unwrap();
    sandbox.write("models/lead-score/v2.txt", &format!("{MODEL}\n"));
    sandbox.json(&["models", "promote", "lead-score", "v1"]);
    hold_all(&sandbox);
    let key = sandbox.key("ada", &["admin"]);
    let running = sandbox.up();
    let ada = Visitor::new(&running, &key);
    let token = ada.token();
    let change = |path: &str, form: &str| ada.post(path, &format!("token={token}&{form}"));
    let told = |answer: &crate::support::Answer, text: &str| {
        assert_eq!(answer.status, 303, "{}", String::from_utf8_lossy(&answer.body));
        assert!(ada.page(to(answer)).contains(text), "{text}");
        assert!(!ada.page(to(answer)).contains(text), "told twice: {text}");
    };

    // Models: the alias moves, and back, with the name of who moved it.
    told(&change("/console/models/promote", "model=lead-score&version=v2"), "v2 is champion of lead-score now.");
    let shown = sandbox.json(&["models", "show", "lead-score"]);
    assert_eq!(shown["aliases"]["champion"], "v2", "{shown}");
    let who = person("ada", &key);
    let by =
        |shown: &serde_json::Value| shown["history"].as_array().unwrap().iter().filter(|one| one["by"] == *who).count();
    assert_eq!(by(&shown), 1, "{shown}");
    assert!(change("/console/models/promote", "model=lead-score&version=v9").status >= 400);
    told(&change("/console/models/rollback", "model=lead-score&alias=champion"), "names what it named before");
    let shown = sandbox.json(&["models", "show", "lead-score"]);
    assert_eq!((&shown["aliases"]["champion"], by(&shown)), (&"v1".into(), 2), "{shown}");

    // Another admin of the same name is told so, and is another one to the record.
    let made = String::from_utf8(change("/console/keys", "name=ada&scopes=admin").body).unwrap();
    let (id, second) = (key.split('_').nth(1).unwrap(), &made[made.find("tdn_").unwrap()..][..66]);
    assert!(made.contains(&format!("The name is that of <code>{id}</code> in force, too")), "{made}");
    let other = Visitor::new(&running, second);
    let form = format!("token={}&model=lead-score&version=v2", other.token());
    assert_eq!(other.post("/console/models/promote", &form).status, 303);
    let shown = sandbox.json(&["models", "show", "lead-score"]);
    let last = person("ada", second);
    let history = shown["history"].as_array().unwrap();
    assert_eq!((history.iter().filter(|one| one["by"] == *last).count(), by(&shown)), (1, 2), "{shown}");

    // Keys: shown once, good at once, revoked at once.
    let made = String::from_utf8(change("/console/keys", "name=bob&scopes=read+decide:*").body).unwrap();
    let bob = &made[made.find("tdn_").unwrap()..][..66];
    assert!(!ada.page("/console/keys").contains(bob), "a key is shown again");
    assert_eq!(running.decide(bob, &[], &body(3)).unwrap().status, 200);
    let visitor = Visitor::new(&running, bob);
    no_such_key(&change, &ada);
    let id = bob.split('_').nth(1).unwrap();
    told(&change("/console/keys/revoke", &format!("key={id}")), "The key of bob is revoked.");
    assert_eq!((to(&visitor.get("/console")), sign_in(&running, bob).status), ("/console/sign-in?ended=1", 401));

    // Reviews: the verdict stands, with who gave it.
    let bearer = format!("Bearer {key}");
    let asked = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let waits = running.request("POST", "/v1/integrations/desk/decisions", &asked, &body(9)).json();
    let path = format!("/console/reviews/{}", waits["id"].as_str().unwrap());
    assert!(ada.page("/console/reviews").contains(&path));
    assert_eq!(change(&path, "verdict=override&output=much").status, 400);
    told(&change(&path, "verdict=override&output=0.5&note=looked+at"), "was overridden");
    let review = running.request("GET", &path.replace("/console", "/v1"), &asked, "").json();
    assert_eq!(
        (&review["verdict"]["by"], &review["verdict"]["note"]),
        (&"ada".into(), &"looked at".into()),
        "{review}"
    );

    // Dead letters: what is mended goes on.
    let letters = || sandbox.json(&["letters", "list"]).as_array().unwrap().clone();
    eventually("the letter is there", || letters().len() == 1);
    let letter = letters()[0]["id"].as_str().unwrap().to_owned();
    sandbox.crm.open().execute_batch("UPDATE leads SET age = 40 WHERE id = 2").unwrap();
    told(&change("/console/letters/retry", &format!("letter={letter}")), &format!("Letter {letter} is tried again"));
    eventually("the row is scored", || sandbox.crm.all_scored());
    assert_eq!(change("/console/letters/retry", &format!("letter={letter}")).status, 404);
}

/// A key that cannot be is not made; what was typed stays.
fn no_such_key(change: &dyn Fn(&str, &str) -> crate::support::Answer, ada: &Visitor<'_>) {
    for (wrong, said) in [
        ("scopes=everything", "value=\"everything\""),
        ("scopes=read&days=0", "a key that ends at once never works"),
        ("scopes=read&days=soon", "the number of days is no whole number"),
    ] {
        let refused = change("/console/keys", &format!("name=eve&{wrong}"));
        let page = String::from_utf8(refused.body).unwrap();
        assert_eq!(refused.status, 422, "{page}");
        assert!(page.contains(said) && page.contains("value=\"eve\"") && !page.contains("tdn_"), "{said}: {page}");
    }
    assert!(!ada.page("/console/keys").contains("\"row\">eve"), "no key was made");
}

//! Reviews over HTTP: what nothing else answered is shown to whoever may answer it, answered once, and read by who asked.

use serde_json::{Value as Json, json};

use crate::{
    console::Visitor,
    support::{Answer, Running, Sandbox, body, eventually},
};

/// The model never gives a usable number, so a person has to.
fn sandbox(leads: i64, human: &str) -> Sandbox {
    let sandbox = Sandbox::new(leads);
    let fallback = format!("output: {{ range: [0.9, 1] }}\nfallback: {{ human: {human} }}");
    let text = include_str!("support/lead-score.yaml")
        .replace("fallback: { default: 0.05 }", &fallback)
        .replace(">= 0.1", ">= 0.93")
        .replace(">= 0.055", ">= 0.905");
    sandbox.write("integrations/lead-score.yaml", &text);
    sandbox
}

fn ask(running: &Running, key: &str, method: &str, path: &str, text: &str) -> Answer {
    let bearer = format!("Bearer {key}");
    running.request(method, path, &[("authorization", &bearer), ("content-type", "application/json")], text)
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
}

/// Lists show a verdict as the decision's own address does.
fn lists_show_it(sandbox: &Sandbox, running: &Running, reader: &str, id: &str) {
    let row = ask(running, reader, "GET", "/v1/decisions?band=green", "").json()["decisions"][0].clone();
    assert_eq!(
        (&row["id"], &row["review"]["state"], &row["review"]["output"]),
        (&json!(id), &json!("overridden"), &json!(0.95))
    );
    assert_eq!(row["decision"]["review"]["state"], "pending", "as it was answered");
    let query = "{ decisions { nodes { output band review { state } } } }";
    let asked = json!({ "query": query }).to_string();
    let shown = ask(running, reader, "POST", "/graphql", &asked).json();
    let node = json!({ "output": 0.95, "band": "green", "review": { "state": "overridden" } });
    assert_eq!(shown["data"]["decisions"]["nodes"][0], node, "{shown}");
    let listed = sandbox.json(&["decisions", "list"])[0].clone();
    assert_eq!(
        (&listed["review"], &listed["output"], &listed["band"]),
        (&json!("overridden"), &json!(0.95), &json!("green"))
    );
}

fn unknown_ones_are_told(running: &Running, desk: &str) {
    let unknown = "/v1/reviews/018f0000-0000-7000-8000-000000000000";
    assert_eq!(code(&ask(running, desk, "GET", unknown, "")), (404, "review_not_found".into()));
    assert_eq!(code(&ask(running, desk, "POST", &format!("{unknown}/reject"), "")), (404, "review_not_found".into()));
    assert_eq!(code(&ask(running, desk, "GET", "/v1/reviews/7", "")), (400, "not_an_id".into()));
}

#[test]
fn a_person_answers_and_who_asked_reads_it() {
    let sandbox = sandbox(0, "{}");
    let keys = [("caller", "decide:*"), ("reader", "read"), ("desk", "review:lead-score"), ("admin", "admin")];
    let [caller, reader, desk, admin] = keys.map(|(name, scope)| sandbox.key(name, &[scope]));
    let running = sandbox.up();
    let keyed = ("idempotency-key", "once");
    let asked = running.decide(&caller, &[keyed], &body(7)).unwrap();
    let decision = asked.json();
    assert_eq!((asked.status, decision["degraded"].as_str(), &decision["output"]), (202, Some("human"), &Json::Null));
    assert_eq!(decision["review"]["state"], "pending", "{decision}");
    let id = decision["id"].as_str().unwrap().to_owned();
    let address = format!("/v1/decisions/{id}");
    assert_eq!((asked.header("location"), asked.header("retry-after")), (Some(&*address), Some("60")));
    let look = || ask(&running, &caller, "GET", &address, "");
    assert_eq!((look().status, look().json()["review"]["state"].as_str()), (202, Some("pending")));
    let again = running.decide(&caller, &[keyed], &body(7)).unwrap();
    assert_eq!(
        (again.status, again.header("idempotent-replayed"), &again.json()["id"]),
        (202, Some("true"), &json!(id))
    );

    // Personal input has a scope of its own.
    let review = format!("/v1/reviews/{id}");
    for key in [&caller, &reader] {
        for (method, path) in [("GET", "/v1/reviews"), ("GET", &*review), ("POST", &*format!("{review}/reject"))] {
            assert_eq!(code(&ask(&running, key, method, path, "")), (403, "scope_missing".into()), "{method} {path}");
        }
    }
    let page = ask(&running, &desk, "GET", "/v1/reviews", "").json();
    assert_eq!((&page["reviews"][0]["id"], &page["next"]), (&json!(id), &Json::Null), "{page}");
    assert_eq!((&page["reviews"][0]["subject"], &page["reviews"][0]["input"]), (&json!("7"), &Json::Null));
    let shown = ask(&running, &desk, "GET", &review, "").json();
    assert_eq!(shown["input"]["job"], "management", "{shown}");
    assert!(shown["why"].as_str().unwrap().contains("no other rung answered"), "{shown}");

    let post = |key: &str, verb: &str, text: &str| ask(&running, key, "POST", &format!("{review}/{verb}"), text);
    for (verb, text, expected) in [
        ("override", "{\"output\": 0.5}", (400, "output_out_of_range")),
        ("override", "{}", (400, "verdict_malformed")),
        ("override", "{\"output\": \"high\"}", (400, "verdict_malformed")),
        ("override", "{\"output\": 0.95, \"who\": \"me\"}", (400, "verdict_malformed")),
        ("reject", "{\"output\": 0.95}", (400, "verdict_malformed")),
        ("approve", "", (409, "nothing_to_approve")),
    ] {
        assert_eq!(code(&post(&desk, verb, text)), (expected.0, expected.1.into()), "{verb} {text}");
    }
    let given = post(&desk, "override", "{\"output\": 0.95, \"note\": \"called her\", \"by\": \"Ada\"}");
    assert_eq!(given.status, 200, "{}", given.json());
    let verdict = given.json()["verdict"].clone();
    let caller_id = verdict["caller"].as_str().unwrap().to_owned();
    assert_eq!(
        (&verdict["band"], &verdict["by"], &verdict["note"]),
        (&json!("green"), &json!("Ada"), &json!("called her"))
    );
    assert!(!caller_id.is_empty() && caller_id != "Ada", "who it was is told by the key");
    for key in [&desk, &admin] {
        assert_eq!(code(&post(key, "reject", "")), (409, "review_closed".into()));
    }
    let twice = post(&desk, "override", "{\"output\": 0.95, \"note\": \"called her\", \"by\": \"Ada\"}");
    assert_eq!((twice.status, &twice.json()["verdict"]), (200, &verdict), "sent twice, it is one verdict");
    assert!(ask(&running, &desk, "GET", "/v1/reviews", "").json()["reviews"].as_array().unwrap().is_empty());
    assert_eq!(ask(&running, &desk, "GET", &review, "").json()["state"], "overridden");

    lists_show_it(&sandbox, &running, &reader, &id);

    // Who asked is told the answer, and not who gave it.
    let found = look();
    assert_eq!((found.status, &found.json()["review"]["output"]), (200, &json!(0.95)));
    assert_eq!(found.json()["decision"]["review"]["state"], "pending", "the decision stays as it was answered");
    assert!(!String::from_utf8_lossy(&found.body).contains("Ada"));
    let again = running.decide(&caller, &[keyed], &body(7)).unwrap();
    let answered = again.json();
    assert_eq!((again.status, &answered["output"], &answered["band"]), (200, &json!(0.95), &json!("green")));
    assert_eq!(answered["review"]["state"], "overridden");
    unknown_ones_are_told(&running, &desk);
    running.stop();
    sandbox.verified_entries();
}

#[test]
fn what_waits_is_listed_page_by_page_and_no_more_than_may() {
    let sandbox = sandbox(5, "{ most: 4, within: 1ms }");
    let (desk, caller) = (sandbox.key("desk", &["review:*"]), sandbox.key("caller", &["decide:*"]));
    let running = sandbox.up();
    let list = |path: &str| ask(&running, &desk, "GET", path, "");
    let ids = |page: &Json| -> Vec<String> {
        page["reviews"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    eventually("as many wait as may", || ids(&list("/v1/reviews").json()).len() == 4);
    eventually("the fifth is a letter", || sandbox.json(&["letters", "list"]).as_array().unwrap().len() == 1);
    assert_eq!(sandbox.json(&["letters", "list"])[0]["code"], "too_many_reviews");
    let refused = running.decide(&caller, &[], &body(9)).unwrap();
    assert_eq!((code(&refused), refused.json()["retryable"].as_bool()), ((503, "too_many_reviews".into()), Some(true)));
    let (mut paged, mut next) = (Vec::new(), Some("/v1/reviews?limit=3&integration=lead-score".to_owned()));
    while let Some(path) = next {
        let page = list(&path);
        paged.extend(ids(&page.json()));
        next = page.header("link").map(|link| link[1..link.find('>').unwrap()].to_owned());
    }
    assert_eq!(paged, ids(&list("/v1/reviews").json()));
    assert!(ids(&list("/v1/reviews?integration=other").json()).is_empty());
    assert_eq!(list("/v1/reviews?limit=0").status, 400);
    let text = String::from_utf8(running.request("GET", "/metrics", &[], "").body).unwrap();
    for line in ["tendon_reviews_pending 4", "tendon_reviews_overdue 4"] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in {text}");
    }
    assert!(text.contains("tendon_reviews_oldest_seconds "), "{text}");
    // A place is free again, and the letter's row takes it.
    assert_eq!(ask(&running, &desk, "POST", &format!("/v1/reviews/{}/reject", paged[0]), "").status, 200);
    let letter = sandbox.json(&["letters", "list"])[0]["id"].as_str().unwrap().to_owned();
    sandbox.json(&["letters", "retry", &letter]);
    eventually("it waits in the free place", || ids(&list("/v1/reviews").json()).len() == 4);
    assert!(
        sandbox.crm.open().query_row("SELECT count(score) = 0 FROM leads", [], |row| row.get::<_, bool>(0)).unwrap()
    );
}

/// A row has no names of its own: they are those of the plan that it was read under, whatever is in force when somebody looks.
#[test]
fn a_row_that_was_read_under_an_older_plan_keeps_its_names() {
    let sandbox = sandbox(1, "{}");
    let (desk, admin) = (sandbox.key("desk", &["review:*"]), sandbox.key("ada", &["admin"]));
    let running = sandbox.up();
    let ada = Visitor::new(&running, &admin);
    let waiting = || ask(&running, &desk, "GET", "/v1/reviews", "").json()["reviews"].clone();
    eventually("it waits", || waiting().as_array().unwrap().len() == 1);
    let id = waiting()[0]["id"].as_str().unwrap().to_owned();
    let look = || ask(&running, &desk, "GET", &format!("/v1/reviews/{id}"), "").json()["input"].clone();
    let first = look();
    assert_eq!((&first["age"], &first["job"]), (&json!(21), &json!("technician")), "{first}");
    let plan = || running.part("configuration")["detail"]["plan"].clone();
    let path = sandbox.path("integrations/lead-score.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    // One change that has nothing to do with the input; and one after which the age is no field any more.
    let other = text.replace("range: [0.9, 1]", "range: [0.901, 1]");
    let fewer = text.replace("{ from: crm.leads }", "{ from: crm.leads, features: { age: input.previous } }");
    for changed in [other, fewer] {
        assert_ne!(changed, text);
        let before = plan();
        std::fs::write(&path, &changed).unwrap();
        eventually("the change is in force", || plan() != before);
        assert_eq!(look(), first);
        assert_eq!(sandbox.json(&["reviews", "show", &id])["input"], first);
        for page in ["decisions", "reviews"] {
            let page = ada.page(&format!("/console/{page}/{id}"));
            assert!(page.contains(">age</th><td") && page.contains(">job</th><td"), "{page}");
        }
    }
    // The last plan does read another row: without an age.
    sandbox.crm.add(2, 1);
    let newer = || waiting().as_array().unwrap().iter().find(|one| one["subject"] == "2").cloned();
    eventually("the new lead waits", || newer().is_some());
    let newer = format!("/v1/reviews/{}", newer().unwrap()["id"].as_str().unwrap());
    let newer = ask(&running, &desk, "GET", &newer, "").json()["input"].clone();
    assert!(newer["job"] == "technician" && newer.get("age").is_none(), "{newer}");
    // Only without that plan there are no names.
    assert!(running.stop().success());
    let records = rusqlite::Connection::open(sandbox.path(".tendon/records.db")).unwrap();
    records.execute("DELETE FROM plans", []).unwrap();
    let bare = sandbox.json(&["reviews", "show", &id])["input"].clone();
    assert_eq!(bare.as_array().unwrap().len(), first.as_object().unwrap().len(), "{bare}");
}

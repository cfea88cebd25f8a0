//! Dead letters over HTTP: listed page by page, read by whom they concern, tried again by whoever may.

use serde_json::{Value as Json, json};

use crate::support::{Answer, Running, Sandbox, eventually};

fn ask(running: &Running, key: &str, method: &str, path: &str, more: &[(&str, &str)], body: &str) -> Answer {
    let bearer = format!("Bearer {key}");
    let headers = [&[("authorization", bearer.as_str()), ("content-type", "application/json")], more].concat();
    running.request(method, path, &headers, body)
}

fn ids(page: &Json) -> Vec<String> {
    let letters = page["letters"].as_array().unwrap().iter();
    letters.map(|letter| letter["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn letters_are_listed_page_by_page_and_tried_again() {
    let sandbox = Sandbox::new(6);
    sandbox.crm.open().execute_batch("UPDATE leads SET age = 'forty' WHERE id IN (2, 4, 6)").unwrap();
    let (reader, admin) = (sandbox.key("reader", &["read"]), sandbox.key("admin", &["admin"]));
    let running = sandbox.up();
    let get = |path: &str| ask(&running, &reader, "GET", path, &[], "");
    let list = || ids(&get("/v1/letters").json());
    eventually("all three are there", || list().len() == 3);
    let whole = get("/v1/letters");
    assert!(!String::from_utf8_lossy(&whole.body).contains("forty"), "a value stands in a list");
    assert_eq!(whole.json()["letters"][0]["code"], "wrong_type", "{}", whole.json());
    let tag = whole.header("etag").unwrap();
    let again = ask(&running, &reader, "GET", "/v1/letters", &[("if-none-match", tag)], "");
    assert_eq!((again.status, again.body.len()), (304, 0));

    let (mut paged, mut next) = (Vec::new(), Some("/v1/letters?limit=1".to_owned()));
    while let Some(path) = next {
        let page = get(&path);
        let found = ids(&page.json());
        assert_eq!((page.status, found.len()), (200, 1));
        assert!(!paged.contains(&found[0]), "a page came again");
        paged.extend(found);
        next = page.header("link").map(|link| link[1..link.find('>').unwrap()].to_owned());
    }
    assert_eq!(paged, list());

    let retry = |key: &str, letter: &str| ask(&running, key, "POST", &format!("/v1/letters/{letter}/retry"), &[], "");
    assert_eq!(retry(&reader, &paged[0]).status, 403);
    let before = sandbox.decisions().len();
    let queued = retry(&admin, &paged[0]);
    assert_eq!((queued.status, &queued.json()["letter"]), (202, &paged[0].as_str().into()), "{}", queued.json());
    // What is still wrong is wrong again: another decision, another letter; the old one cannot be tried twice.
    eventually("it was asked again", || sandbox.decisions().len() == before + 1);
    eventually("it is a letter again", || list().len() == 3 && !list().contains(&paged[0]));
    assert_eq!((retry(&admin, &paged[0]).status, retry(&admin, "none").status), (404, 400));

    // The same over GraphQL.
    let graphql = |key: &str, query: &str, letter: &str| {
        let body = json!({ "query": query, "variables": { "id": letter } }).to_string();
        ask(&running, key, "POST", "/graphql", &[], &body).json()
    };
    let connection = "{ letters(first: 2) { nodes { id } pageInfo { hasNextPage endCursor } } }";
    let page = graphql(&reader, connection, "");
    let (nodes, end) = (&page["data"]["letters"]["nodes"], &page["data"]["letters"]["pageInfo"]["endCursor"]);
    assert_eq!(nodes, &json!([{ "id": paged[1] }, { "id": paged[2] }]), "{page}");
    let rest =
        graphql(&reader, &format!("{{ letters(after: {end}) {{ nodes {{ id }} pageInfo {{ hasNextPage }} }} }}"), "");
    assert_eq!(rest["data"]["letters"]["nodes"][0]["id"], list()[2].as_str(), "{rest}");
    let mutation = "mutation ($id: ID!) { retryLetter(id: $id) { letter state } }";
    let queued = graphql(&admin, mutation, &paged[1]);
    assert_eq!(queued["data"]["retryLetter"], json!({ "letter": paged[1], "state": "queued" }), "{queued}");
    eventually("that was asked again, too", || sandbox.decisions().len() == before + 2);

    // What was mended goes on, and is no letter any more.
    let touched =
        "UPDATE leads SET age = 40, updated_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now') WHERE id IN (2, 4, 6)";
    eventually("all are letters again", || list().len() == 3);
    sandbox.crm.open().execute_batch(touched).unwrap();
    list().iter().for_each(|letter| assert_eq!(retry(&admin, letter).status, 202));
    eventually("all leads are scored", || sandbox.crm.all_scored());
    eventually("no letter is left", || list().is_empty());
}

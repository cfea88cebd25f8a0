//! GraphQL operations, through HTTP: parsed, validated, judged for depth and cost, run. Every answer is data, errors or both; what is
//! refused costs no memory to speak of, however often fragments and aliases multiply it.

use super::{PERSON, Run, Target, Verdict, about, http, kind};

pub(super) const TARGET: Target = Target {
    name: "graphql",
    about: "GraphQL operations and their limits, through HTTP",
    words: &[
        "query ",
        "mutation ",
        "{ ",
        " }",
        "fragment f on Query { ",
        "...f ",
        "... on Query { ",
        "@skip(if: true) ",
        "@include(if: $x) ",
        "decisions(first: 500) ",
        "nodes { ",
        "edges { node { ",
        "__schema { types { name fields { name type { ofType { name } } } } }",
        "__typename ",
        "a: ",
        "$input: JSON! ",
        "(id: \"",
        "decide(integration: \"lead-score\", input: {",
        "decideLeadScore(input: {",
        "id: 1",
        "explanation { reasons { value } } ",
        "\"\"\"",
        "\\u0000",
        "integrations { input } ",
        "letters { nodes { id } } ",
    ],
    memory: (48 << 20, 4000),
    short: 2500,
    open: || Box::new(GraphQl(http::Front::open())),
};

struct GraphQl(http::Front);

impl Run for GraphQl {
    fn run(&mut self, input: &[u8]) -> Result<Verdict, String> {
        let query = String::from_utf8_lossy(input);
        let body = serde_json::json!({ "query": query, "variables": { "input": { "id": 1 }, "x": true } }).to_string();
        let head = format!(
            "POST /graphql HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer @KEY@\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        let answer = self.0.exchange(&[head.as_bytes(), body.as_bytes()].concat());
        let (status, code) = http::judge(&answer)?;
        let text = String::from_utf8_lossy(&answer);
        let document: serde_json::Value =
            text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok()).unwrap_or_default();
        let (data, errors) = (&document["data"], document["errors"].as_array());
        if status == 200 && data.is_null() && errors.is_none_or(Vec::is_empty) {
            return Err(format!("neither data nor errors: {text}"));
        }
        let errors = errors.cloned().unwrap_or_default();
        let mut codes: Vec<_> =
            errors.iter().map(|error| error["extensions"]["code"].as_str().unwrap_or_default()).collect();
        if codes.contains(&"") && !query.contains("@KEY@") {
            return Err(format!("an error without a code: {text}"));
        }
        // What the caller wrote into an operation's text may come back where its parser points at it; a value is not told.
        if errors.iter().any(|error| error["extensions"].to_string().contains(PERSON)) {
            return Err(format!("an error tells a value: {text}"));
        }
        codes.sort_unstable();
        codes.dedup();
        Ok(Verdict { kind: kind(&[&status, &code, &codes, &about(answer.len())]), taken: !data.is_null() })
    }
}

//! `/v1/reviews`: what waits for a person, and what a person says.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, request::Parts},
    response::Response,
};
use serde::Deserialize;
use tendon_engine::reviews::Verdict;
use tendon_kernel::{Error, ErrorKind, Result};

use super::{
    Api,
    answer::{self, Asked, Part},
    auth, body,
    counters::Route,
    decide,
    decisions::write,
    fresh, query,
};

/// Longest `by`, and longest `note`, in characters.
const MOST_TEXT: usize = 500;

/// The body of a verdict.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Said {
    output: Option<f64>,
    by: Option<String>,
    note: Option<String>,
}

/// Lists what waits, oldest first.
pub(super) async fn list(State(api): State<Arc<Api>>, head: Parts) -> Response {
    let asked = Asked::begin(&api, &head.headers, Route::Read);
    let found = async {
        let known = auth::caller(&head.extensions)?;
        let given = query::read(&head.uri, &["integration", "limit", "cursor"])?;
        let (integration, cursor) = (given.text("integration"), given.text("cursor"));
        let page =
            api.service.reviews(&known, integration.as_deref(), given.number("limit")?, cursor.as_deref()).await?;
        Ok((write(&page)?, page.next))
    };
    answer::listed(&api, &asked, &head, found.await)
}

/// Shows one with its input.
pub(super) async fn get(State(api): State<Arc<Api>>, id: Part, head: Parts) -> Response {
    let asked = Asked::begin(&api, &head.headers, Route::Read);
    let found = async {
        let known = auth::caller(&head.extensions)?;
        query::read(&head.uri, &[])?;
        write(&api.service.review(&known, &answer::part(id)?).await?)
    };
    let response = match found.await {
        Ok(body) => {
            let tag = fresh::tag_of(&body);
            fresh::conditional(asked.json(&api, StatusCode::OK, body), &head.headers, &tag)
        }
        Err(error) => asked.problem(&api, &error),
    };
    asked.timed(&api, response, &[])
}

/// The output stands.
pub(super) async fn approve(State(api): State<Arc<Api>>, id: Part, request: Request) -> Response {
    verdict(&api, id, request, |output| match output {
        None => Ok(Verdict::Approve),
        Some(_) => Err(malformed("approving takes no output").at("/output").hint("another output is an override")),
    })
    .await
}

/// Another output stands.
pub(super) async fn give(State(api): State<Arc<Api>>, id: Part, request: Request) -> Response {
    verdict(&api, id, request, |output| {
        output.map(Verdict::Override).ok_or_else(|| malformed("the verdict has no output").at("/output"))
    })
    .await
}

/// There is no output.
pub(super) async fn reject(State(api): State<Arc<Api>>, id: Part, request: Request) -> Response {
    verdict(&api, id, request, |output| match output {
        None => Ok(Verdict::Reject),
        Some(_) => Err(malformed("rejecting takes no output").at("/output").hint("another output is an override")),
    })
    .await
}

async fn verdict(
    api: &Arc<Api>,
    id: Part,
    request: Request,
    which: impl FnOnce(Option<f64>) -> Result<Verdict>,
) -> Response {
    let asked = Asked::begin(api, request.headers(), Route::Other);
    let done = async {
        let (head, content) = request.into_parts();
        let known = auth::caller(&head.extensions)?;
        query::read(&head.uri, &[])?;
        decide::json_only(&head.headers)?;
        let id = answer::part(id)?;
        let most = api.engine.runtime().plan().limits.body_bytes;
        let bytes = body::read(content, most, api.body_timeout).await?;
        let Said { output, by, note } = said(&bytes)?;
        write(&api.service.verdict(&known, &id, which(output)?, by, note).await?)
    };
    let response = match done.await {
        Ok(body) => asked.json(api, StatusCode::OK, body),
        Err(error) => asked.problem(api, &error),
    };
    asked.timed(api, response, &[])
}

/// Reads the body of a verdict; no body says nothing more than the address.
fn said(bytes: &[u8]) -> Result<Said> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Said::default());
    }
    // The parser's message may repeat what was sent, which is nobody else's business.
    let said: Said = serde_json::from_slice(bytes)
        .map_err(|error| malformed("the body is no verdict").private(format!("{:?}", error.classify())))?;
    for (text, at) in [(&said.by, "/by"), (&said.note, "/note")] {
        if text.as_ref().is_some_and(|text| text.chars().count() > MOST_TEXT) {
            return Err(malformed("a text of the verdict is too long")
                .at(at)
                .hint(format!("at most {MOST_TEXT} characters")));
        }
    }
    Ok(said)
}

fn malformed(message: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, "verdict_malformed", message)
        .hint(r#"send {"output": 0.7, "note": "…", "by": "…"} as JSON: `output` to override, the others as you like"#)
}

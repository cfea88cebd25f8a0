//! The embed door: a badge with the score of one subject in the page of somebody else, as a web component or in an iframe. Scripts
//! are parts of the program; what they show is asked for with a token that the page's server signed for that subject, from pages of
//! the declared origins. The gate looks at both before anything here is called. Decides nothing: it shows what is recorded.

use std::sync::{Arc, LazyLock};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};
use tendon_kernel::{Error, ErrorKind, Id, Result};

use crate::{
    api::{
        Api,
        answer::{self, Asked},
        counters::Route,
        fresh, query,
    },
    trust::Holder,
};

/// One file, so that a page has to allow and fetch one.
static SCRIPT: LazyLock<String> =
    LazyLock::new(|| include_str!("assets/badge.js").replacen("{STYLE}", include_str!("assets/badge.css"), 1));
const FRAME: &str = include_str!("assets/frame.html");
const FRAME_SCRIPT: &str = include_str!("assets/frame.js");

/// What the iframe's page may do: nothing that does not come from here. The style is made by script, as a constructed sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      require-trusted-types-for 'script'; frame-ancestors";
/// Scripts change with the program only: a page shows its badge without asking for them each time.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=300, stale-while-revalidate=86400");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const CROSS_ORIGIN: HeaderValue = HeaderValue::from_static("cross-origin");

/// The web component.
pub(crate) async fn script(State(api): State<Arc<Api>>, request: Request) -> Response {
    let mut response = file(&api, request.headers(), "text/javascript; charset=utf-8", &SCRIPT);
    // It is the same for everybody: a page may check its digest (`integrity`).
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// What the iframe's page does.
pub(crate) async fn frame_script(State(api): State<Arc<Api>>, request: Request) -> Response {
    file(&api, request.headers(), "text/javascript; charset=utf-8", FRAME_SCRIPT)
}

/// The same as a page for an iframe; only pages of the badge's origins may frame it.
pub(crate) async fn frame(State(api): State<Arc<Api>>, request: Request) -> Response {
    let asked = Asked::begin(&api, request.headers(), Route::Embed);
    let integration = match query::read(request.uri(), &["integration"]) {
        Ok(found) => found.text("integration").unwrap_or_default(),
        Err(error) => return asked.timed(&api, asked.problem(&api, &error), &[]),
    };
    let mut response = file(&api, request.headers(), "text/html; charset=utf-8", FRAME);
    let headers = response.headers_mut();
    answer::set(headers, header::CONTENT_SECURITY_POLICY, &format!("{POLICY} {}", ancestors(&api, &integration)));
    // Its policy follows the plan.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.remove(header::ETAG);
    response
}

/// The pages that may frame an integration's badge.
fn ancestors(api: &Api, integration: &str) -> String {
    let runtime = api.engine.runtime();
    let embed = runtime.plan().integrations.get(integration).and_then(|one| one.embed.as_ref());
    let origins = embed.and_then(|embed| embed.holders.as_ref()).map(|holders| holders.cors.origins.join(" "));
    origins.filter(|origins| !origins.is_empty()).unwrap_or_else(|| "'none'".to_owned())
}

/// The score of the holder's subject.
pub(crate) async fn score(State(api): State<Arc<Api>>, head: Parts) -> Response {
    let asked = Asked::begin(&api, &head.headers, Route::Embed);
    let found = async {
        let score = api.service.score(&holder(&head)?, &api.context).await?;
        Ok((score.decision, serde_json::to_vec(&score)))
    };
    told(&api, &asked, found.await)
}

/// What stands behind it.
pub(crate) async fn breakdown(State(api): State<Arc<Api>>, head: Parts) -> Response {
    let asked = Asked::begin(&api, &head.headers, Route::Embed);
    let found = async {
        let breakdown = api.service.breakdown(&holder(&head)?, &api.context).await?;
        Ok((breakdown.score.decision, serde_json::to_vec(&breakdown)))
    };
    told(&api, &asked, found.await)
}

fn told(api: &Api, asked: &Asked, found: Result<(Option<Id>, serde_json::Result<Vec<u8>>)>) -> Response {
    let written = found.and_then(|(id, body)| {
        body.map(|body| (id, body)).map_err(|error| {
            Error::new(ErrorKind::Internal, "answer_not_written", "the answer cannot be written as JSON").private(error)
        })
    });
    let mut response = match written {
        Ok((id, body)) => {
            let mut response = asked.json(api, StatusCode::OK, body);
            if let Some(id) = id {
                answer::set(response.headers_mut(), answer::DECISION_ID, &id.to_string());
            }
            response
        }
        Err(error) => asked.problem(api, &error),
    };
    // It is about a person, and tokens end.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    asked.timed(api, response, &[])
}

/// Whom the gate let in.
fn holder(head: &Parts) -> Result<Holder> {
    head.extensions.get::<Holder>().cloned().ok_or_else(|| {
        Error::new(
            ErrorKind::Internal,
            "no_holder",
            "a handler asks for the holder of a token on a route that asks for none",
        )
    })
}

fn file(api: &Api, headers: &HeaderMap, kind: &'static str, text: &'static str) -> Response {
    let asked = Asked::begin(api, headers, Route::Embed);
    let mut response = asked.json(api, StatusCode::OK, text.into());
    let set: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (RESOURCE_POLICY, CROSS_ORIGIN),
    ];
    for (name, value) in set {
        response.headers_mut().insert(name, value);
    }
    let mut response = fresh::conditional(response, headers, &fresh::tag_of(text.as_bytes()));
    response.headers_mut().insert(header::CACHE_CONTROL, KEPT);
    asked.timed(api, response, &[])
}

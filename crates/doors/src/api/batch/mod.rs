//! `POST /v1/integrations/{name}/batches`: many questions, one answer or error each, in their order.
//!
//! As NDJSON, the records stream in and the answers stream out while the caller still sends: so many at a time as have arrived
//! go through the path together, at most two such groups are under way, and nothing more is read while the answers are not
//! fetched. The last line is a summary; a stream without it was cut. As JSON, `{"inputs": […]}` gives `{"results": […]}`.

mod lines;
mod run;
mod whole;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::Response,
};
use bytes::Bytes;
use futures_util::{future::FutureExt as _, stream};
use tendon_kernel::{Error, ErrorKind, Result, trace};
use tokio::sync::mpsc;

use self::{lines::Lines, run::Run};
use super::{
    Api,
    answer::{self, Asked, Part},
    auth,
    counters::Route,
    decide, query,
};
use crate::{service, trust::Known};

/// How many records go through the path together at the most.
const SIZE: HeaderName = HeaderName::from_static("tendon-batch-size");
const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");
/// Records that go through the path together, at the most; fewer where few decisions may be under way at once.
const GROUP: usize = 256;
/// Groups of answers that wait for a caller that reads slowly.
const WAITING: usize = 4;
/// Longest silence of a caller that streams.
const SILENCE: Duration = Duration::from_secs(120);

/// How the records stand in the body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    Whole,
}

/// What holds for all records of a batch.
struct Order {
    known: Arc<Known>,
    integration: String,
    explain: bool,
    /// Time that each group has, when the caller says so.
    left: Option<Duration>,
    /// Prefix of the records' idempotency keys, when the caller gives one for the batch.
    key: Option<String>,
    /// Records that go through the path together.
    group: usize,
    /// Largest line.
    longest: usize,
    /// Most records.
    most: usize,
    depth: usize,
}

/// Handles the request.
pub(super) async fn post(State(api): State<Arc<Api>>, name: Part, request: Request) -> Response {
    let asked = Asked::begin(&api, request.headers(), Route::Batch);
    let prepared = answer::part(name).and_then(|name| prepare(&api, name, &request));
    let response = match prepared {
        Ok((order, Form::Lines)) => streamed(&api, &asked, order, request.into_body()),
        Ok((order, Form::Whole)) => whole::answer(&api, &asked, order, request.into_body()).await,
        Err(error) => asked.problem(&api, &error),
    };
    asked.timed(&api, response, &[])
}

/// Everything that can be wrong before the first record is read.
fn prepare(api: &Api, name: String, request: &Request) -> Result<(Order, Form)> {
    let headers = request.headers();
    let known = auth::caller(request.extensions())?;
    let form = form(headers)?;
    let explain = query::read(request.uri(), &["explain"])?.flag("explain")?;
    let left = decide::time_left(headers)?;
    let key = headers.get(decide::IDEMPOTENCY_KEY).map(|value| service::idempotency_key(value.to_str().ok()));
    let key = key.transpose()?;
    api.service.may_ask(&known, &name)?;
    let runtime = api.engine.runtime();
    let limits = &runtime.plan().limits;
    let order = Order {
        known,
        integration: name,
        explain,
        left,
        key,
        // Room for others beside it.
        group: GROUP.min(limits.in_flight / 4).max(1),
        longest: limits.body_bytes,
        most: limits.batch_records,
        depth: limits.depth,
    };
    Ok((order, form))
}

fn form(headers: &HeaderMap) -> Result<Form> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("application/json");
    match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
            Ok(Form::Lines)
        }
        "application/json" => Ok(Form::Whole),
        _ => Err(Error::new(ErrorKind::Invalid, "not_json", "the batch's content type is neither NDJSON nor JSON")
            .hint("send `Content-Type: application/x-ndjson` with a record in each line, or `application/json`")),
    }
}

/// Answers while the body still arrives. The work is a task of its own, which the caller's reading drives: nothing is
/// taken in while nothing is taken out.
fn streamed(api: &Arc<Api>, asked: &Asked, order: Order, body: Body) -> Response {
    let group = order.group;
    let mut lines = Lines::new(body, order.longest, SILENCE);
    // A caller that waits for `100 Continue` gets it before the answer begins.
    let begun = lines.look();
    let (tell, told) = mpsc::channel::<Bytes>(WAITING);
    let run = Run::new(api.clone(), asked.id.clone(), order);
    let task = async move {
        match begun {
            Ok(_) => run.stream(lines, tell).await,
            Err(error) => run.broken(&error, tell).await,
        }
    };
    api.context.spawn.spawn("batch", trace::within(trace::current(), task).boxed());
    let answers =
        stream::unfold(
            told,
            |mut told| async move { told.recv().await.map(|bytes| (Ok::<_, Infallible>(bytes), told)) },
        );
    let mut response = asked.json(api, StatusCode::OK, Vec::new());
    *response.body_mut() = Body::from_stream(answers);
    response.headers_mut().insert(CONTENT_TYPE, NDJSON);
    answer::set(response.headers_mut(), SIZE, &group.to_string());
    response
}

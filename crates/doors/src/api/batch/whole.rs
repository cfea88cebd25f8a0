//! A batch as one JSON document, for callers without streams: `{"inputs": […]}` → `{"results": […], "summary": {…}}`.

use std::sync::Arc;

use axum::{body::Body, http::StatusCode, response::Response};
use bytes::Bytes;
use serde_json::value::RawValue;
use tendon_kernel::{Error, ErrorKind, Result};

use super::{Order, SIZE, run::Run};
use crate::api::{
    Api,
    answer::{self, Asked},
    body,
};

/// Most records of a document: its answer is held in memory as a whole.
const MOST: usize = 10_000;

/// The body as a caller sends it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    #[serde(borrow)]
    inputs: Vec<&'a RawValue>,
}

/// Answers the whole document.
pub(super) async fn answer(api: &Arc<Api>, asked: &Asked, order: Order, content: Body) -> Response {
    let group = order.group;
    let read = match body::read(content, order.longest, api.body_timeout).await {
        Ok(bytes) => records(&bytes),
        Err(error) => Err(error),
    };
    let records = match read {
        Ok(records) => records,
        Err(error) => {
            api.engine.refused(&order.integration, error.code());
            return asked.problem(api, &error);
        }
    };
    let (lines, summary) = Run::new(api.clone(), asked.id.clone(), order).whole(records).await;
    // The lines become the members of a list: each is a whole JSON text.
    let mut out = Vec::with_capacity(lines.len() + summary.len() + 32);
    out.extend_from_slice(b"{\"results\":[");
    let lines = lines.strip_suffix(b"\n").unwrap_or(&lines);
    out.extend(lines.iter().map(|byte| if *byte == b'\n' { b',' } else { *byte }));
    out.extend_from_slice(b"],");
    out.extend_from_slice(summary.strip_suffix(b"\n").and_then(|summary| summary.strip_prefix(b"{")).unwrap_or(b"}"));
    let mut response = asked.json(api, StatusCode::OK, out);
    answer::set(response.headers_mut(), SIZE, &group.to_string());
    response
}

fn records(bytes: &Bytes) -> Result<Vec<Bytes>> {
    let document: Document<'_> = serde_json::from_slice(bytes).map_err(|error| {
        Error::new(ErrorKind::Invalid, "malformed_json", "the request body is no JSON object with a list `inputs`")
            .hint(r#"send {"inputs": [{…}, …]}, or records line by line as application/x-ndjson"#)
            .private(error)
    })?;
    if document.inputs.len() > MOST {
        return Err(Error::new(ErrorKind::Invalid, "batch_too_long", "the list has more records than a document may")
            .hint(format!("at most {MOST}; send more as application/x-ndjson, a record in each line")));
    }
    Ok(document.inputs.iter().map(|input| bytes.slice_ref(input.get().as_bytes())).collect())
}

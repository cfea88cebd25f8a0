//! The doors beside each other: many records over one batch against single calls, and gRPC against HTTP.

use std::{
    cell::Cell,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::LocalSet,
};

use crate::{
    Res, Setting,
    load::{closed, fresh},
    project::{self, Started, Variant},
    request::Request,
    table::Row,
};

/// Records of the measured batch.
pub(super) const RECORDS: usize = 40_000;
/// Where gRPC asks.
const DECIDE: &str = "/tendon.v1.Decisions/Decide";
/// Connections over gRPC, and calls under way on each: 64 as over HTTP.
const CONNECTIONS: usize = 8;
const STREAMS: usize = 8;

/// Adds all rows of this part.
pub(crate) fn measure(setting: &Setting, rows: &mut Vec<Row>) -> Res<()> {
    let started = project::start(setting, Variant::Grpc)?;
    let single = closed(&started.target, 1, setting.time)?.rate;
    let many = closed(&started.target, CONNECTIONS * STREAMS, setting.time)?.rate;
    let batch = block_on(batch(&started, RECORDS, u64::MAX, "\"outcome\":\"ok\""))?;
    rows.push(Row::new("doors", "single calls, 1 connection", single, "rows/s"));
    rows.push(
        Row::new("doors", format!("a batch of {RECORDS}, 1 connection"), batch, "rows/s")
            .against("single calls", single)
            .aim("≥ 5× single calls", batch >= 5.0 * single),
    );
    let address = started.grpc.ok_or("the project has no gRPC port")?;
    let grpc = block_on(grpc(address, &started.key, setting.time))?;
    rows.push(Row::new("doors", "gRPC, 64 calls under way", grpc, "/s").against("HTTP, 64 connections", many));
    Ok(())
}

pub(super) fn block_on<T>(work: impl Future<Output = Res<T>>) -> Res<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    LocalSet::new().block_on(&runtime.map_err(|error| error.to_string())?, work)
}

/// Sends all records about so many people over one request while the answers are read, each of which must say `what`; rows per
/// second from the first byte to the last.
pub(super) async fn batch(started: &Started, records: usize, people: u64, what: &str) -> Res<f64> {
    let failed = |error: std::io::Error| format!("the batch broke: {error}");
    let mut body = Vec::new();
    let mut request = fresh(&Request::new("/", "", 99, people));
    for _ in 0..records {
        body.extend_from_slice(request.next_body());
        body.push(b'\n');
    }
    let head = format!(
        "POST /v1/integrations/bench/batches HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\nconnection: close\r\n\
         content-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
        started.key,
        body.len()
    );
    let stream = TcpStream::connect(started.target.address).await.map_err(failed)?;
    let (mut reader, mut writer) = stream.into_split();
    let begun = Instant::now();
    let send = tokio::task::spawn_local(async move {
        writer.write_all(head.as_bytes()).await?;
        writer.write_all(&body).await?;
        // Dropped, it would close this half, which servers take for a caller who went away.
        Ok::<_, std::io::Error>(writer)
    });
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer).await.map_err(failed)?;
    let spent = begun.elapsed();
    let _writer = send.await.map_err(|error| error.to_string())?.map_err(failed)?;
    let text = String::from_utf8_lossy(&unchunked(&answer)).into_owned();
    let decided = text.matches(what).count();
    if decided != records {
        let other = text.lines().find(|line| !line.contains("\"outcome\":\"ok\"")).unwrap_or_default();
        let start: String = other.chars().take(300).collect();
        return Err(format!("{decided} of {records} records say {what}: {start}"));
    }
    Ok(records as f64 / spent.as_secs_f64())
}

/// The body of an answer without the borders of its chunks, which fall anywhere into its lines.
fn unchunked(answer: &[u8]) -> Vec<u8> {
    let start = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
    let mut rest = answer.get(start..).unwrap_or_default();
    let mut body = Vec::with_capacity(rest.len());
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = rest.get(..end).and_then(|text| std::str::from_utf8(text).ok());
        let size = size.and_then(|text| usize::from_str_radix(text, 16).ok()).unwrap_or(0);
        let Some(chunk) = rest.get(end + 2..end + 2 + size).filter(|chunk| !chunk.is_empty()) else { break };
        body.extend_from_slice(chunk);
        rest = rest.get(end + 4 + size..).unwrap_or_default();
    }
    body
}

/// Calls per second; what the first fifth of the time did is not counted.
async fn grpc(address: SocketAddr, key: &str, time: Duration) -> Res<f64> {
    let start = Instant::now();
    let (from, until) = (start + time / 5, start + time);
    let counted = Rc::new(Cell::new(0_u64));
    let mut tasks = Vec::new();
    for number in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (client, connection) = h2::client::handshake(stream).await.map_err(|error| error.to_string())?;
        tokio::task::spawn_local(async move { drop(connection.await) });
        for lane in 0..STREAMS {
            let (mut client, key, counted) = (client.clone(), key.to_owned(), Rc::clone(&counted));
            let mut request = Request::new("/", "", (number * STREAMS + lane) as u64, u64::MAX);
            tasks.push(tokio::task::spawn_local(async move {
                while Instant::now() < until {
                    let sent = Instant::now();
                    call(&mut client, &key, request.next_body()).await?;
                    if sent >= from {
                        counted.set(counted.get() + 1);
                    }
                }
                Ok::<(), String>(())
            }));
        }
    }
    for task in tasks {
        task.await.map_err(|error| error.to_string())??;
    }
    Ok(counted.get() as f64 / (until - from).as_secs_f64())
}

async fn call(client: &mut SendRequest<Bytes>, key: &str, body: &[u8]) -> Res<()> {
    let failed = |error: h2::Error| format!("the gRPC call broke: {error}");
    // `{"input":{…}}` of HTTP; gRPC takes the inner object.
    let input = body.get(9..body.len() - 1).ok_or("a request is too short")?;
    let head = http::Request::post(DECIDE)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {key}"))
        .body(())
        .map_err(|error| error.to_string())?;
    std::future::poll_fn(|context| client.poll_ready(context)).await.map_err(failed)?;
    let (answer, mut sender) = client.send_request(head, false).map_err(failed)?;
    sender.send_data(message(input), true).map_err(failed)?;
    let mut answer = answer.await.map_err(failed)?.into_body();
    while let Some(data) = answer.data().await {
        let length = data.map_err(failed)?.len();
        answer.flow_control().release_capacity(length).map_err(failed)?;
    }
    let trailers = answer.trailers().await.map_err(failed)?.ok_or("a gRPC answer has no trailers")?;
    match trailers.get("grpc-status") {
        Some(status) if status == "0" => Ok(()),
        other => Err(format!("a gRPC call ended with status {other:?}")),
    }
}

/// A framed `DecideRequest`: `integration` (field 1) and `json` (field 3).
fn message(json: &[u8]) -> Bytes {
    let name = b"bench";
    let mut content = vec![0x0a, name.len() as u8];
    content.extend_from_slice(name);
    content.push(0x1a);
    let mut length = json.len();
    while length >= 0x80 {
        content.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    content.push(length as u8);
    content.extend_from_slice(json);
    let mut framed = vec![0];
    framed.extend_from_slice(&(content.len() as u32).to_be_bytes());
    framed.extend_from_slice(&content);
    framed.into()
}

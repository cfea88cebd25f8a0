//! The command's side.

use std::{io::ErrorKind, path::Path};

use serde_json::Value as Json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
};

use super::{LINE, Reply, address};
use crate::{failure::Failure, orders::Order};

/// Sends an order to the running process; `None` when none runs.
///
/// # Errors
/// The process's own, or `control_broken` when it did not answer.
pub(crate) async fn send(state: &Path, order: &Order) -> Result<Option<Json>, Failure> {
    let stream = match address(state) {
        Ok(address) => UnixStream::connect(&address.path).await,
        Err(error) => Err(error),
    };
    let mut stream = match stream {
        Ok(stream) => stream,
        // No socket, or one that a killed process left behind.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) => return Err(broken(&error)),
    };
    let mut line = serde_json::to_vec(order).map_err(|error| Failure::new("control_broken", error.to_string(), ""))?;
    line.push(b'\n');
    stream.write_all(&line).await.map_err(|error| broken(&error))?;
    let mut answer = String::new();
    BufReader::new(stream.take(LINE * 64)).read_line(&mut answer).await.map_err(|error| broken(&error))?;
    match serde_json::from_str(&answer) {
        Ok(Reply::Ok(data)) => Ok(Some(data)),
        Ok(Reply::Error(failure)) => Err(failure),
        Err(_) => Err(Failure::new(
            "control_broken",
            "the running process gave no answer",
            "it may be of another version: restart it with this one",
        )),
    }
}

fn broken(error: &std::io::Error) -> Failure {
    Failure::new(
        "control_broken",
        format!("talking to the running process failed: {error}"),
        "use the account that runs it; .tendon/control.sock belongs to it alone",
    )
}

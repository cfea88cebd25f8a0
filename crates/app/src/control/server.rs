//! The running process's side.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, time::Duration};

use futures_util::future::FutureExt as _;
use tendon_doors::api::Api;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
};

use super::{LINE, Reply, address};
use crate::{
    failure::Failure,
    orders::{self, Order},
    wiring::Parts,
};

/// Opens the socket. Call it with the project's lock held: a socket that is there belongs to nobody any more.
///
/// # Errors
/// As the file system's.
pub(crate) fn bind(state: &Path) -> io::Result<UnixListener> {
    let address = address(state)?;
    match fs::remove_file(&address.path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&address.path)?;
    fs::set_permissions(&address.path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers orders until the process ends. `api`: what it serves; a command that only takes orders serves nobody.
pub(crate) async fn serve(listener: UnixListener, parts: Arc<Parts>, api: Option<Arc<Api>>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let task = answer(stream, parts.clone(), api.clone());
                parts.context.spawn.spawn("control", task.boxed());
            }
            Err(error) => {
                tracing::warn!(%error, "a command could not connect");
                parts.context.clock.sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(mut stream: UnixStream, parts: Arc<Parts>, api: Option<Arc<Api>>) {
    let (read, mut write) = stream.split();
    let mut line = String::new();
    if BufReader::new(read.take(LINE)).read_line(&mut line).await.is_err() {
        return;
    }
    let reply = match serde_json::from_str::<Order>(&line) {
        Ok(order) => {
            let done = match order {
                Order::Status { span } => orders::status::look(api.as_deref(), &span).await,
                order => orders::carry_out(&parts, order).await,
            };
            done.map_or_else(Reply::Error, Reply::Ok)
        }
        Err(_) => Reply::Error(Failure::new(
            "order_unknown",
            "the running process does not know this order",
            "it may be of another version: restart it with this one",
        )),
    };
    let mut line = serde_json::to_vec(&reply).unwrap_or_default();
    line.push(b'\n');
    if let Err(error) = write.write_all(&line).await {
        tracing::debug!(%error, "a command left before its answer");
    }
}

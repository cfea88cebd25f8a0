//! Where a checkpoint is published: a file, or an address over HTTP that gives it by GET and takes a new one by PUT. The address is
//! only written to as long as there stands what was read (`If-Match`), so that of two copies of a ledger one is told.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tendon_kernel::{
    Error, ErrorKind, Result,
    context::Context,
    error::Retry,
    sockets::{
        http::{HttpClient, HttpRequest, HttpResponse, Method, origin_of},
        secrets::Secrets,
    },
};
use tendon_plan::{PublishPlan, PublishTo};

use crate::durable;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// A signed checkpoint has some hundred bytes; what is longer is none.
const MOST: usize = 64 * 1024;
/// What a checkpoint is, as C2SP's signed-note is text.
const TEXT: &str = "text/plain; charset=utf-8";

/// What places are reached with.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) context: Context,
    pub(super) http: Arc<dyn HttpClient>,
    pub(super) secrets: Arc<dyn Secrets>,
    /// The project's folder.
    pub(super) folder: PathBuf,
}

/// What stands at a place.
pub(super) struct Known {
    pub(super) text: String,
    /// Which version of it, where the receiver tells.
    tag: Option<String>,
}

/// One place.
pub(super) enum Place<'a> {
    File(PathBuf),
    Url { means: &'a Means, url: &'a str, secret: Option<&'a str> },
}

impl<'a> Place<'a> {
    pub(super) fn of(means: &'a Means, publish: &'a PublishPlan) -> Self {
        match &publish.to {
            PublishTo::File(name) => Self::File(means.folder.join(name)),
            PublishTo::Url { url, secret } => Self::Url { means, url, secret: secret.as_deref() },
        }
    }

    /// How it is called in errors: an address without its path, which may hold a key.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Url { url, .. } => origin_of(url).to_owned(),
        }
    }

    /// Whether the work may begin before it can be read: a disk is there or something is wrong, a receiver may be down.
    pub(super) fn may_be_away(&self) -> bool {
        matches!(self, Self::Url { .. })
    }

    /// What stands there; `None` when nothing was published yet.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be read.
    pub(super) async fn read(&self) -> Result<Option<Known>> {
        match self {
            Self::File(path) => match fs::read_to_string(path) {
                Ok(text) => Ok(Some(Known { text, tag: None })),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(unusable("read", path, &error)),
            },
            Self::Url { means, url, secret } => {
                let answer = call(means, url, *secret, Method::Get, |request| request).await?;
                match answer.status {
                    404 | 410 => Ok(None),
                    _ if answer.ok() => {
                        let tag = answer.header("etag").map(str::to_owned);
                        let text = String::from_utf8(answer.body)
                            .map_err(|_| refused("what was published is no text").with("at", origin_of(url)))?;
                        Ok(Some(Known { text, tag }))
                    }
                    status => Err(said("reading", url, status)),
                }
            }
        }
    }

    /// Puts a text in the place of what was read before.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be written, also because somebody else did in between.
    pub(super) async fn write(&self, text: &str, before: Option<&Known>) -> Result<()> {
        match self {
            Self::File(path) => {
                let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
                let written = folder.and_then(|()| durable::replace(path, text.as_bytes(), 0o666));
                written.map_err(|error| unusable("written", path, &error))
            }
            Self::Url { means, url, secret } => {
                let answer = call(means, url, *secret, Method::Put, |request| {
                    let request = request.header("content-type", TEXT).body(text);
                    match before {
                        None => request.header("if-none-match", "*"),
                        Some(Known { tag: Some(tag), .. }) => request.header("if-match", tag),
                        Some(_) => request,
                    }
                })
                .await?;
                match answer.status {
                    412 => Err(refused("somebody else published at the same time; what stands there is read again")
                        .with("at", origin_of(url))),
                    _ if answer.ok() => Ok(()),
                    status => Err(said("writing", url, status)),
                }
            }
        }
    }
}

/// Reads a checkpoint from an address that anybody may read.
///
/// # Errors
/// `Unavailable` when it cannot be read, `NotFound` when there is none.
pub(super) async fn fetch(means: &Means, url: &str) -> Result<String> {
    let known = Place::Url { means, url, secret: None }.read().await?;
    known.map(|known| known.text).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "checkpoint_missing", "no checkpoint stands at the address")
            .with("at", origin_of(url))
    })
}

async fn call(
    means: &Means,
    url: &str,
    secret: Option<&str>,
    method: Method,
    fill: impl FnOnce(HttpRequest) -> HttpRequest,
) -> Result<HttpResponse> {
    let mut request = fill(HttpRequest::new(method, url, means.context.deadline_in(PATIENCE)));
    if let Some(secret) = secret {
        let token = means.secrets.resolve(secret)?;
        request = request.header("authorization", format!("Bearer {}", token.reveal().trim()));
    }
    request.max_response = MOST;
    means.http.send(request).await
}

fn said(doing: &str, url: &str, status: u16) -> Error {
    let hint = match status {
        401 | 403 => "`ledger.secret` names the token that the receiver wants",
        405 | 501 => "the receiver has to answer GET and PUT at this address",
        _ => "look after the receiver; it is tried again",
    };
    refused(format!("{doing} the published checkpoint was answered with {status}"))
        .with("at", origin_of(url))
        .hint(hint)
}

fn refused(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Unavailable, "checkpoint_url", message).retry(Retry::Later)
}

fn unusable(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "checkpoint_file", format!("the checkpoint's file could not be {what}: {error}"))
        .with("file", path.display())
        .hint("look after the disk that it lies on; without it nobody can tell an older copy of the ledger")
}

//! Asks a running process how it does: the project's own through its control socket, any other over HTTP with a key.

use std::{fs, net::Ipv6Addr, path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value as Json;
use tendon_kernel::{
    Error,
    context::{Clock, Deadline},
    sockets::http::{HttpClient as _, HttpRequest, HttpResponse, Method, origin_of},
};
use tendon_platform::{OutgoingHttp, SystemClock};

use crate::{
    control,
    failure::{self, Failure},
    orders::{Order, status},
    project::Project,
    table::harmless,
};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where a process tells how it does.
const PATH: &str = "/v1/status";
/// Longest answer: thousands of integrations.
const LONGEST: usize = 64 << 20;

/// Whom to ask, and about how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Whom {
    /// Ask the process at this address (scheme, host and port) over HTTP, with an API key of the scope `read` from `--key-file` or the variable
    /// `TENDON_KEY`; default: the process of the project, which its owner asks without a key.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The file that holds the API key.
    #[arg(long, value_name = "FILE", requires = "server")]
    key_file: Option<PathBuf>,
    /// Trust the certificates in this file too (PEM), for a server whose authority the system does not know.
    #[arg(long, value_name = "FILE", requires = "server")]
    ca: Option<PathBuf>,
    /// How far back the figures of integrations go.
    #[arg(long, value_name = "SPAN", value_parser = ["1h", "24h", "7d", "30d"], default_value = "1h")]
    span: String,
}

/// A door that is known.
pub(crate) enum Door {
    /// The control socket of a project.
    Socket { project: Project, span: String },
    /// HTTP.
    Http { client: Arc<OutgoingHttp>, clock: Arc<SystemClock>, url: String, key: Option<String> },
}

impl Whom {
    /// The door.
    ///
    /// # Errors
    /// Without a project where none is named; when a file cannot be read.
    pub(crate) fn door(&self, find: impl FnOnce() -> Result<Project, Failure>) -> Result<Door, Failure> {
        let Some(server) = &self.server else {
            return Ok(Door::Socket { project: find()?, span: self.span.clone() });
        };
        let clock = Arc::new(SystemClock::new());
        let client = Arc::new(OutgoingHttp::new(clock.clone()));
        client.trust(self.ca.as_deref()).map_err(|_| {
            let file = self.ca.as_deref().unwrap_or(server.as_ref()).display();
            Failure::new(
                "ca_unusable",
                format!("the certificates in {file} cannot be used"),
                "`--ca` names a PEM file with the certificate of the authority that signed the server's",
            )
            .could_not_run()
        })?;
        let url = format!("{}{PATH}?span={}", origin(server)?, self.span);
        Ok(Door::Http { client, clock, url, key: self.key()? })
    }

    /// The key: never on the command line, where everybody on the machine could read it.
    fn key(&self) -> Result<Option<String>, Failure> {
        let Some(file) = &self.key_file else {
            return Ok(std::env::var("TENDON_KEY").ok().filter(|key| !key.is_empty()));
        };
        let text = fs::read_to_string(file).map_err(|error| failure::io("reading", file, &error).could_not_run())?;
        Ok(Some(text.trim().to_owned()))
    }
}

/// What `--server` names: scheme, host and port of a process, and no more.
fn origin(server: &str) -> Result<&str, Failure> {
    let wrong = |what: String, hint: &str| {
        Err(Failure::new("server_address", format!("`--server`: {what}"), hint).could_not_run())
    };
    let rest = server.strip_prefix("https://").or_else(|| server.strip_prefix("http://"));
    let no_address = || {
        wrong(format!("{server} is no address like https://HOST:8400"), "write scheme, host and port of the process")
    };
    let Some(rest) = rest else { return no_address() };
    let (named, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if named.contains('@') {
        // Not said again: what stands there may be a password.
        return wrong(
            "the address holds a user or a password".to_owned(),
            "a key goes into TENDON_KEY or `--key-file`",
        );
    }
    let (host, port) = match named.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (named, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let good = match bare {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter)),
    };
    let is_port = |port: &str| port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if !good || !port.is_none_or(is_port) {
        return no_address();
    }
    let origin = server.strip_suffix(path).unwrap_or(server);
    if !path.trim_end_matches('/').is_empty() {
        return wrong(format!("{server} has more than host and port"), &format!("give host and port only: {origin}"));
    }
    Ok(origin)
}

impl Door {
    /// The document of `/v1/status`.
    ///
    /// # Errors
    /// When nothing answers, or something else than it should; all of them exit with 2.
    pub(crate) async fn ask(&self) -> Result<Json, Failure> {
        let answer = match self {
            Self::Socket { project, span } => asked_here(project, span).await,
            Self::Http { client, clock, url, key } => {
                let mut request = HttpRequest::new(Method::Get, url, Deadline(clock.monotonic() + PATIENCE));
                request.max_response = LONGEST;
                if let Some(key) = key {
                    request = request.header("authorization", format!("Bearer {key}"));
                }
                match client.send(request).await {
                    Ok(response) => read(&response, origin_of(url), key.is_some()),
                    Err(error) => Err(not_answered(&error, origin_of(url))),
                }
            }
        };
        answer.map_err(Failure::could_not_run)
    }
}

async fn asked_here(project: &Project, span: &str) -> Result<Json, Failure> {
    let order = Order::Status { span: span.to_owned() };
    let state = project.state();
    let asked = tokio::time::timeout(PATIENCE, control::send(&state, &order)).await;
    let asked = asked.map_err(|_| {
        Failure::new(
            "no_answer",
            format!("the process of the project in {} does not answer", project.folder.display()),
            "it may be stopped, or out of processor time or memory: look at its log",
        )
    })?;
    asked?.ok_or_else(|| status::not_running(project))
}

/// Why there was no answer at all.
fn not_answered(error: &Error, origin: &str) -> Failure {
    let (code, what, hint) = match error.code() {
        "http_unreachable" if origin.starts_with("https") => (
            "not_running",
            format!("nothing speaks TLS at {origin}"),
            "start it (`tendon up`), or look at the address; a server without `server.tls` is asked with http://",
        ),
        "http_unreachable" => (
            "not_running",
            format!("nothing answers at {origin}"),
            "start it (`tendon up`), or look at host and port of the address",
        ),
        "http_broken" => (
            "no_answer",
            format!("what answers at {origin} does not speak HTTP"),
            "a server with `server.tls` is asked with https://",
        ),
        "http_certificate" => (
            "certificate",
            format!("the server at {origin} does not prove that it is the one that was named"),
            "`--ca FILE` names the authority that signed its certificate, if the system does not know it; the certificate may \
             also have passed, or be for another name",
        ),
        "http_timeout" => (
            "no_answer",
            format!("the server at {origin} did not answer within {} s", PATIENCE.as_secs()),
            "it may be stopped or overloaded: `/livez` says whether it answers at all",
        ),
        _ => return Failure::from(error.clone()),
    };
    Failure::new(code, what, hint)
}

/// What an answer means.
fn read(response: &HttpResponse, origin: &str, with_key: bool) -> Result<Json, Failure> {
    let document: Json = serde_json::from_slice(&response.body).unwrap_or_default();
    if response.status == 200 && document["state"].is_string() {
        return Ok(document);
    }
    // Whatever answers there: nothing of it steers the terminal.
    let said = |name: &str| harmless(document[name].as_str().unwrap_or_default());
    let (code, what, hint) = match response.status {
        401 if !with_key => (
            "key_missing",
            format!("the server at {origin} asks for a key"),
            "`tendon keys create --name N --scope read` makes one on the server; put it into TENDON_KEY, or into a file for \
             `--key-file`"
                .to_owned(),
        ),
        401 => (
            "key_refused",
            format!("the server at {origin} does not accept the key: {}", said("detail")),
            format!("{}; `tendon keys list` on the server shows its keys", or(&said("hint"), "look at the key")),
        ),
        403 => (
            "scope_missing",
            format!("the key may not read at {origin}"),
            "it needs the scope `read`: `tendon keys create --name N --scope read` on the server".to_owned(),
        ),
        404 if said("code") == "no_route" => (
            "server_too_old",
            format!("the server at {origin} does not know {PATH}: it is of an older version"),
            "renew it; until then `/readyz` and `/metrics` tell how it does".to_owned(),
        ),
        _ if !said("code").is_empty() => {
            ("refused", format!("the server at {origin} answers: {}", said("detail")), said("hint"))
        }
        status => (
            "not_tendon",
            format!("what answers at {origin}{PATH} (status {status}) is no tendon"),
            "look at host and port of the address, and at a proxy in between".to_owned(),
        ),
    };
    Err(Failure::new(code, what, hint))
}

fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_scheme_host_and_port() {
        for (given, wanted) in [
            ("https://tendon.example:8400", "https://tendon.example:8400"),
            ("http://127.0.0.1:8400/", "http://127.0.0.1:8400"),
            ("http://localhost", "http://localhost"),
            ("https://[::1]:8400/", "https://[::1]:8400"),
            ("https://[fe80::1]", "https://[fe80::1]"),
        ] {
            assert_eq!(origin(given).unwrap(), wanted);
        }
        for (given, said, hint) in [
            ("banana", "banana is no address like https://HOST:8400", "scheme, host and port"),
            ("localhost:8400", "localhost:8400 is no address like https://HOST:8400", "scheme, host and port"),
            ("ftp://localhost", "is no address like", "scheme"),
            ("http://", "is no address like", "scheme"),
            ("http://:8400", "is no address like", "scheme"),
            ("http://host:", "is no address like", "scheme"),
            ("http://host:84000", "is no address like", "scheme"),
            ("http://host:+80", "is no address like", "scheme"),
            ("http://host:port", "is no address like", "scheme"),
            ("http://[::1", "is no address like", "scheme"),
            ("http://[banana]:1", "is no address like", "scheme"),
            ("http://a b:1", "is no address like", "scheme"),
            ("http://h:1/console", "has more than host and port", "give host and port only: http://h:1"),
            ("https://h/?span=1h", "has more than host and port", "give host and port only: https://h"),
            ("http://h:1#x", "has more than host and port", "give host and port only: http://h:1"),
        ] {
            let failure = origin(given).unwrap_err();
            assert!(
                failure.message.contains(said) && failure.hint.unwrap().contains(hint),
                "{given}: {}",
                failure.message
            );
            assert_eq!((failure.code.as_str(), failure.exit), ("server_address", 2));
        }
        let secret = origin("https://ada:s3cret@h:1").unwrap_err();
        assert!(!secret.message.contains("s3cret") && !secret.hint.unwrap().contains("s3cret"), "{}", secret.message);
    }
}

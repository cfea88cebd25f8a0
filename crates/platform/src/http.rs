//! The outgoing HTTP client: pooled connections over HTTP/1.1, TLS 1.2 and 1.3. It trusts what the system trusts (the built-in
//! list where the system has none, as in an empty container) and one more file of the project's choice. Nothing is read or
//! connected before the first request.

mod traced;

use std::{
    error::Error as StdError,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Uri, body::Incoming, header, http::Error as HttpError};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, Error as ClientError, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tendon_kernel::{
    context::Clock,
    error::{Error, ErrorKind, Result, Retry},
    sockets::http::{HttpClient, HttpRequest, HttpResponse, Method, origin_of},
};

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(60);
/// Unused connections kept per receiver.
const IDLE_PER_HOST: usize = 8;
/// Longest head of an answer.
const HEAD: usize = 64 * 1024;
/// What we call ourselves.
const AGENT: &str = concat!("tendon/", env!("CARGO_PKG_VERSION"));

type Pool = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The client of a process.
pub struct OutgoingHttp {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// The pool, made when first needed and again when other roots are to be trusted.
#[derive(Default)]
struct State {
    ca: Option<PathBuf>,
    pool: Option<Pool>,
}

/// A file with roots that was judged.
pub struct CaReady(Option<PathBuf>);

impl OutgoingHttp {
    /// A client that trusts the system's roots.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Trusts the certificates of this file too (PEM; `None`: the system's roots alone). The file is read now, to refuse a wrong
    /// one, and again when the pool is made.
    ///
    /// # Errors
    /// `Config` when the file cannot be read or holds no certificate: what was trusted before stays.
    pub fn trust(&self, ca: Option<&Path>) -> Result<()> {
        self.adopt(Self::prepare(ca)?);
        Ok(())
    }

    /// Judges such a file, which takes no effect before [`OutgoingHttp::adopt`].
    ///
    /// # Errors
    /// As [`OutgoingHttp::trust`].
    pub fn prepare(ca: Option<&Path>) -> Result<CaReady> {
        ca.map(certificates).transpose()?;
        Ok(CaReady(ca.map(Path::to_path_buf)))
    }

    /// Trusts what was judged.
    pub fn adopt(&self, CaReady(ca): CaReady) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.ca != ca {
            *state = State { ca, pool: None };
        }
    }

    fn pool(&self) -> Result<Pool> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = &state.pool {
            return Ok(pool.clone());
        }
        let pool = pool(roots(state.ca.as_deref())?)?;
        state.pool = Some(pool.clone());
        Ok(pool)
    }

    async fn attempt(&self, request: HttpRequest) -> Result<HttpResponse> {
        let origin = origin_of(&request.url).to_owned();
        let most = request.max_response;
        let ready = prepare(request).map_err(|error| error.with("receiver", &origin))?;
        let answer = self.pool()?.request(ready).await.map_err(|error| failed(&error, &origin))?;
        read(answer, most, &origin).await
    }
}

impl HttpClient for OutgoingHttp {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse>> {
        async move {
            let left = request.deadline.left(&*self.clock);
            let origin = origin_of(&request.url).to_owned();
            let (request, told) = traced::begin(request, &origin);
            let answer = tokio::select! {
                biased;
                answer = self.attempt(request) => answer,
                () = self.clock.sleep(left) => Err(
                    Error::new(ErrorKind::Timeout, "http_timeout", "a call over HTTP was not answered in time")
                        .with("receiver", origin),
                ),
            };
            traced::end(told, &answer);
            answer
        }
        .boxed()
    }
}

fn prepare(request: HttpRequest) -> Result<Request<Full<Bytes>>> {
    let wrong = |what: &'static str| {
        Error::new(ErrorKind::Config, "http_address", what)
            .hint("an address looks like https://host:port/path, without user and password")
    };
    let uri: Uri = request.url.parse().map_err(|_| wrong("the address of a receiver cannot be read"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err(wrong("the address of a receiver has no scheme `http` or `https`, or no host"));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(wrong("the address of a receiver holds user information"));
    }
    let mut builder = Request::builder().method(method(request.method)).uri(uri);
    if request.headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case("user-agent")) {
        builder = builder.header(header::USER_AGENT, AGENT);
    }
    for (name, value) in request.headers {
        builder = builder.header(name, value);
    }
    builder.body(Full::new(Bytes::from(request.body))).map_err(|error: HttpError| {
        Error::new(ErrorKind::Config, "http_address", "a header for a receiver cannot be sent")
            .hint("names and values of headers are visible ASCII without line breaks")
            .private(error)
    })
}

fn method(method: Method) -> hyper::Method {
    match method {
        Method::Delete => hyper::Method::DELETE,
        Method::Get => hyper::Method::GET,
        Method::Head => hyper::Method::HEAD,
        Method::Patch => hyper::Method::PATCH,
        Method::Post => hyper::Method::POST,
        Method::Put => hyper::Method::PUT,
    }
}

async fn read(answer: hyper::Response<Incoming>, most: usize, origin: &str) -> Result<HttpResponse> {
    let too_large = || {
        Error::new(ErrorKind::Unavailable, "http_too_large", "the answer of a receiver is larger than what is read")
            .retry(Retry::Never)
            .with("receiver", origin)
            .with("bytes allowed", most)
    };
    let (head, mut body) = answer.into_parts();
    let named = head.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let empty = head.status == hyper::StatusCode::NOT_MODIFIED;
    if named.is_some_and(|length| length > most && !empty && !hyper::body::Body::is_end_stream(&body)) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error, origin))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > most - bytes.len() {
            return Err(too_large());
        }
        bytes.extend_from_slice(&data);
    }
    let text =
        head.headers.iter().filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
    Ok(HttpResponse { status: head.status.as_u16(), headers: text.collect(), body: bytes })
}

fn broken(error: &(dyn StdError + 'static), origin: &str) -> Error {
    Error::new(ErrorKind::Unavailable, "http_broken", "a call over HTTP broke off: the receiver may have got it or not")
        .with("receiver", origin)
        .private(told(error))
}

fn failed(error: &ClientError, origin: &str) -> Error {
    let certificate = causes(error).find_map(|cause| match cause.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::InvalidCertificate(why)) => Some(format!("{why:?}")),
        _ => None,
    });
    if let Some(why) = certificate {
        return Error::new(ErrorKind::Unavailable, "http_certificate", "a receiver does not prove who it is")
            .retry(Retry::Never)
            .with("receiver", origin)
            .hint("its certificate has passed, is for another name, or is signed by nobody trusted here (`outgoing.ca` names a file with more roots)")
            .private(why);
    }
    if error.is_connect() {
        return Error::new(
            ErrorKind::Unavailable,
            "http_unreachable",
            "a receiver cannot be reached; nothing was sent",
        )
        .with("receiver", origin)
        .private(told(error));
    }
    broken(error, origin)
}

/// An error and everything it came from, also what input/output errors wrap (their `source` leaves it out).
fn causes<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'e (dyn StdError + 'static)| {
        let error: &'e (dyn StdError + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
}

fn told(error: &(dyn StdError + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn pool(roots: RootCertStore) -> Result<Pool> {
    let versions = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)
        .map_err(|error| {
            Error::new(ErrorKind::Internal, "tls_setup", "the TLS library cannot be set up").private(error)
        })?;
    let tls = versions.with_root_certificates(roots).with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .http1_max_buf_size(HEAD)
        .build(connector))
}

pub(crate) fn roots(ca: Option<&Path>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    let (known, _) = roots.add_parsable_certificates(system.certs);
    if known == 0 {
        tracing::info!("the system has no root certificates; the built-in list is used");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(path) = ca {
        roots.add_parsable_certificates(certificates(path)?);
    }
    Ok(roots)
}

/// The certificates of a PEM file.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = |what: &'static str| {
        Error::new(ErrorKind::Config, "outgoing_ca", what)
            .hint("`outgoing.ca` names a PEM file with `-----BEGIN CERTIFICATE-----`, relative to the project")
    };
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    let found =
        read.map_err(|error| wrong("the file of trusted certificates cannot be read").private(format!("{error:?}")))?;
    if found.is_empty() {
        return Err(wrong("the file of trusted certificates holds no certificate"));
    }
    let mut store = RootCertStore::empty();
    for certificate in found.iter().cloned() {
        store.add(certificate).map_err(|error| wrong("a trusted certificate cannot be used").private(error))?;
    }
    Ok(found)
}

//! A connection to Redis: where it goes, how it is secured, and what is said first.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rustls::{ClientConfig, crypto::ring::default_provider, pki_types::ServerName};
use tendon_kernel::{Error, ErrorKind, Result, sockets::secrets::Secret};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufStream},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::resp::{Reply, broken, command, lost, reply};

/// Where and how to connect; references are resolved.
#[derive(Clone)]
pub struct RedisSettings {
    /// `redis://` or `rediss://`, with host, port, database; user and password where they stand in it.
    pub url: Secret,
    /// User, before the address's.
    pub username: Option<String>,
    /// Password, before the address's.
    pub password: Option<Secret>,
    /// PEM file with the certificates to trust beside the system's.
    pub ca: Option<PathBuf>,
    /// Longest wait for a connection.
    pub connect: Duration,
    /// Longest wait for an answer.
    pub timeout: Duration,
}

/// The address, taken apart.
pub(super) struct Target {
    host: String,
    port: u16,
    database: Option<String>,
    login: Option<(Option<String>, Secret)>,
    tls: Option<TlsConnector>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection; of no use after an error.
pub(super) struct Line(BufStream<Box<dyn Stream>>);

impl Target {
    /// Takes the settings apart.
    ///
    /// # Errors
    /// `Config` when the address is none, or the certificates cannot be read.
    pub(super) fn new(settings: &RedisSettings) -> Result<Self> {
        let text = settings.url.reveal();
        let (secure, rest) = match (text.strip_prefix("rediss://"), text.strip_prefix("redis://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(no_address()),
        };
        let (login, place) = rest.rsplit_once('@').map_or((None, rest), |(login, place)| (Some(login), place));
        let (place, database) = place.split_once('/').unwrap_or((place, ""));
        let (host, port) = match place.strip_prefix('[').and_then(|place| place.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Ok(6379), str::parse).map_err(|_| no_address())?;
        if host.is_empty() || !database.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(no_address());
        }
        let (user, password) = login.map_or((None, None), |login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            (Some(decoded(user)).filter(|user| !user.is_empty()), Some(Secret::new(decoded(password))))
        });
        let user = settings.username.clone().or(user);
        let password = settings.password.clone().or(password);
        Ok(Self {
            host: host.to_owned(),
            port,
            database: Some(database.to_owned()).filter(|database| !database.is_empty()),
            login: password.map(|password| (user, password)),
            tls: if secure { Some(tls(settings)?) } else { None },
        })
    }

    /// Connects and says what has to be said first; gives the server's names of the scripts.
    pub(super) async fn connect(&self, scripts: &[&str]) -> Result<(Line, Vec<String>)> {
        let socket = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|error| broken(&error))?;
        socket.set_nodelay(true).map_err(|error| broken(&error))?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(socket),
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone()).map_err(|_| no_address())?;
                Box::new(tls.connect(name, socket).await.map_err(|error| not_trusted(&error))?)
            }
        };
        let mut line = Line(BufStream::new(stream));
        if let Some((user, password)) = &self.login {
            let user = user.as_ref().map(String::as_bytes);
            let parts: Vec<&[u8]> =
                [&b"AUTH"[..]].into_iter().chain(user).chain([password.reveal().as_bytes()]).collect();
            line.said(&parts).await?;
        }
        if let Some(database) = &self.database {
            line.said(&[b"SELECT", database.as_bytes()]).await?;
        }
        let mut names = Vec::with_capacity(scripts.len());
        for script in scripts {
            match line.said(&[b"SCRIPT", b"LOAD", script.as_bytes()]).await? {
                Reply::Bytes(Some(name)) => names.push(String::from_utf8_lossy(&name).into_owned()),
                _ => return Err(lost("Redis did not take a script")),
            }
        }
        Ok((line, names))
    }
}

impl Line {
    /// Sends commands as they are and reads so many replies.
    pub(super) async fn ask(&mut self, commands: &[u8], replies: usize) -> Result<Vec<Reply>> {
        self.0.write_all(commands).await.map_err(|error| broken(&error))?;
        self.0.flush().await.map_err(|error| broken(&error))?;
        let mut all = Vec::with_capacity(replies);
        for _ in 0..replies {
            match reply(&mut self.0).await? {
                Reply::Refused(why) => return Err(refused(&why)),
                reply => all.push(reply),
            }
        }
        Ok(all)
    }

    async fn said(&mut self, parts: &[&[u8]]) -> Result<Reply> {
        let mut bytes = Vec::new();
        command(&mut bytes, parts);
        self.ask(&bytes, 1).await?.pop().ok_or_else(|| lost("Redis gave no reply"))
    }
}

fn tls(settings: &RedisSettings) -> Result<TlsConnector> {
    let hint = "`cache.redis.ca` names a PEM file with certificates to trust, relative to the project";
    let roots = crate::http::roots(settings.ca.as_deref()).map_err(|error| error.hint(hint))?;
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(ErrorKind::Internal, "tls_versions", "TLS cannot be set up").private(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// `%40` and the like.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = (*byte == b'%').then(|| after.get(..2).and_then(|two| std::str::from_utf8(two).ok())).flatten();
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(meant) => {
                bytes.push(meant);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn no_address() -> Error {
    Error::new(ErrorKind::Config, "cache_address", "the address of the cache is no address of a Redis server")
        .hint("cache.redis.url: redis://host:6379/0, or rediss:// for TLS")
}

/// What the server says when it refuses names commands and keys, never values.
fn refused(why: &str) -> Error {
    let login = ["NOAUTH", "WRONGPASS", "NOPERM"].iter().any(|word| why.starts_with(word)) || why.contains("password");
    let (code, what) = match login {
        true => ("cache_login", "Redis refuses the login, or what it may do"),
        false => ("cache_refused", "Redis refuses a command"),
    };
    let hint = "cache.redis.username and password; the user needs EVALSHA, SCRIPT LOAD and all commands on tendon:*";
    Error::new(ErrorKind::Unavailable, code, what).hint(hint).private(why)
}

fn not_trusted(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "cache_tls", "no secure connection to Redis comes about")
        .hint("its certificate has passed, is for another name, or is signed by nobody trusted here (`cache.redis.ca`)")
        .private(error)
}

//! Settings of a server database, and the address they lead to once secrets are resolved.

use std::{fmt, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;
use tendon_kernel::{
    Error, ErrorKind, Result,
    sockets::{connector::Build, secrets::Secret},
};

use crate::settings;

/// Settings of a system in a server database.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where it is: `postgres://user:password@host:5432/database` or `mysql://user:password@host:3306/database`. Best a
    /// reference such as `${env:CRM_URL}`. Letters with a meaning in addresses stand percent-encoded (`@` as `%40`).
    pub(crate) url: String,
    /// How the way to the server is protected (TLS 1.2 or newer). Without it: `verify`, and `off` for this machine itself.
    #[serde(default)]
    pub(crate) tls: Option<Tls>,
    /// File with the certificates (PEM) of the authorities that may vouch for the server, relative to the project's folder.
    /// Without it, the operating system's list counts.
    #[serde(default)]
    pub(crate) ca: Option<String>,
    /// The schema whose tables are the resources: on PostgreSQL `public` where nothing is said, on MySQL and MariaDB the
    /// database of the address.
    #[serde(default)]
    pub(crate) schema: Option<String>,
    /// What a time without a zone means (`timestamp` on PostgreSQL, `DATETIME` on MySQL and MariaDB): how far the clock that
    /// wrote it is ahead of UTC, as `+02:00` or `-05:30`. Without it, such times are UTC. Where the clock is changed in
    /// summer there is no fixed distance: show the column in a view that converts it.
    #[serde(default)]
    pub(crate) zone: Option<String>,
    /// Longest wait for a connection, in milliseconds.
    #[serde(default = "default_connect")]
    #[schemars(range(min = 1, max = 600_000))]
    pub(crate) connect_timeout: u32,
    /// Longest wait for the answer to one statement, in milliseconds; the server ends it then too.
    #[serde(default = "default_statement")]
    #[schemars(range(min = 1, max = 600_000))]
    pub(crate) statement_timeout: u32,
    /// Longest wait for a row that another program has locked, in milliseconds; then the write is tried again later.
    #[serde(default = "default_lock")]
    #[schemars(range(min = 1, max = 600_000))]
    pub(crate) lock_timeout: u32,
    /// Connections for reading; writing has one of its own.
    #[serde(default = "default_connections")]
    #[schemars(range(min = 1, max = 64))]
    pub(crate) connections: u32,
}

/// Protection of the way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tls {
    /// Encrypted, and the server's certificate must be valid and name the host.
    Verify,
    /// Encrypted, whoever answers: stops listeners, not impostors.
    Require,
    /// In clear.
    Off,
}

fn default_connect() -> u32 {
    5000
}

fn default_statement() -> u32 {
    10_000
}

fn default_lock() -> u32 {
    1000
}

fn default_connections() -> u32 {
    2
}

/// Reads and checks settings; no I/O.
pub(crate) fn read(kind: &str, given: &serde_json::Value) -> Result<Config, Vec<Error>> {
    let config: Config = settings::parse(kind, given)?;
    let wrong = |pointer: &str, message: &'static str, hint: String| {
        Error::new(ErrorKind::Config, "setting_wrong", message).at(pointer).hint(hint)
    };
    let mut findings = Vec::new();
    // A reference is resolved later; what stands in the file itself is checked now.
    if !config.url.contains("${")
        && let Err(what) = Parts::parse(kind, &config.url)
    {
        let example = format!("write {kind}://user:${{env:PASSWORD}}@host/database");
        findings.push(wrong("/url", what, example));
    }
    let limits = [
        ("/connect_timeout", config.connect_timeout),
        ("/statement_timeout", config.statement_timeout),
        ("/lock_timeout", config.lock_timeout),
    ];
    for (pointer, limit) in limits {
        if !(1..=600_000).contains(&limit) {
            findings.push(wrong(pointer, "the wait is too short or too long", "1 to 600000 milliseconds".to_owned()));
        }
    }
    if !(1..=64).contains(&config.connections) {
        findings.push(wrong("/connections", "the number of connections is out of range", "1 to 64".to_owned()));
    }
    if let Some(zone) = &config.zone
        && ahead(zone).is_none()
    {
        let hint = "write +02:00 or -05:30; a name of a zone is no fixed distance".to_owned();
        findings.push(wrong("/zone", "the distance from UTC cannot be read", hint));
    }
    if config.ca.is_some() && matches!(config.tls, Some(Tls::Off | Tls::Require)) {
        let hint = "leave `ca` out, or set `tls: verify`".to_owned();
        findings.push(wrong("/ca", "certificates of authorities are used with `tls: verify` only", hint));
    }
    if findings.is_empty() { Ok(config) } else { Err(findings) }
}

/// The database that the settings' address names, where it stands there in clear.
pub(crate) fn database(kind: &str, given: &serde_json::Value) -> Option<String> {
    let url = given["url"].as_str().filter(|url| !url.contains("${"))?;
    Parts::parse(kind, url).ok().map(|parts| parts.database)
}

/// Micros ahead of UTC.
fn ahead(zone: &str) -> Option<i64> {
    let (sign, rest) = zone.strip_prefix('+').map(|rest| (1, rest)).or_else(|| Some((-1, zone.strip_prefix('-')?)))?;
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str, most: i64| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| digits && *number <= most)
    };
    Some(sign * (number(hours, 14)? * 60 + number(minutes, 59)?) * 60_000_000)
}

/// Where to connect, how, and for how long to try.
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Option<Secret>,
    pub(crate) database: String,
    pub(crate) tls: Tls,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) schema: Option<String>,
    pub(crate) ahead: i64,
    pub(crate) connect: Duration,
    pub(crate) statement: Duration,
    pub(crate) lock: Duration,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({}:{})", self.host, self.port)
    }
}

impl Endpoint {
    pub(crate) fn resolve(kind: &str, config: &Config, build: &Build) -> Result<Self> {
        let url = build.secrets.resolve(&config.url)?;
        let parts = Parts::parse(kind, url.reveal()).map_err(|what| {
            Error::new(ErrorKind::Config, "address_wrong", what)
                .with("system", &build.system)
                .at("/url")
                .hint(format!("write {kind}://user:password@host/database"))
        })?;
        let here = ["localhost", "127.0.0.1", "::1"].contains(&parts.host.as_str());
        let millis = |limit: u32| Duration::from_millis(u64::from(limit));
        Ok(Self {
            tls: config.tls.or(parts.tls).unwrap_or(if here { Tls::Off } else { Tls::Verify }),
            ca: config.ca.as_ref().map(|ca| build.folder.join(ca)),
            schema: config.schema.clone(),
            ahead: config.zone.as_deref().and_then(ahead).unwrap_or(0),
            connect: millis(config.connect_timeout),
            statement: millis(config.statement_timeout),
            lock: millis(config.lock_timeout),
            host: parts.host,
            port: parts.port,
            user: parts.user,
            password: parts.password.map(Secret::new),
            database: parts.database,
        })
    }
}

/// An address taken apart.
struct Parts {
    user: String,
    password: Option<String>,
    host: String,
    port: u16,
    database: String,
    tls: Option<Tls>,
}

impl Parts {
    /// Takes an address apart. The sentences name no part of it: it may hold a password.
    fn parse(kind: &str, url: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = url.split_once("://").ok_or("the address has no scheme")?;
        let schemes: &[&str] = if kind == "postgres" { &["postgres", "postgresql"] } else { &["mysql", "mariadb"] };
        if !schemes.contains(&scheme) {
            return Err("the address has the scheme of another kind");
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (login, place) = rest.rsplit_once('@').ok_or("the address names no user")?;
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(decode(password)?)),
            None => (login, None),
        };
        let (place, database) = place.split_once('/').ok_or("the address names no database")?;
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        let default = if kind == "postgres" { 5432 } else { 3306 };
        let port = port.map_or(Ok(default), str::parse).map_err(|_| "the address has a port that is no number")?;
        let mut tls = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            tls = match pair.split_once('=') {
                Some(("sslmode", "disable")) => Some(Tls::Off),
                Some(("sslmode", "require")) => Some(Tls::Require),
                Some(("sslmode", "verify-full")) => Some(Tls::Verify),
                Some(("sslmode", _)) => return Err("sslmode may be disable, require or verify-full"),
                _ => return Err("the address may hold no other option than sslmode; the settings have the rest"),
            };
        }
        let (user, database, host) = (decode(user)?, decode(database)?, host.to_owned());
        if user.is_empty() || database.is_empty() || host.is_empty() {
            return Err("the address needs a user, a host and a database");
        }
        Ok(Self { user, password, host, port, database, tls })
    }
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "the address has a percent sign that no two hexadecimal digits follow";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next().ok_or(WRONG)?, rest.next().ok_or(WRONG)?];
        let digits = std::str::from_utf8(&digits).map_err(|_| WRONG)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| WRONG)?);
    }
    String::from_utf8(bytes).map_err(|_| "the address holds bytes that are no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let parts =
            Parts::parse("postgres", "postgresql://a%40b:p%3Aw:x@db.example:5555/crm?sslmode=require").ok().unwrap();
        assert_eq!((parts.user.as_str(), parts.password.as_deref()), ("a@b", Some("p:w:x")));
        assert_eq!((parts.host.as_str(), parts.port, parts.database.as_str()), ("db.example", 5555, "crm"));
        assert_eq!(parts.tls, Some(Tls::Require));
        let plain = Parts::parse("mysql", "mariadb://u@[::1]/d").ok().unwrap();
        assert_eq!((plain.host.as_str(), plain.port, plain.password), ("::1", 3306, None));
        for wrong in [
            "crm",
            "mysql://u@h/d",
            "postgres://h/d",
            "postgres://u@h",
            "postgres://u@h:x/d",
            "postgres://u@h/d?a=b",
            "postgres://u:%zz@h/d",
        ] {
            assert!(Parts::parse("postgres", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn settings_are_checked_without_a_secret() {
        let given = serde_json::json!({"url": "${env:CRM_URL}", "tls": "verify", "ca": "ca.pem"});
        assert!(read("postgres", &given).is_ok());
        let given =
            serde_json::json!({"url": "postgres:crm", "connections": 0, "lock_timeout": 0, "tls": "off", "ca": "x"});
        let found = read("postgres", &given).unwrap_err();
        assert_eq!(
            found.iter().map(|error| error.pointer().unwrap()).collect::<Vec<_>>(),
            ["/url", "/lock_timeout", "/connections", "/ca"]
        );
        for (zone, micros) in [("+02:00", Some(7_200_000_000)), ("-05:30", Some(-19_800_000_000)), ("+00:00", Some(0))]
        {
            assert_eq!(ahead(zone), micros);
        }
        for wrong in ["Europe/Berlin", "+2", "02:00", "+15:00", "+01:60", "++1:00", "", "+é1:00"] {
            assert_eq!(ahead(wrong), None, "{wrong}");
        }
    }
}

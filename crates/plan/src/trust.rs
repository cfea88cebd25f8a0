//! Who is let in and how much: the validated form of what `tendon.yaml` says about listening, TLS, identity providers, client
//! certificates, limits per caller and browsers' origins.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use crate::scope::Scope;

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrustPlan {
    /// Where to listen; `None`: the usual place on this machine.
    pub listen: Option<SocketAddr>,
    /// Whether the file accepts, in words, that plain HTTP leaves this machine.
    pub plain_http: bool,
    /// TLS of the listener.
    pub tls: Option<TlsPlan>,
    /// Identity providers by name.
    pub oidc: BTreeMap<Arc<str>, Arc<OidcPlan>>,
    /// Limits of each caller for which nothing else is said.
    pub limits: Limits,
    /// Limits by the name of the key.
    pub limits_by_name: BTreeMap<Arc<str>, Limits>,
    /// Origins of browsers that may use every address.
    pub cors: CorsPlan,
    /// Origins that may ask one integration, by its name.
    pub cors_by_integration: BTreeMap<Arc<str>, CorsPlan>,
}

/// TLS of the listener. Paths are relative to the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPlan {
    /// Certificate chain (PEM).
    pub cert: String,
    /// Private key (PEM).
    pub key: String,
    /// Authorities of client certificates (PEM).
    pub client_ca: Option<String>,
    /// Whether a connection without a client certificate is refused.
    pub client_required: bool,
    /// Longest handshake.
    pub handshake: Duration,
    /// Callers known by their certificate.
    pub clients: Vec<ClientPlan>,
}

/// A caller known by its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPlan {
    /// Its name; the ledger says `tls:NAME`.
    pub name: Arc<str>,
    /// A DNS name or URI among the certificate's alternative names.
    pub san: Option<String>,
    /// SHA-256 of the certificate.
    pub fingerprint: Option<[u8; 32]>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// How much it may ask.
    pub limits: Limits,
}

/// An identity provider whose tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcPlan {
    /// Its name here.
    pub name: Arc<str>,
    /// Its `iss`.
    pub issuer: String,
    /// Accepted values of `aud`; empty: no token of it opens the API.
    pub audience: Vec<String>,
    /// Accepted signature algorithms.
    pub algorithms: Vec<String>,
    /// Steps to the claim with the grants.
    pub claim: Vec<String>,
    /// Value in that claim → what it allows.
    pub grants: BTreeMap<String, Vec<Scope>>,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// How long known keys are used while the provider does not answer.
    pub keep: Duration,
    /// How much one of its callers may ask.
    pub limits: Limits,
    /// Signing in to the console.
    pub console: Option<SignInPlan>,
}

/// Signing in to the console with an identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInPlan {
    /// The console's id at the provider.
    pub client: String,
    /// Reference to its secret; `None`: a public client.
    pub secret: Option<String>,
    /// Where browsers reach the console: scheme, host and port.
    pub origin: String,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// Steps to the claim of ID tokens with the grants.
    pub claim: Vec<String>,
    /// What people read of the provider.
    pub title: String,
    /// Longest session.
    pub session: Duration,
}

/// How much a caller may ask. What is `None` is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Decisions per day (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<u64>,
}

impl Limits {
    /// These, and where they say nothing the others.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self { rate: self.rate.or(others.rate), quota: self.quota.or(others.quota) }
    }
}

/// So many requests in a window; all of them may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how many seconds.
    pub seconds: u32,
}

impl Rate {
    /// Reads `100/s`, `6000/m` or `50000/h`.
    pub fn parse(text: &str) -> Option<Self> {
        let (count, unit) = text.split_once('/')?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return None,
        };
        let plain = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
        let count = count.parse().ok().filter(|count| plain && *count > 0)?;
        Some(Self { count, seconds })
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = match self.seconds {
            1 => "s",
            60 => "m",
            _ => "h",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

impl serde::Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a rate looks like 100/s, 6000/m or 50000/h"))
    }
}

/// Origins of browsers that may ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorsPlan {
    /// Exact origins.
    pub origins: Vec<String>,
    /// How long a browser may remember a preflight.
    pub max_age: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_written() {
        for text in ["100/s", "6000/m", "50000/h"] {
            assert_eq!(Rate::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "100", "0/s", "-1/s", "+5/s", "1/d", "1.5/s", "100 / s", "99999999999/s"] {
            assert_eq!(Rate::parse(text), None, "{text}");
        }
    }
}

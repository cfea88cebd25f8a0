//! The shape of what `tendon.yaml` says about who is let in: TLS, identity providers, client certificates, limits, origins.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Span;
use crate::yaml::{At, Ordered};

/// TLS 1.3 of the listener. Files are looked at every second; a changed pair that does not fit is refused and the old one serves on.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["cert", "key"]))]
pub(crate) struct TlsRaw {
    /// PEM file with the certificate and those that signed it, relative to the project.
    #[schemars(required)]
    pub(crate) cert: Option<At<String>>,
    /// PEM file with its private key, relative to the project.
    #[schemars(required)]
    pub(crate) key: Option<At<String>>,
    /// PEM file with the authorities whose client certificates are accepted.
    pub(crate) client_ca: Option<At<String>>,
    /// Whether a connection without a client certificate is refused (default: optional).
    pub(crate) client: Option<At<ClientModeRaw>>,
    /// Callers that are known by their client certificate, by name. A certificate in this list needs no key.
    pub(crate) clients: Ordered<ClientRaw>,
    /// Longest handshake (default 10s).
    pub(crate) handshake: Option<Span>,
}

/// Whether clients must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientModeRaw {
    /// A certificate is looked at when there is one.
    #[default]
    Optional,
    /// No connection without one.
    Required,
}

/// A caller that is known by its certificate: by one of its names or by its fingerprint.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["scopes"]))]
pub(crate) struct ClientRaw {
    /// A DNS name or URI that stands among the certificate's alternative names, for example `spiffe://acme/billing`.
    pub(crate) san: Option<At<String>>,
    /// SHA-256 of the certificate in hexadecimal digits, as `openssl x509 -fingerprint -sha256` prints it.
    pub(crate) fingerprint: Option<At<String>>,
    /// What it may do: `decide:INTEGRATION`, `decide:*`, `review:INTEGRATION`, `review:*`, `read`, `admin`.
    #[schemars(required)]
    pub(crate) scopes: Option<Vec<At<String>>>,
    /// Requests in a time, for example `100/s`.
    pub(crate) rate: Option<At<String>>,
    /// Decisions per day (UTC).
    pub(crate) quota: Option<u64>,
}

/// Who is let in beside API keys, and how much each caller may ask.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AuthRaw {
    /// Identity providers (OpenID Connect) whose access tokens are accepted, by name.
    pub(crate) oidc: Ordered<OidcRaw>,
    /// How much a caller may ask.
    pub(crate) limits: Option<CallerLimitsRaw>,
}

/// An identity provider. Its keys are fetched from its discovery document and kept; tokens are checked here.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["issuer", "grants"]))]
pub(crate) struct OidcRaw {
    /// The provider's `iss`, exactly; an https address (http only on this machine).
    #[schemars(required)]
    pub(crate) issuer: Option<At<String>>,
    /// Accepted audiences of access tokens: what the provider writes into `aud` for this service. Without it, beside `console`, no
    /// token opens the API.
    pub(crate) audience: Option<Vec<At<String>>>,
    /// Accepted signature algorithms (default: all below; `none` and shared secrets never are).
    pub(crate) algorithms: Option<Vec<At<AlgorithmRaw>>>,
    /// The claim that holds the grants: a list, or words in one text; steps with dots, as in `realm_access.roles` (default `scope`).
    /// Names may have dots of their own: `resource_access.my.client.roles`, `https://acme.example/roles`.
    pub(crate) claim: Option<At<String>>,
    /// What each value of that claim allows: `{ leads.score: [decide:lead-score], auditors: [read] }`.
    #[schemars(required)]
    pub(crate) grants: Ordered<Vec<At<String>>>,
    /// How far the provider's clock may differ (default 60s, at most 10m).
    pub(crate) leeway: Option<Span>,
    /// How long its known keys are used while it does not answer (default 24h).
    pub(crate) keep: Option<Span>,
    /// Requests in a time for each caller of this provider, for example `100/s`.
    pub(crate) rate: Option<At<String>>,
    /// Decisions per day (UTC) for each caller of this provider.
    pub(crate) quota: Option<u64>,
    /// Signing in to the console with this provider (default: not offered).
    pub(crate) console: Option<SignInRaw>,
}

/// Signing in to the console: the authorization code flow with PKCE. What somebody may do there follows from `grants`, as for tokens;
/// whom they give nothing, nobody lets in.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["client", "url"]))]
pub(crate) struct SignInRaw {
    /// The id by which the provider knows the console as a client.
    /// None of `audience`: what proves a sign-in would open the API then.
    #[schemars(required)]
    pub(crate) client: Option<At<String>>,
    /// Reference to the client's secret, for example `${env:OIDC_SECRET}` (default: a public client, which has none).
    pub(crate) secret: Option<At<String>>,
    /// The origin at which browsers reach the console, for example `https://tendon.acme.example` (http only on this machine).
    /// The provider lets the client return to `URL/console/oidc/return`, and after signing out to `URL/console/sign-in`.
    #[schemars(required)]
    pub(crate) url: Option<At<String>>,
    /// What is asked for beside `openid`, where the provider wants that before it writes the claim, or a name to show, into ID tokens:
    /// `[profile, groups]` (default: nothing).
    pub(crate) scopes: Option<Vec<At<String>>>,
    /// The claim of ID tokens that holds the grants, as `claim` above (default: that one).
    pub(crate) claim: Option<At<String>>,
    /// What the page to sign in calls the provider (default: its name).
    pub(crate) title: Option<String>,
    /// Longest session (default and at most 12h). Who is removed at the provider stays signed in until it ends.
    pub(crate) session: Option<Span>,
}

/// A signature algorithm of tokens (RFC 7518, RFC 8037).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum AlgorithmRaw {
    /// ECDSA over P-256.
    #[default]
    ES256,
    /// ECDSA over P-384.
    ES384,
    /// Ed25519.
    EdDSA,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
}

/// How much callers may ask. What a key itself says goes before `keys`, and that before `rate` and `quota`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CallerLimitsRaw {
    /// Requests of each caller in a time, for example `100/s` (default: no limit).
    pub(crate) rate: Option<At<String>>,
    /// Decisions of each caller per day, UTC (default: no limit).
    pub(crate) quota: Option<u64>,
    /// For single keys, by the key's name.
    pub(crate) keys: Ordered<LimitRaw>,
}

/// How much one caller may ask.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LimitRaw {
    /// Requests in a time, for example `100/s`.
    pub(crate) rate: Option<At<String>>,
    /// Decisions per day (UTC).
    pub(crate) quota: Option<u64>,
}

/// Web pages of other origins that may ask from a browser.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["origins"]))]
pub(crate) struct CorsRaw {
    /// Exact origins, for example `https://crm.example`; no patterns.
    #[schemars(required)]
    pub(crate) origins: Option<Vec<At<String>>>,
    /// How long a browser may remember what is allowed (default 10m).
    pub(crate) max_age: Option<Span>,
}

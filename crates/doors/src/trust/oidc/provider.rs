//! The keys of one provider, and where it is asked for what: fetched when first needed, looked at again now and then and when a token names an unknown one, kept
//! while the provider does not answer. However many tokens come and whatever they claim, the provider is asked once at a time
//! and not more often than every few seconds.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::FutureExt as _;
use serde_json::Value;
use tendon_kernel::{
    Error, ErrorKind, Result,
    context::Context,
    sockets::http::{HttpClient, HttpRequest, Method},
};
use tendon_plan::trust::OidcPlan;

use super::{
    about::About,
    jwk::{self, Jwk},
};

/// Longest wait for one of the provider's documents.
pub(super) const WAIT: Duration = Duration::from_secs(5);
/// Largest document.
pub(super) const LARGEST: usize = 256 * 1024;
/// Shortest time between two attempts.
const PAUSE: Duration = Duration::from_secs(10);
/// When keys are looked at again although nothing asks for it.
const FRESH: Duration = Duration::from_secs(600);

/// A provider with its keys.
pub(super) struct Provider {
    pub(super) plan: Arc<OidcPlan>,
    pub(super) context: Context,
    pub(super) http: Arc<dyn HttpClient>,
    state: Mutex<State>,
    flight: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    keys: Arc<Vec<Jwk>>,
    /// What it says of itself; nothing before it was asked.
    about: Option<Arc<About>>,
    /// When they were fetched, and when that was last tried (monotonic).
    fetched: Option<Duration>,
    tried: Option<Duration>,
    failure: Option<Error>,
}

/// How a provider does.
#[derive(Clone, Debug)]
pub struct ProviderState {
    /// Its name.
    pub name: Arc<str>,
    /// Keys known.
    pub keys: usize,
    /// Code of what went wrong when its keys were last asked for.
    pub failure: Option<&'static str>,
}

impl Provider {
    pub(super) fn new(plan: Arc<OidcPlan>, context: Context, http: Arc<dyn HttpClient>) -> Self {
        Self { plan, context, http, state: Mutex::default(), flight: tokio::sync::Mutex::default() }
    }

    /// The keys that may have signed a token which names this key; empty when there is none even after asking.
    ///
    /// # Errors
    /// `Unavailable` when the keys are not known, or too old, and the provider does not tell them.
    pub(super) async fn keys(self: &Arc<Self>, kid: Option<&str>) -> Result<Vec<Jwk>> {
        let began = self.context.clock.monotonic();
        self.know(began).await?;
        let found = self.matching(kid);
        if !found.is_empty() {
            return Ok(found);
        }
        self.fetch(began).await;
        Ok(self.matching(kid))
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// As [`Provider::keys`].
    pub(super) async fn about(self: &Arc<Self>) -> Result<Arc<About>> {
        self.know(self.context.clock.monotonic()).await?;
        self.known().ok_or_else(|| self.unavailable())
    }

    /// What it said of itself when it was asked last.
    pub(super) fn known(&self) -> Option<Arc<About>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).about.clone()
    }

    /// Asks it, unless what is known is young enough.
    async fn know(self: &Arc<Self>, began: Duration) -> Result<()> {
        let age = self.age();
        if age.is_none_or(|age| age > self.plan.keep) {
            self.fetch(began).await;
            if self.age().is_none_or(|age| age > self.plan.keep) {
                return Err(self.unavailable());
            }
        } else if age.is_some_and(|age| age > FRESH) {
            // What is known serves on meanwhile.
            let again = self.clone();
            self.context.spawn.spawn("identity keys", async move { again.fetch(began).await }.boxed());
        }
        Ok(())
    }

    /// How it does.
    pub(super) fn state(&self) -> ProviderState {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = state.failure.as_ref().map(Error::code);
        ProviderState { name: self.plan.name.clone(), keys: state.keys.len(), failure }
    }

    fn matching(&self, kid: Option<&str>) -> Vec<Jwk> {
        let keys = self.state.lock().unwrap_or_else(PoisonError::into_inner).keys.clone();
        keys.iter().filter(|key| kid.is_none_or(|kid| key.kid.as_deref() == Some(kid))).cloned().collect()
    }

    fn age(&self) -> Option<Duration> {
        let fetched = self.state.lock().unwrap_or_else(PoisonError::into_inner).fetched?;
        Some(self.context.clock.monotonic().saturating_sub(fetched))
    }

    fn unavailable(&self) -> Error {
        let detail = self.state.lock().unwrap_or_else(PoisonError::into_inner).failure.as_ref().map(Error::to_string);
        Error::new(
            ErrorKind::Unavailable,
            "identity_unavailable",
            "the identity provider cannot be asked for its keys now",
        )
        .with("provider", &self.plan.name)
        .private(detail.unwrap_or_default())
    }

    /// Asks the provider, unless somebody did after `began` or a moment ago.
    async fn fetch(&self, began: Duration) {
        let _one = self.flight.lock().await;
        let now = self.context.clock.monotonic();
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.tried.is_some_and(|tried| tried >= began || now.saturating_sub(tried) < PAUSE) {
                return;
            }
            state.tried = Some(now);
        }
        let outcome = self.ask().await;
        let word = if outcome.is_ok() { "ok" } else { "failed" };
        let labels = [("provider", &*self.plan.name), ("outcome", word)];
        self.context.metrics.counter("tendon_identity_fetches_total", "Key sets asked for.", &labels).increment();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok((about, keys)) => {
                state.keys = Arc::new(keys);
                state.about = Some(Arc::new(about));
                state.fetched = Some(self.context.clock.monotonic());
                state.failure = None;
            }
            Err(error) => {
                tracing::warn!(
                    provider = %self.plan.name, code = error.code(), detail = error.private_detail(),
                    "the keys of an identity provider could not be fetched: {error}"
                );
                state.failure = Some(error);
            }
        }
    }

    async fn ask(&self) -> Result<(About, Vec<Jwk>)> {
        let issuer = self.plan.issuer.trim_end_matches('/');
        let discovery = self.document(&format!("{issuer}/.well-known/openid-configuration")).await?;
        if discovery.get("issuer").and_then(Value::as_str) != Some(&self.plan.issuer) {
            return Err(wrong("the discovery document is of another issuer"));
        }
        let place = discovery.get("jwks_uri").and_then(Value::as_str).unwrap_or_default();
        // Keys that come in plain text could be anybody's. A provider on this machine may speak plain HTTP throughout.
        if !place.starts_with("https://") && !self.plan.issuer.starts_with("http://") {
            return Err(wrong("the discovery document names no https address for the keys"));
        }
        let keys = jwk::read(&self.document(place).await?);
        if keys.is_empty() {
            return Err(wrong("the key set holds no key that can verify tokens"));
        }
        Ok((About::read(&discovery, &self.plan.issuer), keys))
    }

    async fn document(&self, url: &str) -> Result<Value> {
        let mut request =
            HttpRequest::new(Method::Get, url, self.context.deadline_in(WAIT)).header("accept", "application/json");
        request.max_response = LARGEST;
        let answer = self.http.send(request).await?;
        if !answer.ok() {
            return Err(
                wrong("a document of the provider is answered with another status").with("status", answer.status)
            );
        }
        serde_json::from_slice(&answer.body).map_err(|_| wrong("a document of the provider is no JSON"))
    }
}

pub(super) fn wrong(what: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, "identity_answer", what)
}

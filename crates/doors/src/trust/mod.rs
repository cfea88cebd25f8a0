//! Who is asking, for every door: an API key, a token of an identity provider, or a client certificate becomes a known caller
//! with what it may do. Doors bring the credentials they found; nobody else looks at them.

mod holder;
mod oidc;
mod peer;
mod tls;
mod token;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tendon_engine::{Engine, ask::Caller};
use tendon_kernel::{
    Error, ErrorKind, Result,
    context::Context,
    sockets::{
        http::HttpClient,
        secrets::{Keys, Secrets},
    },
};
use tendon_plan::{
    Plan, Scope,
    trust::{ClientPlan, Limits, TrustPlan},
};

use crate::keys::KeyRing;
use holder::Badges;
pub use holder::Holder;
pub(crate) use holder::no_badge;
use oidc::Oidc;
pub use oidc::ProviderState;
pub(crate) use oidc::{Coming, Leaving, Person, Way, no_way};
pub use peer::Peer;
pub(crate) use tls::accept;
pub use tls::{Tls, TlsNow};

/// A caller that was recognised, with what it may do.
#[derive(Debug)]
pub struct Known {
    /// As the path sees it.
    pub caller: Caller,
    /// Whether it may read what others asked.
    pub read: bool,
    /// What waits for a person, of which integrations it may see and answer; `None`: of all.
    pub reviews: Option<Arc<[String]>>,
    /// Whether it may get going again what stopped.
    pub operate: bool,
    /// Whether it may do everything.
    pub admin: bool,
    /// How much it may ask, as far as its credentials say so.
    pub limits: Limits,
}

impl Known {
    /// A caller with these scopes. `id` stands in the ledger; `scope` is whose idempotency keys, rate and quota these are.
    pub fn new(id: Arc<str>, scope: Arc<str>, scopes: &[Scope], limits: Limits) -> Self {
        let all = scopes.iter().any(|scope| matches!(scope, Scope::DecideAll | Scope::Admin));
        let named = scopes.iter().filter_map(|scope| match scope {
            Scope::Decide(name) => Some(name.clone()),
            _ => None,
        });
        let integrations = if all { None } else { Some(named.collect::<Arc<[String]>>()) };
        let every = scopes.iter().any(|scope| matches!(scope, Scope::ReviewAll | Scope::Admin));
        let named = scopes.iter().filter_map(|scope| match scope {
            Scope::Review(name) => Some(name.clone()),
            _ => None,
        });
        let reviews = if every { None } else { Some(named.collect::<Arc<[String]>>()) };
        Self {
            caller: Caller { id, scope, integrations },
            read: scopes.iter().any(|scope| matches!(scope, Scope::Read | Scope::Operate | Scope::Admin)),
            reviews,
            operate: scopes.iter().any(|scope| matches!(scope, Scope::Operate | Scope::Admin)),
            admin: scopes.contains(&Scope::Admin),
            limits,
        }
    }

    /// Who it is, as a change's entry names it. Several keys may have one name, so a key is named with its id; whoever else asks is
    /// called by an id anyway.
    pub fn person(&self) -> String {
        let Caller { id, scope, .. } = &self.caller;
        if id == scope { id.to_string() } else { format!("{scope} ({id})") }
    }

    /// Whether it may see and answer what waits for a person of this integration.
    pub fn may_review(&self, integration: &str) -> bool {
        self.reviews.as_ref().is_none_or(|names| names.iter().any(|own| own == integration))
    }
}

/// Takes one request out of the caller's rate. What its credentials say goes before what the file says of its name, and that
/// before what the file says of everybody. Every door calls it once per request.
///
/// # Errors
/// `Overloaded` when nothing is left.
pub fn take(engine: &Engine, known: &Known) -> Result<()> {
    let runtime = engine.runtime();
    let trust = &runtime.plan().trust;
    let scope = &known.caller.scope;
    let named = trust.limits_by_name.get(scope).copied().unwrap_or_default();
    engine.allowances().request(scope, known.limits.or(named).or(trust.limits))
}

/// What a request brought along.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credentials<'a> {
    /// The value of `Authorization`; `Some("")` when it is no text.
    pub authorization: Option<&'a str>,
    /// The client certificate of the connection.
    pub peer: Option<&'a Peer>,
}

/// Recognises callers.
pub struct Gate {
    parts: GateParts,
    rules: ArcSwap<Rules>,
}

/// What a gate stands on.
#[derive(Clone)]
pub struct GateParts {
    /// The API keys.
    pub keys: Arc<KeyRing>,
    /// Time and tasks.
    pub context: Context,
    /// Asks identity providers.
    pub http: Arc<dyn HttpClient>,
    /// Keeps the key by which subjects of tokens become ids.
    pub sealed: Arc<dyn Keys>,
    /// Resolves the secrets by which pages sign tokens.
    pub secrets: Arc<dyn Secrets>,
}

/// What a plan says about callers.
#[derive(Default)]
pub struct Rules {
    clients: Vec<(ClientPlan, Arc<Known>)>,
    oidc: Option<Oidc>,
    badges: Badges,
}

impl Gate {
    /// A gate that knows keys, and nothing of a plan before [`Gate::adopt`].
    pub fn new(parts: GateParts) -> Self {
        Self { parts, rules: ArcSwap::default() }
    }

    /// Makes the rules of a plan, which take no effect before [`Gate::adopt`].
    ///
    /// # Errors
    /// As the key store's, when tokens are to be accepted; `Config` for a secret that has no value or is too short.
    pub fn prepare(&self, plan: &Plan) -> Result<Rules> {
        let badges = Badges::of(plan, &*self.parts.secrets)?;
        let plan: &TrustPlan = &plan.trust;
        let clients = plan.tls.iter().flat_map(|tls| &tls.clients).map(|client| {
            let name: Arc<str> = format!("tls:{}", client.name).into();
            let known = Known::new(name.clone(), name, &client.scopes, client.limits);
            (client.clone(), Arc::new(known))
        });
        let before = self.rules.load();
        let oidc = if plan.oidc.is_empty() {
            None
        } else {
            let key = self.parts.sealed.key("callers")?;
            let GateParts { context, http, .. } = &self.parts;
            Some(Oidc::new(&plan.oidc, before.oidc.as_ref(), context.clone(), http, &key, &*self.parts.secrets)?)
        };
        Ok(Rules { clients: clients.collect(), oidc, badges })
    }

    /// Puts rules in force.
    pub fn adopt(&self, rules: Rules) {
        self.rules.store(Arc::new(rules));
    }

    /// How the identity providers do.
    pub fn providers(&self) -> Vec<ProviderState> {
        self.rules.load().oidc.as_ref().map(Oidc::states).unwrap_or_default()
    }

    /// Recognises the key that somebody signs in to the console with.
    ///
    /// # Errors
    /// As [`KeyRing::recognise`].
    pub fn sign_in(&self, key: &str) -> Result<Arc<Known>> {
        self.parts.keys.recognise(key)
    }

    /// What the key with this id may do now; nothing when it is not in force any more.
    pub fn standing(&self, id: &str) -> Option<Arc<Known>> {
        self.parts.keys.standing(id)
    }

    /// The ways to sign in to the console beside keys.
    pub(crate) fn ways(&self) -> Vec<Way> {
        self.rules.load().oidc.as_ref().map(Oidc::ways).unwrap_or_default()
    }

    /// The address that a browser leaves for, to sign in with a provider.
    ///
    /// # Errors
    /// `NotFound` for another name than those of [`Gate::ways`]; `Unavailable` when the provider cannot be asked.
    pub(crate) async fn depart(&self, name: &str, leaving: &Leaving<'_>) -> Result<String> {
        let rules = self.rules.load_full();
        rules.oidc.as_ref().ok_or_else(no_way)?.depart(name, leaving).await
    }

    /// Refuses an answer of another provider than was asked.
    ///
    /// # Errors
    /// `NotFound` as before; `Unauthenticated`; `Unavailable` when it cannot be told.
    pub(crate) async fn sent_by(&self, name: &str, issuer: Option<&str>) -> Result<()> {
        let rules = self.rules.load_full();
        rules.oidc.as_ref().ok_or_else(no_way)?.sent_by(name, issuer).await
    }

    /// Recognises who came back from a provider with a code.
    ///
    /// # Errors
    /// `NotFound` as before; `Unauthenticated` when the code proves nothing; `Forbidden` for somebody who may do nothing here;
    /// `Unavailable` when the provider does not answer as it should.
    pub(crate) async fn arrive(&self, name: &str, coming: &Coming<'_>) -> Result<Person> {
        let rules = self.rules.load_full();
        rules.oidc.as_ref().ok_or_else(no_way)?.arrive(name, coming).await
    }

    /// What somebody who signed in with a provider may do now; nothing when the plan in force gives them nothing any more.
    pub(crate) fn standing_person(&self, person: &Person) -> Option<Arc<Known>> {
        self.rules.load().oidc.as_ref()?.standing(person).map(Arc::new)
    }

    /// Where somebody signs out at their provider, too, where it has such an address.
    pub(crate) fn farewell(&self, person: &Person) -> Option<String> {
        self.rules.load().oidc.as_ref()?.farewell(person)
    }

    /// Recognises the holder of a token that a page's server signed for one subject of an integration.
    ///
    /// # Errors
    /// `NotFound` when the integration has no badge; `Unauthenticated` when the token is not genuine, not valid now, or for
    /// another integration; `Forbidden` when it is for another subject than the one asked about.
    pub fn holder(&self, integration: &str, authorization: Option<&str>, asked: Option<&str>) -> Result<Holder> {
        let rules = self.rules.load();
        rules.badges.holder(integration, authorization.map(bearer), asked, self.parts.context.clock.now())
    }

    /// Recognises a caller. What stands in `Authorization` goes before the certificate of the connection.
    ///
    /// # Errors
    /// `Unauthenticated` without valid credentials; `Forbidden` for a token that allows nothing; `Unavailable` when the keys of
    /// a token's issuer are not known.
    pub async fn identify(&self, credentials: Credentials<'_>) -> Result<Arc<Known>> {
        match (credentials.authorization, credentials.peer) {
            (Some(value), _) => {
                let text = bearer(value);
                let rules = self.rules.load_full();
                match &rules.oidc {
                    Some(oidc) if !text.is_empty() && !text.starts_with("tdn_") => oidc.identify(text).await,
                    _ => self.parts.keys.recognise(text),
                }
            }
            (None, Some(peer)) => self.client(peer),
            (None, None) => Err(Error::new(ErrorKind::Unauthenticated, "key_missing", "the request has no API key")
                .hint("send `Authorization: Bearer tdn_…`; `tendon keys create --name NAME` makes a key")),
        }
    }

    fn client(&self, peer: &Peer) -> Result<Arc<Known>> {
        let rules = self.rules.load();
        let found = rules.clients.iter().find(|(client, _)| {
            client.fingerprint.is_some_and(|fingerprint| fingerprint == peer.fingerprint)
                || client.san.as_ref().is_some_and(|san| peer.names.contains(san))
        });
        if found.is_some() && peer.ends.is_some_and(|ends| ends <= self.parts.context.clock.now()) {
            return Err(Error::new(
                ErrorKind::Unauthenticated,
                "client_ended",
                "the client certificate has ended since the connection was made",
            )
            .hint("connect anew with a renewed certificate"));
        }
        found.map(|(_, known)| known.clone()).ok_or_else(|| {
            Error::new(ErrorKind::Unauthenticated, "client_unknown", "the client certificate is trusted, but belongs to no known caller")
                .hint("`server.tls.clients` lists callers by a name (san) or the fingerprint of their certificate; or send an API key")
        })
    }
}

/// The credentials behind `Bearer`; empty for every other scheme.
fn bearer(value: &str) -> &str {
    match value.split_once(' ') {
        Some((scheme, text)) if scheme.eq_ignore_ascii_case("bearer") => text.trim(),
        _ => "",
    }
}

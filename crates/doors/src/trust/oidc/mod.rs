//! Identity providers (OpenID Connect): whose their access tokens are and what they allow, by the rules of the plan; and people who
//! sign in to the console with one of them.

mod about;
mod flow;
mod jwk;
mod provider;

use std::{collections::BTreeMap, sync::Arc};

use ring::hmac;
use serde_json::Value;
use tendon_kernel::{
    Error, ErrorKind, Result,
    context::Context,
    sockets::{
        http::HttpClient,
        secrets::{Key, Secret, Secrets},
    },
};
use tendon_plan::{Scope, trust::OidcPlan};

use super::{
    Known,
    token::{Claims, Unverified, refused},
};
use crate::keys::hex;
pub(crate) use flow::{Coming, Leaving, Person, Way, no_way};
use provider::Provider;
pub use provider::ProviderState;

/// All providers.
pub(super) struct Oidc {
    context: Context,
    providers: Vec<Arc<Provider>>,
    /// Turns subjects into ids that tell nobody who they are.
    names: hmac::Key,
    /// What the console proves itself with to a provider, by the provider's name.
    secrets: BTreeMap<Arc<str>, Secret>,
}

impl Oidc {
    /// Providers of a plan. Those of `before` that have not changed keep their keys.
    ///
    /// # Errors
    /// `Config` for a secret that has no value.
    pub(super) fn new(
        plans: &BTreeMap<Arc<str>, Arc<OidcPlan>>,
        before: Option<&Self>,
        context: Context,
        http: &Arc<dyn HttpClient>,
        key: &Key,
        resolve: &dyn Secrets,
    ) -> Result<Self> {
        let known = before.map(|before| before.providers.as_slice()).unwrap_or_default();
        let provider = |plan: &Arc<OidcPlan>| match known.iter().find(|provider| provider.plan == *plan) {
            Some(provider) => provider.clone(),
            None => Arc::new(Provider::new(plan.clone(), context.clone(), http.clone())),
        };
        let providers = plans.values().map(provider).collect();
        let references = plans.values().filter_map(|plan| Some((&plan.name, plan.console.as_ref()?.secret.as_ref()?)));
        let secrets = references.map(|(name, reference)| Ok((name.clone(), resolve.resolve(reference)?)));
        let secrets = secrets.collect::<Result<_>>()?;
        Ok(Self { providers, names: hmac::Key::new(hmac::HMAC_SHA256, &key.0), secrets, context })
    }

    /// How the providers do.
    pub(super) fn states(&self) -> Vec<ProviderState> {
        self.providers.iter().map(|provider| provider.state()).collect()
    }

    /// Recognises the bearer of a token.
    ///
    /// # Errors
    /// `Unauthenticated` when it is not genuine or not valid here and now; `Forbidden` when it allows nothing here;
    /// `Unavailable` when nobody can tell.
    pub(super) async fn identify(&self, text: &str) -> Result<Arc<Known>> {
        let token = Unverified::read(text)?;
        let provider = self.providers.iter().find(|provider| provider.plan.issuer == token.issuer());
        let Some(provider) = provider else {
            return Err(refused("token_issuer", "the token is of an issuer that is not accepted here"));
        };
        let plan = &provider.plan;
        let claims = genuine(provider, token).await?;
        if !claims.meant_for(|one| plan.audience.iter().any(|known| known == one)) {
            return Err(refused("token_audience", "the token is meant for another service")
                .hint("ask the identity provider for a token whose audience is this service"));
        }
        claims.left(self.context.clock.now(), plan.leeway)?;
        let id = self.id(plan, &claims)?;
        let scopes = scopes(plan, granted(&plan.claim, &claims));
        if scopes.is_empty() {
            return Err(without_grants(&plan.claim));
        }
        Ok(Arc::new(Known::new(id.clone(), id, &scopes, plan.limits)))
    }

    /// What the ledger calls somebody: it never holds a person's name, and nobody without the key can find out whose id this is.
    fn id(&self, plan: &OidcPlan, claims: &Claims) -> Result<Arc<str>> {
        let subject = claims.text("sub").filter(|subject| !subject.is_empty());
        let subject = subject.ok_or_else(|| refused("token_malformed", "the token names no subject (`sub`)"))?;
        let tag = hmac::sign(&self.names, format!("{}\0{subject}", plan.issuer).as_bytes());
        Ok(format!("oidc:{}:{}", plan.name, hex(tag.as_ref().get(..12).unwrap_or_default())).into())
    }
}

/// The claims of a token that a key of its issuer has signed, with an algorithm that is accepted here.
async fn genuine(provider: &Arc<Provider>, token: Unverified<'_>) -> Result<Claims> {
    if !provider.plan.algorithms.contains(&token.alg) {
        return Err(refused("token_algorithm", "the token's signature algorithm is not accepted here"));
    }
    let keys = provider.keys(token.kid.as_deref()).await?;
    let (signed, signature) = token.signed();
    let mut fitting = keys.iter().filter(|key| key.fits(&token.alg));
    if !fitting.any(|key| key.verifies(&token.alg, signed, signature)) {
        return Err(refused("token_signature", "the token is not signed by a key of its issuer"));
    }
    Ok(token.genuine())
}

/// What these values allow.
fn scopes<'v>(plan: &OidcPlan, values: impl Iterator<Item = &'v str>) -> Vec<Scope> {
    values.filter_map(|value| plan.grants.get(value)).flatten().cloned().collect()
}

fn without_grants(claim: &[String]) -> Error {
    Error::new(ErrorKind::Forbidden, "token_without_grants", "the token allows nothing here")
        .with("claim", claim.join("."))
        .hint("`auth.oidc` says which values of this claim allow what")
}

/// The values of the claim with the grants: a list, or words in one text.
fn granted<'c>(claim: &[String], claims: &'c Claims) -> impl Iterator<Item = &'c str> + use<'c> {
    let place = claims.place(claim);
    let (list, words) = match place {
        Some(Value::Array(list)) => (list.as_slice(), ""),
        Some(Value::String(words)) => (&[][..], words.as_str()),
        _ => (&[][..], ""),
    };
    list.iter().filter_map(Value::as_str).chain(words.split_ascii_whitespace())
}

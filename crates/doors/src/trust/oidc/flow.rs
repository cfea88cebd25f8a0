//! Signing in with a provider: the authorization code flow (OpenID Connect Core 1.0, 3.1) with PKCE (RFC 7636). Here is what is said
//! to the provider and how its answer is checked; which browser it was, the console remembers.

use std::{fmt, sync::Arc, time::Duration};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::digest;
use serde_json::Value;
use tendon_kernel::{
    Error, ErrorKind, Result,
    sockets::{
        http::{HttpRequest, Method},
        secrets::Secret,
    },
};
use tendon_plan::trust::{OidcPlan, SignInPlan};

use super::{
    Claims, Oidc, Unverified, genuine, granted,
    provider::{LARGEST, Provider, WAIT, wrong},
    refused, scopes, without_grants,
};
use crate::{api::query::encoded, keys::hash, trust::Known};

/// Where providers send people back to.
const RETURN: &str = "/console/oidc/return";
/// Where they send them after signing out.
const OUT: &str = "/console/sign-in";
/// Longest ID token that is kept for signing out; without it the provider asks whether somebody wants to.
const HINT: usize = 4096;
/// Characters of a name that are shown.
const NAME: usize = 80;

/// A way to sign in.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// The provider's name in the plan.
    pub(crate) name: Arc<str>,
    /// What people read.
    pub(crate) title: String,
    /// Where browsers reach the console.
    pub(crate) origin: String,
}

/// What a browser takes along to the provider.
pub(crate) struct Leaving<'a> {
    /// Comes back beside the code.
    pub(crate) state: &'a str,
    /// Comes back inside the ID token.
    pub(crate) nonce: &'a str,
    /// Goes with the code; only its hash goes along with the browser.
    pub(crate) verifier: &'a str,
}

/// What a browser brings back, and what was kept of how it left.
pub(crate) struct Coming<'a> {
    pub(crate) code: &'a str,
    /// Who says that it sent the browser back (RFC 9207).
    pub(crate) issuer: Option<&'a str>,
    pub(crate) nonce: &'a str,
    pub(crate) verifier: &'a str,
}

/// Somebody who signed in. What they may do is looked up anew in the plan for each request.
pub(crate) struct Person {
    /// What limits and the ledger call them.
    pub(crate) id: Arc<str>,
    /// What the provider calls them, for their own eyes; never logged or recorded.
    pub(crate) name: Option<String>,
    /// What people read of the provider.
    pub(crate) title: String,
    /// Longest session.
    pub(crate) longest: Duration,
    provider: Arc<str>,
    issuer: String,
    client: String,
    /// The claim with the grants, and what it said.
    claim: Vec<String>,
    values: Vec<String>,
    /// The ID token, for signing out.
    token: Option<Secret>,
}

/// Shows nothing of a person.
impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl Oidc {
    /// The ways to sign in, by name.
    pub(in crate::trust) fn ways(&self) -> Vec<Way> {
        let way = |provider: &Arc<Provider>| {
            let console = provider.plan.console.as_ref()?;
            let (name, title, origin) = (provider.plan.name.clone(), console.title.clone(), console.origin.clone());
            Some(Way { name, title, origin })
        };
        self.providers.iter().filter_map(way).collect()
    }

    /// The address that a browser leaves for.
    ///
    /// # Errors
    /// `Unavailable` when the provider cannot be asked, or does not say where.
    pub(in crate::trust) async fn depart(&self, name: &str, leaving: &Leaving<'_>) -> Result<String> {
        let (provider, console) = self.signs_in(name)?;
        let about = provider.about().await?;
        let to = about
            .authorization
            .as_deref()
            .ok_or_else(|| wrong("the discovery document names no address to sign in at"))?;
        let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, leaving.verifier.as_bytes()));
        let scope: String = console.scopes.iter().fold("openid".to_owned(), |all, scope| all + " " + scope);
        Ok(with(
            to,
            &[
                ("response_type", "code"),
                ("client_id", &console.client),
                ("redirect_uri", &format!("{}{RETURN}", console.origin)),
                ("scope", &scope),
                ("state", leaving.state),
                ("nonce", leaving.nonce),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
            ],
        ))
    }

    /// Refuses what another provider than this one has sent: its code would go to where it could be stolen.
    ///
    /// # Errors
    /// `Unauthenticated`.
    pub(in crate::trust) async fn sent_by(&self, name: &str, issuer: Option<&str>) -> Result<()> {
        let (provider, _) = self.signs_in(name)?;
        let fits = match issuer {
            Some(issuer) => issuer == provider.plan.issuer,
            None => !provider.about().await?.names_itself,
        };
        if fits {
            Ok(())
        } else {
            Err(refused("sign_in_issuer", "the answer comes from another provider than was asked"))
        }
    }

    /// Recognises who came back with a code.
    ///
    /// # Errors
    /// `Unauthenticated` when that proves nothing; `Forbidden` when the person may do nothing here; `Unavailable` when the provider
    /// does not answer, or in another way than it should.
    pub(in crate::trust) async fn arrive(&self, name: &str, coming: &Coming<'_>) -> Result<Person> {
        self.sent_by(name, coming.issuer).await?;
        let (provider, console) = self.signs_in(name)?;
        let text = self.exchange(provider, console, coming).await?;
        let token = Unverified::read(text.reveal())?;
        let plan = &provider.plan;
        if token.issuer() != plan.issuer {
            return Err(refused("token_issuer", "the ID token is of another issuer"));
        }
        if token.access {
            return Err(refused("token_malformed", "what came is an access token, and no ID token"));
        }
        let claims = genuine(provider, token).await?;
        meant_for_us(&claims, &console.client)?;
        if claims.get("iat").is_none() {
            return Err(refused("token_malformed", "the ID token does not say when it was issued: it has no `iat`"));
        }
        claims.left(self.context.clock.now(), plan.leeway)?;
        // Hashes are compared: how long it takes tells nothing of the nonce.
        if claims.text("nonce").map(hash) != Some(hash(coming.nonce)) {
            return Err(refused("sign_in_nonce", "the ID token was made for another sign-in"));
        }
        let person = Person {
            id: self.id(plan, &claims)?,
            name: shown(&claims),
            title: console.title.clone(),
            longest: console.session,
            provider: plan.name.clone(),
            issuer: plan.issuer.clone(),
            client: console.client.clone(),
            claim: console.claim.clone(),
            values: granted(&console.claim, &claims).map(str::to_owned).collect(),
            token: Some(text).filter(|text| text.reveal().len() <= HINT),
        };
        self.standing(&person).map(|_| person).ok_or_else(|| without_grants(&console.claim))
    }

    /// What somebody may do now; nothing when their provider, its client or what gave them something is not in the plan any more.
    pub(in crate::trust) fn standing(&self, person: &Person) -> Option<Known> {
        let (plan, _) = self.of(person)?;
        let scopes = scopes(plan, person.values.iter().map(String::as_str));
        let known = Known::new(person.id.clone(), person.id.clone(), &scopes, plan.limits);
        (!scopes.is_empty()).then_some(known)
    }

    /// The address where somebody signs out at the provider, too, where it has one.
    pub(in crate::trust) fn farewell(&self, person: &Person) -> Option<String> {
        let (plan, console) = self.of(person)?;
        let about = self.providers.iter().find(|provider| provider.plan.name == plan.name)?.known()?;
        let back = format!("{}{OUT}", console.origin);
        let mut all = vec![("client_id", &*console.client), ("post_logout_redirect_uri", &back), ("state", "out")];
        all.extend(person.token.as_ref().map(|token| ("id_token_hint", token.reveal())));
        Some(with(about.end_session.as_deref()?, &all))
    }

    fn of(&self, person: &Person) -> Option<(&OidcPlan, &SignInPlan)> {
        let (provider, console) = self.signs_in(&person.provider).ok()?;
        let same =
            provider.plan.issuer == person.issuer && console.client == person.client && console.claim == person.claim;
        same.then_some((&*provider.plan, console))
    }

    fn signs_in(&self, name: &str) -> Result<(&Arc<Provider>, &SignInPlan)> {
        let found = self.providers.iter().find(|provider| &*provider.plan.name == name);
        found.and_then(|provider| Some((provider, provider.plan.console.as_ref()?))).ok_or_else(no_way)
    }

    /// Asks for the ID token of a code.
    async fn exchange(&self, provider: &Arc<Provider>, console: &SignInPlan, coming: &Coming<'_>) -> Result<Secret> {
        // A reload may have forgotten it since somebody left.
        let about = provider.about().await?;
        let to = about.token.as_deref().ok_or_else(|| wrong("the discovery document names no address for codes"))?;
        let back = format!("{}{RETURN}", console.origin);
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", coming.code),
            ("redirect_uri", &*back),
            ("code_verifier", coming.verifier),
        ];
        let mut request = HttpRequest::new(Method::Post, to, provider.context.deadline_in(WAIT))
            .header("accept", "application/json")
            .header("content-type", "application/x-www-form-urlencoded");
        request.max_response = LARGEST;
        match self.secrets.get(&provider.plan.name) {
            // RFC 6749, 2.3.1: each half is encoded as in a form first.
            Some(secret) if !about.secret_in_form => {
                let both = format!("{}:{}", encoded(&console.client), encoded(secret.reveal()));
                request = request.header("authorization", format!("Basic {}", STANDARD.encode(both)));
            }
            secret => {
                form.push(("client_id", &console.client));
                form.extend(secret.map(|secret| ("client_secret", secret.reveal())));
            }
        }
        let answer = provider.http.send(request.body(pairs(&form))).await?;
        let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.ok() {
            let token = told.get("id_token").and_then(Value::as_str);
            return token.map(Secret::new).ok_or_else(|| wrong("the provider gave no ID token for the code"));
        }
        Err(match told.get("error").and_then(Value::as_str) {
            Some("invalid_grant") => refused("sign_in_code", "the provider does not know the code, or not any more"),
            Some("invalid_client" | "unauthorized_client") => Error::new(
                ErrorKind::Unavailable,
                "sign_in_client",
                "the provider does not accept the console as a client",
            ),
            _ => wrong("the provider gave no ID token for the code").with("status", answer.status),
        })
    }
}

/// What is said where nobody signs in with a provider of this name.
pub(crate) fn no_way() -> Error {
    Error::new(ErrorKind::NotFound, "no_provider", "nobody signs in with a provider of this name")
        .hint("`auth.oidc.NAME.console` says with whom people sign in")
}

/// OpenID Connect Core 1.0, 3.1.3.7: an ID token for others, too, must say that it was made for this client.
fn meant_for_us(claims: &Claims, client: &str) -> Result<()> {
    let alone = !matches!(claims.get("aud"), Some(Value::Array(list)) if list.len() != 1);
    let made_for = match claims.get("azp") {
        None => alone,
        Some(azp) => azp.as_str() == Some(client),
    };
    if made_for && claims.meant_for(|one| one == client) {
        return Ok(());
    }
    Err(refused("token_audience", "the ID token is meant for another client"))
}

/// A name to show, without what has no form.
fn shown(claims: &Claims) -> Option<String> {
    let name = ["name", "preferred_username"].iter().find_map(|name| claims.text(name))?;
    let name: String = name.chars().filter(|one| !one.is_control()).take(NAME).collect();
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

fn with(address: &str, all: &[(&str, &str)]) -> String {
    let join = if address.contains('?') { '&' } else { '?' };
    format!("{address}{join}{}", pairs(all))
}

fn pairs(all: &[(&str, &str)]) -> String {
    all.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
}

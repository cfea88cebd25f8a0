//! Holders of a badge's token: people at the page of somebody else, whom that page's server lets see one subject of one
//! integration for a few minutes. They are no callers: nothing but the badge knows them, and no key or scope is theirs.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ring::hmac;
use tendon_kernel::{Error, ErrorKind, Result, Timestamp, sockets::secrets::Secrets};
use tendon_plan::Plan;

use super::{
    Known,
    token::{Unverified, refused},
};

/// The only algorithm: what a server can write in a few lines of any language.
const ALGORITHM: &str = "HS256";
/// Shortest secret, as RFC 7518 wants it for HS256.
const SHORTEST: usize = 32;
/// Longest subject in bytes.
const SUBJECT: usize = 1024;
/// How far the clocks of the page's server and this machine may differ.
const LEEWAY: Duration = Duration::from_secs(30);

/// Somebody with a valid token.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Of which integration.
    pub integration: Arc<str>,
    /// About whom: nobody else is shown.
    pub subject: Arc<str>,
    /// As limits and the ledger know all holders of this integration together; may do nothing that callers may.
    pub known: Arc<Known>,
}

/// The badges of a plan.
#[derive(Default)]
pub(super) struct Badges(BTreeMap<Arc<str>, Badge>);

/// One of them.
struct Badge {
    /// The secret that is in use, and the one before.
    keys: Vec<hmac::Key>,
    lifetime: Duration,
    known: Arc<Known>,
}

impl Badges {
    /// Resolves their secrets.
    ///
    /// # Errors
    /// `Config` for a secret that has no value or is too short.
    pub(super) fn of(plan: &Plan, secrets: &dyn Secrets) -> Result<Self> {
        let mut badges = BTreeMap::new();
        for one in plan.integrations.values() {
            let Some(holders) = one.embed.as_ref().and_then(|embed| embed.holders.as_ref()) else { continue };
            let mut keys = Vec::new();
            for reference in [Some(&holders.secret), holders.old_secret.as_ref()].into_iter().flatten() {
                let secret = secrets.resolve(reference)?;
                if secret.reveal().len() < SHORTEST {
                    return Err(too_short(&one.name));
                }
                keys.push(hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes()));
            }
            let name: Arc<str> = format!("embed:{}", one.name).into();
            let known = Arc::new(Known::new(name.clone(), name, &[], super::Limits::default()));
            badges.insert(one.name.clone(), Badge { keys, lifetime: holders.lifetime, known });
        }
        Ok(Self(badges))
    }

    /// Recognises a holder; `asked`: the subject that the badge wants to show, percent-encoded, where it says so.
    ///
    /// # Errors
    /// As [`super::Gate::holder`].
    pub(super) fn holder(
        &self,
        integration: &str,
        token: Option<&str>,
        asked: Option<&str>,
        now: Timestamp,
    ) -> Result<Holder> {
        let (integration, badge) = self.0.get_key_value(integration).ok_or_else(no_badge)?;
        let token = token.ok_or_else(|| refused("token_missing", "the badge has no token").hint(HINT))?;
        let token = Unverified::read(token).map_err(|_| malformed("the badge's token cannot be read"))?;
        if token.alg != ALGORITHM {
            return Err(refused("token_algorithm", "the token's signature algorithm is not accepted here")
                .hint("sign the tokens of a badge with HS256"));
        }
        let (signed, signature) = token.signed();
        // Compares in constant time.
        if !badge.keys.iter().any(|key| hmac::verify(key, signed, signature).is_ok()) {
            return Err(refused("token_signature", "the token is not signed with the secret of this badge")
                .hint("the server of the page and `doors.embed.secret` must hold the same bytes"));
        }
        let claims = token.genuine();
        if !claims.meant_for(|one| one == &**integration) {
            return Err(refused("token_audience", "the token is meant for another integration")
                .hint("`aud` is the integration's name"));
        }
        let left = claims.left(now, LEEWAY)?;
        if left > (badge.lifetime + LEEWAY).as_secs_f64() {
            return Err(refused("token_lifetime", "the token lives longer than this badge lets it")
                .hint(format!("`exp` may be at most {} s ahead", badge.lifetime.as_secs())));
        }
        let subject = claims.text("sub").filter(|subject| (1..=SUBJECT).contains(&subject.len()));
        let subject = subject.ok_or_else(|| malformed("the token names no subject (`sub`)"))?;
        if asked.is_some_and(|asked| crate::api::query::decoded(asked).as_deref() != Some(subject)) {
            return Err(Error::new(ErrorKind::Forbidden, "token_subject", "the token is for another subject")
                .hint("the attribute `subject` of the badge and `sub` of its token are the same text"));
        }
        Ok(Holder { integration: integration.clone(), subject: subject.into(), known: badge.known.clone() })
    }
}

const HINT: &str = "the server of the page signs one: a JWT with HS256 that has `sub`, `aud` and `exp`";

fn malformed(message: &'static str) -> Error {
    refused("token_malformed", message).hint(HINT)
}

/// What is said where an integration has no badge.
pub(crate) fn no_badge() -> Error {
    Error::new(ErrorKind::NotFound, "no_badge", "no integration with a badge has this name")
        .hint("an integration has one when it declares `doors.embed` with a secret")
}

fn too_short(integration: &str) -> Error {
    Error::new(ErrorKind::Config, "embed_secret_short", "the secret of a badge is too short to sign tokens with")
        .with("integration", integration)
        .hint("at least 32 bytes, for example of `openssl rand -hex 32`")
}

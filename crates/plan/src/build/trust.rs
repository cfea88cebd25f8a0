//! Who is let in, checked: addresses, names of files, grants, limits, origins. Whether the files fit is for whoever opens them.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use super::{
    project::check_name,
    sign_in::{sign_in, steps},
};
use crate::{
    callback::is_here,
    finding::{Findings, Mark, plain},
    raw::{AuthRaw, CallerLimitsRaw, ClientModeRaw, ClientRaw, CorsRaw, OidcRaw, ServerRaw, Span, TlsRaw},
    scope::Scope,
    trust::{ClientPlan, CorsPlan, Limits, OidcPlan, Rate, TlsPlan, TrustPlan},
    yaml::At,
};

/// What the file must say before plain HTTP may leave this machine.
pub(crate) const ACCEPTED: &str = "keys and personal data may travel unencrypted";
/// Every signature algorithm that can be checked.
const ALGORITHMS: [&str; 9] = ["ES256", "ES384", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"];

/// Integrations that grants name, with the place: checked when all integrations are known.
pub(crate) type Granted = Vec<(Mark, String)>;

/// Reads and checks all of it.
pub(super) fn trust(
    server: Option<&ServerRaw>,
    auth: Option<&AuthRaw>,
    findings: &mut Findings,
) -> (TrustPlan, Granted) {
    let mut check = Check { findings, granted: Vec::new() };
    let mut plan = TrustPlan::default();
    if let Some(server) = server {
        plan.tls = server.tls.as_ref().and_then(|tls| check.tls(tls));
        plan.plain_http = server.plain_http.as_ref().is_some_and(|words| check.words(words));
        plan.listen =
            server.listen.as_ref().and_then(|listen| check.listen(listen, plan.plain_http || server.tls.is_some()));
        plan.cors = server.cors.as_ref().map(|cors| check_cors(cors, check.findings)).unwrap_or_default();
    }
    if let Some(auth) = auth {
        for (name, raw) in auth.oidc.iter() {
            check_name(name, check.findings);
            let oidc = check.oidc(name, raw);
            if let Some(twin) = plan.oidc.values().find(|other: &&Arc<OidcPlan>| other.issuer == oidc.issuer) {
                let message = format!("the issuer of {} is that of {} already", name.text(), twin.name);
                check.findings.add(name.mark, "duplicate_issuer", message, plain);
            }
            plan.oidc.insert(oidc.name.clone(), Arc::new(oidc));
        }
        if let Some(limits) = &auth.limits {
            (plan.limits, plan.limits_by_name) = check.limits(limits);
        }
    }
    (plan, check.granted)
}

/// Origins of one place.
pub(super) fn check_cors(raw: &CorsRaw, findings: &mut Findings) -> CorsPlan {
    let origins = exact_origins(raw.origins.as_deref().unwrap_or_default(), findings);
    CorsPlan { origins, max_age: raw.max_age.map_or(Duration::from_secs(600), |Span(age)| age) }
}

/// Those that are origins; adds what is wrong with the others.
pub(super) fn exact_origins(raw: &[At<String>], findings: &mut Findings) -> Vec<String> {
    let mut origins = Vec::new();
    for origin in raw {
        if exact_origin(origin.text()) {
            origins.push(origin.text().to_owned());
        } else {
            let message = format!("{} is no exact origin", origin.text());
            findings.add(origin.mark, "bad_origin", message, |finding| {
                finding.allow("scheme and host in lower case, and a port where it is not the usual one, as in https://crm.example:8443; no path, no *")
            });
        }
    }
    origins
}

pub(super) fn exact_origin(text: &str) -> bool {
    let Some(host) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else { return false };
    let (name, port) = host.rsplit_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
    let usual = if text.starts_with("https:") { "443" } else { "80" };
    !name.is_empty()
        && name.chars().all(fits)
        && port.is_none_or(|port| port != usual && port.parse::<u16>().is_ok_and(|number| number > 0))
}

/// Adds what is wrong with grants, now that all integrations are known.
pub(super) fn check_granted<'a>(
    granted: &Granted,
    known: impl Iterator<Item = &'a str> + Clone,
    findings: &mut Findings,
) {
    for (mark, name) in granted {
        if known.clone().all(|known| known != name) {
            let message = format!("there is no integration {name}");
            let suggestion = crate::nearest::nearest(name, known.clone());
            let allowed = known.clone().map(|name| format!("decide:{name}")).collect::<Vec<_>>().join(", ");
            findings.add(*mark, "unknown_integration", message, |finding| {
                finding.allow(allowed).suggest(suggestion.map(|name| format!("decide:{name}")))
            });
        }
    }
}

struct Check<'a> {
    findings: &'a mut Findings,
    granted: Granted,
}

impl Check<'_> {
    fn words(&mut self, words: &At<String>) -> bool {
        let accepted = words.text() == ACCEPTED;
        if !accepted {
            let message = "plain HTTP beyond this machine must be accepted in these very words".to_owned();
            self.findings.add(words.mark, "not_accepted", message, |finding| finding.allow(ACCEPTED));
        }
        accepted
    }

    fn listen(&mut self, listen: &At<String>, safe: bool) -> Option<SocketAddr> {
        let Ok(address) = listen.text().parse::<SocketAddr>() else {
            let message = format!("{} is no address to listen on", listen.text());
            self.findings.add(listen.mark, "bad_listen", message, |finding| {
                finding.allow("an IP address and a port, as in 127.0.0.1:8400, 0.0.0.0:8443 or [::]:8443")
            });
            return None;
        };
        if !address.ip().is_loopback() && !safe {
            let message = format!(
                "{address} is reached from other machines, and without TLS whoever is in between reads keys and personal data"
            );
            self.findings.add(listen.mark, "listen_without_tls", message, |finding| {
                finding.allow(format!("server.tls; an address of this machine such as 127.0.0.1:8400 with a TLS proxy in front; or server.plain_http: {ACCEPTED}"))
            });
        }
        Some(address)
    }

    fn tls(&mut self, raw: &TlsRaw) -> Option<TlsPlan> {
        let mut clients: Vec<ClientPlan> = Vec::new();
        for (name, client) in raw.clients.iter() {
            check_name(name, self.findings);
            if raw.client_ca.is_none() {
                let message =
                    format!("client {} can never be known: nobody is trusted to sign client certificates", name.text());
                self.findings.add(name.mark, "no_client_ca", message, |finding| finding.allow("server.tls.client_ca"));
            }
            clients.extend(self.client(name, client));
        }
        let required = raw.client.as_ref().filter(|mode| mode.value == ClientModeRaw::Required);
        if let Some(mode) = required.filter(|_| raw.client_ca.is_none()) {
            let message = "client certificates are required, but nobody is trusted to sign them";
            self.findings.add(mode.mark, "no_client_ca", message, |finding| finding.allow("server.tls.client_ca"));
        }
        let path = |path: &Option<At<String>>| path.as_ref().map(|path| path.text().to_owned());
        Some(TlsPlan {
            cert: path(&raw.cert)?,
            key: path(&raw.key)?,
            client_ca: path(&raw.client_ca),
            client_required: required.is_some(),
            handshake: raw.handshake.map_or(Duration::from_secs(10), |Span(longest)| longest),
            clients,
        })
    }

    fn client(&mut self, name: &At<String>, raw: &ClientRaw) -> Option<ClientPlan> {
        let fingerprint = raw.fingerprint.as_ref().and_then(|text| {
            let read = fingerprint(text.text());
            if read.is_none() {
                let message = format!("the fingerprint of client {} cannot be read", name.text());
                self.findings.add(text.mark, "bad_fingerprint", message, |finding| {
                    finding.allow(
                        "64 hexadecimal digits, with or without colons: openssl x509 -noout -fingerprint -sha256",
                    )
                });
            }
            read
        });
        if raw.san.is_some() == raw.fingerprint.is_some() {
            let message = format!("client {} is known by one of two things", name.text());
            self.findings
                .add(name.mark, "client_unknown", message, |finding| finding.allow("either san or fingerprint"));
            return None;
        }
        Some(ClientPlan {
            name: Arc::from(name.text()),
            san: raw.san.as_ref().map(|san| san.text().to_owned()),
            fingerprint,
            scopes: self.scopes(raw.scopes.iter().flatten()),
            limits: self.limit(raw.rate.as_ref(), raw.quota),
        })
    }

    fn oidc(&mut self, name: &At<String>, raw: &OidcRaw) -> OidcPlan {
        if let Some(issuer) = raw.issuer.as_ref().filter(|issuer| !good_issuer(issuer.text())) {
            let message = format!("{} cannot be an issuer", issuer.text());
            self.findings.add(issuer.mark, "bad_issuer", message, |finding| {
                finding.allow("an https address without query and fragment, exactly as the provider writes it into `iss`; http only for 127.0.0.1 and localhost")
            });
        }
        if raw.audience.as_ref().map_or(raw.console.is_none(), Vec::is_empty) {
            let message = format!(
                "provider {} names no audience: its tokens for every other service would be accepted",
                name.text()
            );
            self.findings.add(name.mark, "no_audience", message, plain);
        }
        if let Some(leeway) = raw.leeway.filter(|Span(leeway)| *leeway > Duration::from_secs(600)) {
            let _ = leeway;
            let message = format!("the leeway of provider {} is too long", name.text());
            self.findings.add(name.mark, "bad_leeway", message, |finding| finding.allow("at most 10m"));
        }
        let algorithms = match &raw.algorithms {
            Some(list) => list.iter().map(|one| format!("{:?}", one.value)).collect(),
            None => ALGORITHMS.iter().map(|name| (*name).to_owned()).collect(),
        };
        let grants = raw.grants.iter().map(|(value, scopes)| (value.text().to_owned(), self.scopes(scopes.iter())));
        let grants: BTreeMap<_, _> = grants.collect();
        let text = |text: &Option<At<String>>| text.as_ref().map(|text| text.text().to_owned());
        let console = raw.console.as_ref().and_then(|console| sign_in(name, raw, console, &grants, self.findings));
        OidcPlan {
            name: Arc::from(name.text()),
            issuer: text(&raw.issuer).unwrap_or_default(),
            audience: raw.audience.iter().flatten().map(|one| one.text().to_owned()).collect(),
            algorithms,
            claim: steps(raw.claim.as_ref()),
            grants,
            console,
            leeway: raw.leeway.map_or(Duration::from_secs(60), |Span(leeway)| leeway),
            keep: raw.keep.map_or(Duration::from_secs(86_400), |Span(keep)| keep),
            limits: self.limit(raw.rate.as_ref(), raw.quota),
        }
    }

    fn scopes<'s>(&mut self, list: impl Iterator<Item = &'s At<String>>) -> Vec<Scope> {
        let mut scopes = Vec::new();
        for text in list {
            match Scope::parse(text.text()) {
                Ok(scope) => {
                    if let Some(name) = scope.integration() {
                        self.granted.push((text.mark, name.to_owned()));
                    }
                    scopes.push(scope);
                }
                Err(_) => {
                    let suggestion =
                        crate::nearest::nearest(text.text(), ["read", "operate", "admin", "decide:*", "review:*"]);
                    self.findings.add(text.mark, "unknown_scope", format!("{} is no scope", text.text()), |finding| {
                        finding
                            .allow("decide:INTEGRATION, decide:*, review:INTEGRATION, review:*, read, operate, admin")
                            .suggest(suggestion)
                    });
                }
            }
        }
        scopes
    }

    fn limits(&mut self, raw: &CallerLimitsRaw) -> (Limits, BTreeMap<Arc<str>, Limits>) {
        let all = self.limit(raw.rate.as_ref(), raw.quota);
        let by_name =
            raw.keys.iter().map(|(name, one)| (Arc::from(name.text()), self.limit(one.rate.as_ref(), one.quota)));
        (all, by_name.collect())
    }

    fn limit(&mut self, rate: Option<&At<String>>, quota: Option<u64>) -> Limits {
        let read = rate.and_then(|text| {
            let read = Rate::parse(text.text());
            if read.is_none() {
                self.findings.add(text.mark, "bad_rate", format!("{} is no rate", text.text()), |finding| {
                    finding.allow("a number above 0 and a time: 100/s, 6000/m, 50000/h")
                });
            }
            read
        });
        Limits { rate: read, quota }
    }
}

fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    let mut out = [0; 32];
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(out)
}

fn good_issuer(text: &str) -> bool {
    let plain = !text.contains(['?', '#', '@', ' ']) && text.is_ascii();
    let host = |rest: &str| rest.split(['/', ':']).next().unwrap_or_default().to_owned();
    match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => plain && !host(rest).is_empty(),
        (_, Some(rest)) => plain && is_here(&host(rest)),
        _ => false,
    }
}

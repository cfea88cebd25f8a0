//! Bearer tokens of a real identity provider (npm `oidc-provider`), genuine and forged; the provider gone, talking nonsense, silent.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use tendon_testkit::peer::{Peer, python_run, workspace};

use crate::support::{Answer, Running, Sandbox, body, eventually, exchange};

/// Makes a wrong token out of a genuine one. Arguments: how, the token, the provider's key set.
const FORGE: &str = r#"
import base64, hashlib, hmac, json, sys
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
how, token, jwks = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
b64 = lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
raw = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
header, claims, signature = token.split(".")
head, body = json.loads(raw(header)), json.loads(raw(claims))
pack = lambda value: b64(json.dumps(value).encode())
number = lambda text: int.from_bytes(raw(text), "big")
key = next(key for key in jwks["keys"] if key["kid"] == head["kid"])
if how == "none":
    out = pack({**head, "alg": "none"}) + "." + claims + "."
elif how == "hmac":
    # The public key taken for a shared secret, as libraries without a list of algorithms did.
    public = rsa.RSAPublicNumbers(number(key["e"]), number(key["n"])).public_key()
    secret = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signed = pack({**head, "alg": "HS256"}) + "." + claims
    out = signed + "." + b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())
elif how in ("own key", "embedded key"):
    mine = rsa.generate_private_key(65537, 2048)
    numbers = mine.public_key().public_numbers()
    whole = lambda value: b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))
    jwk = {"kty": "RSA", "n": whole(numbers.n), "e": whole(numbers.e), "kid": head["kid"]}
    extra = {"jwk": jwk, "jku": "http://127.0.0.1:1/jwks"} if how == "embedded key" else {}
    signed = pack({**head, **extra}) + "." + claims
    out = signed + "." + b64(mine.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))
elif how == "changed":
    out = header + "." + pack({**body, "scope": "leads.score leads.read"}) + "." + signature
elif how == "other algorithm":
    out = pack({**head, "alg": "PS256"}) + "." + claims + "." + signature
elif how == "unknown key":
    out = pack({**head, "kid": "k" * 200}) + "." + claims + "." + signature
elif how == "critical":
    out = pack({**head, "crit": ["exp"]}) + "." + claims + "." + signature
elif how == "long":
    out = header + "." + pack({**body, "padding": "x" * 20000}) + "." + signature
elif how == "issuer":
    out = header + "." + pack({**body, "iss": "https://evil.example"}) + "." + signature
elif how == "deep":
    out = header + "." + b64(b'{"a":' * 5000) + "." + signature
print(out)
"#;

pub(crate) struct Issuer {
    peer: Peer,
    pub(crate) address: SocketAddr,
}

impl Issuer {
    /// Starts it, on a port that it had before or on any.
    pub(crate) fn start(port: u16, algorithm: &str) -> Self {
        Self::with(&[&port.to_string(), algorithm])
    }

    /// Starts it as one that people sign in with: by another name of this machine than the console's, so that browsers take it for
    /// another site.
    pub(crate) fn of_people(port: u16, console: &str) -> Self {
        Self::with(&[&port.to_string(), "RS256", "localhost", console])
    }

    fn with(arguments: &[&str]) -> Self {
        let folder = workspace().join("crates/app/tests/oidc");
        assert!(folder.join("node_modules").exists(), "the provider is not installed: run `cargo xtask setup`");
        let mut command = Command::new("node");
        command.arg("provider.mjs").args(arguments).current_dir(folder);
        let mut peer = Peer::start(command);
        let address = format!("127.0.0.1:{}", peer.wait_for("PORT ")).parse().unwrap();
        Self { peer, address }
    }

    /// Ends it.
    pub(crate) fn kill(&mut self) {
        self.peer.kill();
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let kind = "content-type: application/x-www-form-urlencoded";
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{kind}\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        String::from_utf8(exchange(self.address, head.as_bytes()).unwrap().body).unwrap()
    }

    pub(crate) fn token(&self, resource: &str, scope: &str) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id=ada.lovelace&client_secret=secret-of-ada&resource={resource}&scope={scope}"
        );
        let text = self.ask("POST", "/token", &form);
        let told: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
        told["access_token"].as_str().unwrap_or_else(|| panic!("{text}")).to_owned()
    }

    /// How often its keys were fetched.
    fn fetched(&self) -> u32 {
        self.ask("GET", "/test/count", "").parse().unwrap()
    }
}

fn project(issuer: SocketAddr) -> Sandbox {
    Sandbox::with(
        0,
        &format!(
            "auth:\n  oidc:\n    company: {{ issuer: \"http://{issuer}\", audience: [tendon], leeway: 0s, \
             grants: {{ leads.score: [\"decide:lead-score\"], leads.read: [read] }} }}\n"
        ),
    )
}

fn ask(running: &Running, token: &str) -> Answer {
    running.decide(token, &[], &body(1)).unwrap()
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn genuine_tokens_of_each_kind_are_callers_without_a_name() {
    let issuer = Issuer::start(0, "RS256");
    let sandbox = project(issuer.address);
    let key = sandbox.key("reader", &["read"]);
    let running = sandbox.up();
    let token = issuer.token("urn:tendon", "leads.score");
    let answer = ask(&running, &token);
    assert_eq!(answer.status, 200, "{}", answer.json());
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let shown = sandbox.json(&["decisions", "show", &id]);
    let caller = shown["caller"].as_str().unwrap();
    assert!(caller.starts_with("oidc:company:") && caller.len() == 37, "{caller}");
    // As a word: digests are hex and spell it now and then.
    assert!(shown.to_string().split(|at: char| !at.is_alphanumeric()).all(|word| word != "ada"), "{shown}");
    // What it may not do: another scope reads; this one reads its own only; one without meaning here does nothing.
    let bearer = |token: &str| format!("Bearer {token}");
    let other = ask(&running, &sandbox.key("other", &["decide:*"])).json()["id"].as_str().unwrap().to_owned();
    let read = |id: &str, token: &str| {
        let value = bearer(token);
        running.request("GET", &format!("/v1/decisions/{id}"), &[("authorization", value.as_str())], "").status
    };
    assert_eq!((read(&id, &token), read(&other, &token), read(&other, &key)), (200, 403, 200));
    assert_eq!(read(&other, &issuer.token("urn:tendon", "leads.read")), 200);
    assert_eq!(code(&ask(&running, &issuer.token("urn:tendon", "leads.read"))), (403, "integration_forbidden".into()));
    assert_eq!(code(&ask(&running, &issuer.token("urn:tendon", "nothing"))), (403, "token_without_grants".into()));
    assert_eq!(code(&ask(&running, &issuer.token("urn:other", "leads.score"))), (401, "token_audience".into()));
    let short = issuer.token("urn:tendon:short", "leads.score");
    eventually("the token ends", || code(&ask(&running, &short)) == (401, "token_expired".into()));
    // Other kinds of keys, put in force while tokens of the old one are about.
    for algorithm in ["ES256", "PS256", "ES384", "EdDSA"] {
        issuer.ask("GET", &format!("/test/rotate/{algorithm}"), "");
        let token = issuer.token("urn:tendon", "leads.score");
        eventually("the new key is found", || ask(&running, &token).status == 200);
    }
    assert_eq!(code(&ask(&running, &token)), (401, "token_signature".into()), "its key is gone");
}

#[test]
fn forged_tokens_are_refused_and_the_provider_is_not_flooded() {
    let issuer = Issuer::start(0, "RS256");
    let sandbox = project(issuer.address);
    let running = sandbox.up();
    let genuine = issuer.token("urn:tendon", "leads.score");
    assert_eq!(ask(&running, &genuine).status, 200);
    let keys = issuer.ask("GET", "/jwks", "");
    let before = issuer.fetched();
    for (how, expected) in [
        ("none", "token_algorithm"),
        ("hmac", "token_algorithm"),
        ("own key", "token_signature"),
        ("embedded key", "token_signature"),
        ("changed", "token_signature"),
        ("other algorithm", "token_signature"),
        ("unknown key", "token_signature"),
        ("critical", "token_malformed"),
        ("long", "token_malformed"),
        ("issuer", "token_issuer"),
        ("deep", "token_malformed"),
    ] {
        let forged = python_run(FORGE, &[how, &genuine, &keys]);
        let answer = ask(&running, forged.trim());
        assert_eq!(code(&answer), (401, expected.into()), "{how}");
        assert!(answer.header("www-authenticate").unwrap().contains("invalid_token"), "{how}");
    }
    // Many unknown keys at once: the provider is asked a few times at the most.
    let header = |n: usize| {
        let script = "import base64, sys; print(base64.urlsafe_b64encode(sys.argv[1].encode()).rstrip(b'=').decode())";
        let text = format!("{{\"alg\":\"RS256\",\"kid\":\"bomb-{n}\"}}");
        python_run(script, &[&text]).trim().to_owned()
    };
    let bombs: Vec<String> = (0..8).map(|n| format!("{}.{}", header(n), genuine.split_once('.').unwrap().1)).collect();
    let refused = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for bomb in bombs.iter().cycle().take(100) {
                    assert_eq!(code(&ask(&running, bomb)), (401, "token_signature".into()));
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(refused.into_inner(), 800);
    // Once each ten seconds; a slow machine may take a minute for all of this.
    assert!(issuer.fetched() - before <= 7, "{} fetches", issuer.fetched() - before);
    assert_eq!(ask(&running, &genuine).status, 200, "the genuine one is as good as before");
    for wrong in ["", "a", "a.b", "a.b.c", "....", "ey.ey.ey"] {
        assert_eq!(ask(&running, wrong).status, 401, "{wrong}");
    }
}

#[test]
fn known_keys_outlive_the_provider_and_unknown_ones_wait_for_it() {
    let mut issuer = Issuer::start(0, "ES256");
    let sandbox = project(issuer.address);
    let running = sandbox.up();
    let token = issuer.token("urn:tendon", "leads.score");
    assert_eq!(ask(&running, &token).status, 200);
    issuer.kill();
    assert_eq!(ask(&running, &token).status, 200, "its keys are known");
    assert!(running.stop().success());

    // A process that starts while the provider is gone.
    let running = sandbox.up();
    let answer = ask(&running, &token);
    assert_eq!(code(&answer), (503, "identity_unavailable".into()));
    assert_eq!((&answer.json()["retryable"], answer.header("retry-after")), (&true.into(), Some("1")));
    assert_eq!(running.part("identity:company")["ok"], false);
    let back = Issuer::start(issuer.address.port(), "ES256");
    let token = back.token("urn:tendon", "leads.score");
    eventually("it is back", || ask(&running, &token).status == 200);
    assert_eq!(running.part("identity:company")["ok"], true);
}

#[test]
fn a_provider_that_talks_nonsense_or_nothing_lets_nobody_in_and_holds_nobody_up() {
    let real = Issuer::start(0, "ES256");
    let token = real.token("urn:tendon", "leads.score");
    let answers: [&'static [u8]; 4] = [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n<xml>",
        b"HTTP/1.1 200 OK\r\ncontent-length: 28\r\n\r\n{\"issuer\":\"https://evil.com\"}",
        b"",
    ];
    for answer in answers {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer);
                if answer.is_empty() {
                    held.push(stream);
                }
            }
        });
        let sandbox = project(address);
        let key = sandbox.key("caller", &["decide:*"]);
        let running = sandbox.up();
        // The same token, as if this were its issuer.
        let script = "import base64, json, sys\nparts = sys.argv[1].split('.')\n\
            claims = json.loads(base64.urlsafe_b64decode(parts[1] + '=='))\nclaims['iss'] = sys.argv[2]\n\
            parts[1] = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()\nprint('.'.join(parts))";
        let moved = python_run(script, &[&token, &format!("http://{address}")]);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| code(&ask(&running, moved.trim())));
            assert_eq!(ask(&running, &key).status, 200, "a key needs no provider");
            assert_eq!(waiting.join().unwrap(), (503, "identity_unavailable".into()), "{answer:?}");
        });
    }
}

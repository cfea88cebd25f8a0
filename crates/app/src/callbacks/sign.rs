//! The signature of Standard Webhooks, version `v1`: HMAC-SHA256 over id, time and body, with a full stop between them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac::{HMAC_SHA256, Key, sign};
use tendon_kernel::{Error, ErrorKind, Result, error::Retry, sockets::secrets::Secret};

/// Shortest secret in bytes.
const SHORTEST: usize = 24;

/// `v1,` and the signature in base64.
///
/// # Errors
/// `Config` (mended by another secret, so it is tried again) when the secret is too short or no base64.
pub(super) fn signature(secret: &Secret, id: &str, seconds: i64, body: &str) -> Result<String> {
    let text = secret.reveal().trim();
    let key = match text.strip_prefix("whsec_") {
        Some(coded) => STANDARD.decode(coded).map_err(|_| unusable("is no base64 behind `whsec_`"))?,
        None => text.as_bytes().to_vec(),
    };
    if key.len() < SHORTEST {
        return Err(unusable("is shorter than 24 bytes"));
    }
    let signed = sign(&Key::new(HMAC_SHA256, &key), format!("{id}.{seconds}.{body}").as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(signed)))
}

fn unusable(what: &str) -> Error {
    Error::new(ErrorKind::Config, "callback_secret", format!("the secret that signs callbacks {what}"))
        .retry(Retry::Later)
        .hint("`openssl rand -base64 32` makes one; write it with `whsec_` in front")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's documents.
    #[test]
    fn signs_as_the_specification_does() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = r#"{"test": 2432232314}"#;
        let signed = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body).unwrap();
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn weak_secrets_are_refused() {
        for text in ["", "short", "whsec_c2hvcnQ=", "whsec_*"] {
            assert_eq!(signature(&Secret::new(text), "id", 1, "").unwrap_err().code(), "callback_secret", "{text}");
        }
    }
}

//! When a certificate ends. The TLS library checks validity but does not tell it; this reads the few bytes of RFC 5280 that
//! lead there, and nothing else: the certificate is our own, and whoever connects judges it anew.

use tendon_kernel::Timestamp;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of validity of a certificate (DER); `None` when it is no certificate.
pub fn ends(certificate: &[u8]) -> Option<Timestamp> {
    let (content, _) = expect(certificate, SEQUENCE)?;
    let (mut rest, _) = expect(content, SEQUENCE)?;
    if let Some((_, after)) = expect(rest, VERSION) {
        rest = after;
    }
    // Serial number, signature algorithm, issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        (_, rest) = expect(rest, tag)?;
    }
    let (validity, _) = expect(rest, SEQUENCE)?;
    let (_, _, after) = element(validity)?;
    let (tag, text, _) = element(after)?;
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    match tag {
        UTC_TIME => {
            // Two digits of the year: 1950 to 2049.
            let century = if text.get(..2)?.parse::<u8>().ok()? < 50 { "20" } else { "19" };
            time(&format!("{century}{text}"))
        }
        GENERALIZED_TIME => time(text),
        _ => None,
    }
}

/// `YYYYMMDDHHMMSSZ`.
fn time(text: &str) -> Option<Timestamp> {
    let digits = text.strip_suffix('Z').filter(|digits| digits.len() == 14)?;
    let part = |from: usize, to: usize| digits.get(from..to);
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?
    );
    Timestamp::parse(&text).ok()
}

/// The content of an element with this tag, and what follows it.
fn expect(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    element(bytes).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// Tag, content and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        let digits = rest.get(..count).filter(|_| (1..=4).contains(&count))?;
        let length = digits.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
        (length, rest.get(count..)?)
    };
    Some((*tag, rest.get(..length)?, rest.get(length..)?))
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    use tendon_testkit::{
        certs::{Authority, Wanted},
        peer::python_run,
    };

    use super::*;

    #[test]
    fn the_end_is_the_one_that_another_library_reads() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        // Before and after 2050: the two forms of time.
        for (name, end) in [("near", 3600), ("far", 40 * 365 * 86_400), ("past", -30)] {
            let (path, _) = authority.issue(name, Wanted { begin: -60, end, ..Wanted::default() });
            let der = CertificateDer::from_pem_file(&path).unwrap();
            let script = "import sys; from cryptography import x509\n\
                 print(x509.load_pem_x509_certificate(open(sys.argv[1], 'rb').read()).not_valid_after_utc.strftime('%Y-%m-%dT%H:%M:%SZ'))";
            let told = python_run(script, &[&path.to_string_lossy()]);
            assert_eq!(ends(&der).unwrap(), Timestamp::parse(told.trim()).unwrap(), "{name}");
            for cut in 0..der.len() {
                let _ = ends(&der[..cut]);
            }
            let mut broken = der.to_vec();
            for at in 0..broken.len().min(200) {
                let byte = broken[at];
                broken[at] ^= 0xff;
                let _ = ends(&broken);
                broken[at] = byte;
            }
        }
        assert_eq!(ends(b""), None);
        assert_eq!(ends(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}

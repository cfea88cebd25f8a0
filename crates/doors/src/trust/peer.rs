//! The other side of a TLS connection, as far as its certificate names it. The chain was verified before anybody looks here.

use std::sync::Arc;

use ring::digest::{SHA256, digest};
use tendon_kernel::Timestamp;
use tokio_rustls::rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// A client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// SHA-256 of the certificate.
    pub fingerprint: [u8; 32],
    /// Its DNS names and URIs.
    pub names: Arc<[String]>,
    /// When it ends. The handshake saw it valid; a connection may live longer.
    pub ends: Option<Timestamp>,
}

impl Peer {
    /// Reads a verified certificate; `None` when it cannot be read. `ends` tells when one ends.
    pub fn of(certificate: &CertificateDer<'_>, ends: fn(&[u8]) -> Option<Timestamp>) -> Option<Self> {
        let read = EndEntityCert::try_from(certificate).ok()?;
        let names = read.valid_dns_names().chain(read.valid_uri_names()).map(str::to_owned).collect();
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, certificate).as_ref());
        Some(Self { fingerprint, names, ends: ends(certificate) })
    }
}

//! TLS towards a database: who is trusted, and what `require` does not check.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};

use super::{
    Cause, Fault,
    config::{Endpoint, Tls},
};

/// The client's side of TLS; `None`: in clear.
pub(crate) fn client(endpoint: &Endpoint) -> Result<Option<ClientConfig>, Fault> {
    let provider = Arc::new(ring::default_provider());
    let failed = |what: &str, error: &dyn std::fmt::Display| Fault::new(Cause::Lost, format!("{what}: {error}"));
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed("TLS", &error))?;
    Ok(match endpoint.tls {
        Tls::Off => None,
        Tls::Require => {
            let anyone = Arc::new(Anyone(provider));
            Some(builder.dangerous().with_custom_certificate_verifier(anyone).with_no_client_auth())
        }
        Tls::Verify => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(authorities(endpoint)?);
            Some(builder.with_root_certificates(roots).with_no_client_auth())
        }
    })
}

/// Certificates of the authorities that may vouch for the server. Those of the operating system may hold some that cannot be
/// used; those of the settings may not.
pub(crate) fn authorities(endpoint: &Endpoint) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let Some(ca) = &endpoint.ca else {
        let mut found = rustls_native_certs::load_native_certs().certs;
        found.retain(|one| RootCertStore::empty().add(one.clone()).is_ok());
        return Ok(found);
    };
    let failed = |error: &dyn std::fmt::Display| Fault::new(Cause::Lost, format!("the file `ca`: {error}"));
    let read = CertificateDer::pem_file_iter(ca).map_err(|error| failed(&error))?;
    let found = read.collect::<Result<Vec<_>, _>>().map_err(|error| failed(&error))?;
    for one in &found {
        RootCertStore::empty().add(one.clone()).map_err(|error| failed(&error))?;
    }
    Ok(found)
}

/// The server's name as a certificate states it.
pub(crate) fn name(host: &str) -> Result<ServerName<'static>, io::Error> {
    ServerName::try_from(host.to_owned()).map_err(io::Error::other)
}

/// Takes every certificate, but still only whoever holds its key: what `require` promises.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

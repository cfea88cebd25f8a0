//! TLS 1.3 of the listeners: certificate, key and client authorities from files, read again when they change. A pair that does
//! not fit is refused and the one in force serves on, so that a half-finished renewal never closes the door.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::SystemTime,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tendon_kernel::{
    Timestamp,
    error::{Error, ErrorKind, Result},
};

use crate::validity;

/// The files of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain (PEM).
    pub cert: PathBuf,
    /// Private key (PEM).
    pub key: PathBuf,
    /// Authorities of client certificates (PEM).
    pub client_ca: Option<PathBuf>,
    /// Whether a connection without a client certificate is refused.
    pub client_required: bool,
}

/// A file as it is on disk: cheap to compare.
type Look = Vec<Option<(SystemTime, u64)>>;

/// What is in force.
struct Loaded {
    files: TlsFiles,
    config: Arc<ServerConfig>,
    ends: Timestamp,
}

/// Files that were read and fit; nothing, where they are those in force.
pub struct TlsReady(Option<(Look, Loaded)>);

/// The TLS of a process: one certificate for all its listeners.
pub struct ServerTls {
    loaded: RwLock<Loaded>,
    seen: Mutex<Seen>,
}

/// What the files looked like, and what became of it.
#[derive(Default)]
struct Seen {
    tried: Look,
    last: Look,
    refused: Option<String>,
}

/// How the certificate does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsState {
    /// When the certificate in force ends.
    pub ends: Timestamp,
    /// Why the files on disk are not in force.
    pub refused: Option<String>,
}

impl ServerTls {
    /// Reads the files. A certificate that has ended is taken: a service that starts beats one that does not, and its state tells.
    ///
    /// # Errors
    /// `Config` when a file cannot be read or the pair does not fit.
    pub fn open(files: TlsFiles) -> Result<Self> {
        let look = look(&files);
        let (config, ends) = load(&files)?;
        let seen = Seen { tried: look.clone(), last: look, refused: None };
        Ok(Self { loaded: RwLock::new(Loaded { files, config, ends }), seen: Mutex::new(seen) })
    }

    /// What new connections use. Cheap; ask for each connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).config.clone()
    }

    /// Reads other files, which takes no effect before [`ServerTls::adopt`].
    ///
    /// # Errors
    /// As `open`.
    pub fn prepare(&self, files: TlsFiles) -> Result<TlsReady> {
        if self.loaded.read().unwrap_or_else(PoisonError::into_inner).files == files {
            return Ok(TlsReady(None));
        }
        let look = look(&files);
        let (config, ends) = load(&files)?;
        Ok(TlsReady(Some((look, Loaded { files, config, ends }))))
    }

    /// Puts files in force that were read.
    pub fn adopt(&self, TlsReady(ready): TlsReady) {
        let Some((look, loaded)) = ready else { return };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            Seen { tried: look.clone(), last: look, refused: None };
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
    }

    /// Looks at the files; call it every second or so. Files that changed are read once they look the same twice, so that
    /// nothing half-written is judged. `Some`: they were read, with what became of it.
    pub fn refresh(&self, now: Timestamp) -> Option<Result<()>> {
        let files = self.loaded.read().unwrap_or_else(PoisonError::into_inner).files.clone();
        let look = look(&files);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let rests = look == seen.last;
        seen.last.clone_from(&look);
        if !rests || look == seen.tried {
            return None;
        }
        seen.tried = look;
        let outcome = load(&files).and_then(|(config, ends)| self.exchange(files, config, ends, now));
        seen.refused = outcome.as_ref().err().map(ToString::to_string);
        Some(outcome)
    }

    fn exchange(&self, files: TlsFiles, config: Arc<ServerConfig>, ends: Timestamp, now: Timestamp) -> Result<()> {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        if ends <= now && loaded.ends > ends {
            return Err(wrong("the new certificate has ended already"));
        }
        *loaded = Loaded { files, config, ends };
        Ok(())
    }

    /// How the certificate does.
    pub fn state(&self) -> TlsState {
        let refused = self.seen.lock().unwrap_or_else(PoisonError::into_inner).refused.clone();
        TlsState { ends: self.loaded.read().unwrap_or_else(PoisonError::into_inner).ends, refused }
    }
}

fn look(files: &TlsFiles) -> Look {
    let all = [Some(&files.cert), Some(&files.key), files.client_ca.as_ref()];
    let one = |path: &PathBuf| {
        let meta = fs::metadata(path).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    };
    all.into_iter().flatten().map(one).collect()
}

fn wrong(what: &'static str) -> Error {
    Error::new(ErrorKind::Config, "tls_files", what)
        .hint("`server.tls` names PEM files: `cert` with the certificate first and then those that signed it, `key` with its private key, `client_ca`")
}

fn load(files: &TlsFiles) -> Result<(Arc<ServerConfig>, Timestamp)> {
    let chain = certificates(&files.cert, "the certificate")?;
    let first = chain.first().ok_or_else(|| wrong("the file of the certificate holds none"))?;
    let ends = validity::ends(first).ok_or_else(|| wrong("the certificate cannot be read"))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        // The library's words may quote a line of the file.
        .map_err(|_| wrong("the private key cannot be read").with("file", name(&files.key)))?;
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| {
            Error::new(ErrorKind::Internal, "tls_setup", "the TLS library cannot be set up").private(error)
        })?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path, "the file of client authorities")? {
                roots.add(certificate).map_err(|error| wrong("a client authority cannot be used").private(error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if files.client_required { verifier } else { verifier.allow_unauthenticated() };
            let verifier =
                verifier.build().map_err(|error| wrong("the client authorities cannot be used").private(error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| wrong("certificate and private key do not belong together").private(error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((Arc::new(config), ends))
}

fn certificates(path: &std::path::Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    match read {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(wrong("a file of certificates holds none").with("file", name(path))),
        Err(error) => Err(wrong("a file of certificates cannot be read")
            .with("what", what)
            .with("file", name(path))
            .private(format!("{error:?}"))),
    }
}

/// The file's own name: its folder may carry a person's.
fn name(path: &std::path::Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

//! Certificates for tests, made by a library that we did not write (Python's `cryptography`): an authority of its own per test,
//! and whatever it signs, also expired, for other names, and for clients.

use std::path::{Path, PathBuf};

use crate::peer::python_run;

/// Makes keys and certificates; prints nothing. Arguments: folder, file name, signer or "", names, begin, end, purpose, subject.
const SCRIPT: &str = r#"
import datetime, ipaddress, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID as Use, NameOID

folder, name, signer, names, begin, end, purpose, subject = sys.argv[1:]
key = ec.generate_private_key(ec.SECP256R1())
who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
builder = (x509.CertificateBuilder().subject_name(who).public_key(key.public_key())
    .serial_number(x509.random_serial_number())
    .not_valid_before(now + datetime.timedelta(seconds=int(begin)))
    .not_valid_after(now + datetime.timedelta(seconds=int(end))))
def read(path):
    return open(f"{folder}/{path}", "rb").read()
if signer:
    issuer = x509.load_pem_x509_certificate(read(f"{signer}.pem"))
    issuer_key = serialization.load_pem_private_key(read(f"{signer}.key"), None)
    use = {"server": Use.SERVER_AUTH, "client": Use.CLIENT_AUTH}[purpose]
    general = []
    for one in filter(None, names.split(",")):
        if "://" in one:
            general.append(x509.UniformResourceIdentifier(one))
        elif one.replace(".", "").isdigit():
            general.append(x509.IPAddress(ipaddress.ip_address(one)))
        else:
            general.append(x509.DNSName(one))
    builder = builder.issuer_name(issuer.subject).add_extension(x509.ExtendedKeyUsage([use]), False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
    if general:
        builder = builder.add_extension(x509.SubjectAlternativeName(general), False)
else:
    issuer_key = key
    builder = builder.issuer_name(who).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
certificate = builder.sign(issuer_key, hashes.SHA256())
pem = certificate.public_bytes(serialization.Encoding.PEM)
secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
open(f"{folder}/{name}.key", "wb").write(secret)
open(f"{folder}/{name}.pem", "wb").write(pem)
"#;

/// What a certificate says.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Alternative names: DNS names, addresses, URIs; separated by commas.
    pub names: &'a str,
    /// Begin of validity, in seconds from now.
    pub begin: i64,
    /// End of validity, in seconds from now.
    pub end: i64,
    /// For a client, not for a server.
    pub client: bool,
    /// Common name of the subject.
    pub subject: &'a str,
}

impl Default for Wanted<'_> {
    /// A server on this machine, valid for a day.
    fn default() -> Self {
        Self { names: "localhost,127.0.0.1", begin: -60, end: 86_400, client: false, subject: "tendon test" }
    }
}

/// An authority whose files lie in a folder.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// Makes an authority: `ca.pem` and `ca.key`.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new(folder: &Path) -> Self {
        let authority = Self { folder: folder.to_path_buf() };
        authority.make("ca", "", Wanted { names: "", subject: "tendon test authority", ..Wanted::default() });
        authority
    }

    /// The authority's certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Signs a certificate with a new key: the paths of `name.pem` and `name.key`, which are replaced.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn issue(&self, name: &str, wanted: Wanted<'_>) -> (PathBuf, PathBuf) {
        self.make(name, "ca", wanted);
        (self.folder.join(format!("{name}.pem")), self.folder.join(format!("{name}.key")))
    }

    fn make(&self, name: &str, signer: &str, wanted: Wanted<'_>) {
        let (begin, end) = (wanted.begin.to_string(), wanted.end.to_string());
        let purpose = if wanted.client { "client" } else { "server" };
        let folder = self.folder.to_string_lossy();
        python_run(SCRIPT, &[&folder, name, signer, wanted.names, &begin, &end, purpose, wanted.subject]);
    }
}

//! Trust: the system's CAs and, per client, those of one file. Certificates are always verified.

use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::error::{HttpError, HttpErrorKind};

/// A file of CAs is at most this long.
const CA_FILE: u64 = 4 * 1024 * 1024;

/// The TLS side of a client; built at its first use, since many clients never speak TLS.
pub(crate) struct Tls {
    extra: Vec<CertificateDer<'static>>,
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Tls {
    pub(crate) fn new(ca_file: Option<&Path>) -> Result<Self, HttpError> {
        let extra = ca_file.map(read_cas).transpose()?.unwrap_or_default();
        Ok(Self {
            extra,
            config: OnceLock::new(),
        })
    }

    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, HttpError> {
        self.config
            .get_or_init(|| build(&self.extra).map(Arc::new))
            .clone()
            .map_err(|detail| HttpError::new(HttpErrorKind::Setup, detail))
    }
}

fn build(extra: &[CertificateDer<'static>]) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::clone(&native_roots());
    for certificate in extra {
        roots
            .add(certificate.clone())
            .map_err(|error| format!("a certificate of the CA file cannot be used: {error}"))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The system's CAs, read once. A system without any is not an error here: a host with its own
/// CA file works, any other one fails as "issuer not trusted".
fn native_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    ROOTS
        .get_or_init(|| {
            let found = rustls_native_certs::load_native_certs();
            let mut roots = RootCertStore::empty();
            let (added, ignored) = roots.add_parsable_certificates(found.certs);
            tracing::debug!(
                added,
                ignored,
                errors = found.errors.len(),
                "read the system's CAs"
            );
            Arc::new(roots)
        })
        .clone()
}

fn read_cas(path: &Path) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let failed = |what: &str| {
        let text = format!("failed to read the CA file {}: {what}", path.display());
        HttpError::new(HttpErrorKind::Setup, text)
    };
    let mut pem = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| failed(&error.to_string()))?;
    file.take(CA_FILE)
        .read_to_end(&mut pem)
        .map_err(|error| failed(&error.to_string()))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| failed("it is not PEM"))?;
    if certificates.is_empty() {
        return Err(failed("there is no certificate in it"));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::Tls;

    #[test]
    fn a_bad_ca_file_is_said_at_once() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let empty = Tls::new(Some(file.path())).err().unwrap().to_string();
        assert!(empty.ends_with("there is no certificate in it"), "{empty}");
        file.write_all(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
            .unwrap();
        let bad = Tls::new(Some(file.path())).err().unwrap().to_string();
        assert!(bad.ends_with("it is not PEM"), "{bad}");
        let missing = Tls::new(Some(std::path::Path::new("/nowhere/ca.pem")))
            .err()
            .unwrap();
        assert!(missing.to_string().contains("/nowhere/ca.pem"));
    }

    #[test]
    fn a_good_ca_file_is_used() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["ca.example".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(certificate.pem().as_bytes()).unwrap();
        let tls = Tls::new(Some(file.path())).unwrap();
        assert_eq!(tls.config().unwrap().alpn_protocols, [b"http/1.1".to_vec()]);
    }
}

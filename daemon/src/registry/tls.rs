//! The server side of TLS: certificate, key and client CA from files, taken over when they change.

use std::path::Path;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use syncd_config::config::ServerTls;

use super::error::{RegistryServerError, read_capped};

/// The largest PEM file that is read.
const MAX: u64 = 1024 * 1024;

/// Reads the files and makes a server configuration of them: TLS 1.2 and 1.3, HTTP/1.1.
pub(crate) fn load(tls: &ServerTls) -> Result<Arc<ServerConfig>, RegistryServerError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = certificates(&tls.cert_file)?;
    let key = read_capped(&tls.key_file, MAX)?;
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|_| certificate_error(&tls.key_file, "no PEM private key in it", None))?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| certificate_error(&tls.cert_file, "no TLS version is usable", Some(error.into())))?;
    let builder = match &tls.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| {
                    certificate_error(path, "a CA in it cannot be used", Some(error.into()))
                })?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| certificate_error(path, "its CAs cannot be used", Some(error.into())))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        certificate_error(
            &tls.cert_file,
            "the certificate and the key do not go together",
            Some(error.into()),
        )
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, RegistryServerError> {
    let bytes = read_capped(path, MAX)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(certificate_error(path, "no PEM certificate in it", None)),
    }
}

fn certificate_error(
    path: &Path,
    problem: &'static str,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
) -> RegistryServerError {
    RegistryServerError::Certificate {
        path: path.to_owned(),
        problem,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn files_that_cannot_be_used_are_refused_with_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let one = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let two = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let cert = file("cert", &one.cert.pem());
        let key = file("key", &one.signing_key.serialize_pem());
        let other = file("other", &two.signing_key.serialize_pem());
        let empty = file("empty", "");
        let huge = file("huge", &"x".repeat(1024 * 1024 + 1));
        let problem = |cert_file: &Path, key_file: &Path, ca: Option<&Path>| {
            let tls = ServerTls {
                cert_file: cert_file.to_owned(),
                key_file: key_file.to_owned(),
                client_ca_file: ca.map(Path::to_owned),
            };
            load(&tls).err().map(|error| match error {
                RegistryServerError::Certificate { problem, .. } => problem,
                RegistryServerError::TooLarge { .. } => "too large",
                RegistryServerError::Read { .. } => "unreadable",
                _ => "other",
            })
        };
        assert_eq!(problem(&cert, &key, None), None);
        assert_eq!(problem(&cert, &key, Some(&cert)), None);
        assert_eq!(
            problem(&cert, &other, None),
            Some("the certificate and the key do not go together")
        );
        assert_eq!(problem(&empty, &key, None), Some("no PEM certificate in it"));
        assert_eq!(problem(&cert, &empty, None), Some("no PEM private key in it"));
        assert_eq!(problem(&cert, &key, Some(&key)), Some("no PEM certificate in it"));
        assert_eq!(problem(&huge, &key, None), Some("too large"));
        assert_eq!(
            problem(&folder.path().join("none"), &key, None),
            Some("unreadable")
        );
    }
}

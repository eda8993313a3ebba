//! A certificate authority for one test.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::error::{Context, Result};

/// A certificate authority whose files lie in a folder of the test.
pub struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, both PEM files.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes a new authority that keeps its files in `folder`.
    pub fn new(folder: &Path) -> Result<Self> {
        let key = KeyPair::generate().context("make the key of the test's authority")?;
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "syncd test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let cert = params.self_signed(&key).context("sign the test's authority")?;
        write(&folder.join("ca.crt"), &cert.pem())?;
        let issuer = Issuer::new(params, key);
        Ok(Self {
            folder: folder.to_owned(),
            issuer,
        })
    }

    /// The authority's own certificate, PEM.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// A certificate for a server known by these names and addresses.
    pub fn server(&self, file: &str, names: &[&str]) -> Result<Identity> {
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).context("read the names of a server")?;
        params.distinguished_name.push(DnType::CommonName, file);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(file, params)
    }

    /// A certificate for a client; Kubernetes reads the user from the common
    /// name and the group from the organisation.
    pub fn client(&self, file: &str, user: &str, group: &str) -> Result<Identity> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        params.distinguished_name.push(DnType::OrganizationName, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(file, params)
    }

    fn issue(&self, file: &str, mut params: CertificateParams) -> Result<Identity> {
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().context("make a key")?;
        let cert = params
            .signed_by(&key, &self.issuer)
            .context("sign a certificate")?;
        let identity = Identity {
            cert: self.folder.join(format!("{file}.crt")),
            key: self.folder.join(format!("{file}.key")),
        };
        write(&identity.cert, &cert.pem())?;
        write(&identity.key, &key.serialize_pem())?;
        Ok(identity)
    }
}

/// Writes a key pair that signs tokens: the private and the public half.
pub fn signing_key(folder: &Path, file: &str) -> Result<Identity> {
    let key = KeyPair::generate().context("make a signing key")?;
    let identity = Identity {
        cert: folder.join(format!("{file}.pub")),
        key: folder.join(format!("{file}.key")),
    };
    write(&identity.cert, &key.public_key_pem())?;
    write(&identity.key, &key.serialize_pem())?;
    Ok(identity)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).context(format!("write {}", path.display()))
}

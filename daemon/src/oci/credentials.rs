//! The credentials of the configuration, by its entries and never by anything else.

use futures::future::BoxFuture;
use syncd_config::RegistryHost;
use syncd_config::config::{Identity, RegistryEntry};
use syncd_providers::basic::Basic;

use super::auth::{Credential, CredentialSource};
use super::error::{ErrorKind, RegistryError};

/// The entry that speaks for a host: the one named like it, else the only one it has.
///
/// # Errors
/// The host has several entries and none is named like it: guessing could send the wrong identity.
pub(crate) fn entry_for<'a>(
    entries: &'a [RegistryEntry],
    host: &RegistryHost,
) -> Result<Option<(usize, &'a RegistryEntry)>, RegistryError> {
    let mut of_host = entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.host == *host);
    let named = |(_, entry): &(usize, &RegistryEntry)| entry.name == host.as_str();
    if let Some(found) = of_host.clone().find(named) {
        return Ok(Some(found));
    }
    match (of_host.next(), of_host.next()) {
        (only, None) => Ok(only),
        _ => Err(RegistryError::new(
            ErrorKind::CredentialUnavailable,
            host.as_str(),
            "choose an identity",
        )
        .detail("several registries entries are for this host, and none of them has the host as its name")),
    }
}

/// The identities of the configuration's `registries`.
pub struct ConfiguredCredentials {
    entries: Vec<RegistryEntry>,
    identities: Vec<Option<Basic>>,
}

impl ConfiguredCredentials {
    /// Takes the entries; reads no file yet.
    #[must_use]
    pub fn new(entries: &[RegistryEntry]) -> Self {
        let basic = |entry: &RegistryEntry| {
            entry.identity.as_ref().map(|identity| match identity {
                Identity::Basic {
                    username,
                    password_file,
                } => Basic::new(username, password_file),
            })
        };
        Self {
            identities: entries.iter().map(basic).collect(),
            entries: entries.to_vec(),
        }
    }

    fn identity(&self, host: &RegistryHost) -> Result<Option<&Basic>, RegistryError> {
        let entry = entry_for(&self.entries, host)?;
        Ok(entry.and_then(|(at, _)| self.identities.get(at)?.as_ref()))
    }

    fn credential(&self, host: &RegistryHost) -> Result<Option<Credential>, RegistryError> {
        let Some(basic) = self.identity(host)? else {
            return Ok(None);
        };
        let secret = basic.password().map_err(|error| {
            let detail = error.to_string();
            RegistryError::new(
                ErrorKind::CredentialUnavailable,
                host.as_str(),
                "get the credential",
            )
            .detail(&detail)
            .caused_by(error)
        })?;
        Ok(Some(Credential {
            username: basic.username().to_owned(),
            secret,
        }))
    }
}

impl CredentialSource for ConfiguredCredentials {
    fn get<'a>(&'a self, host: &'a RegistryHost) -> BoxFuture<'a, Result<Option<Credential>, RegistryError>> {
        Box::pin(std::future::ready(self.credential(host)))
    }

    fn rejected(&self, host: &RegistryHost, _: &Credential) {
        if let Ok(Some(basic)) = self.identity(host) {
            basic.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn entry(name: &str, host: &str, file: Option<&Path>) -> RegistryEntry {
        RegistryEntry {
            name: name.to_owned(),
            host: host.parse().unwrap(),
            identity: file.map(|path| Identity::Basic {
                username: name.to_owned(),
                password_file: path.to_owned(),
            }),
            probe: None,
            ca_file: None,
            plain_http: false,
            trusted_token_hosts: Vec::new(),
            proxy: syncd_config::config::Proxy::Direct,
            limits: syncd_config::config::Limits::default(),
        }
    }

    #[test]
    fn an_entry_is_chosen_by_name_then_by_being_alone() {
        let entries = [
            entry("a.example", "a.example", None),
            entry("a-2", "a.example", None),
            entry("only", "b.example", None),
            entry("c-1", "c.example", None),
            entry("c-2", "c.example", None),
        ];
        let name = |host: &str| {
            let found = entry_for(&entries, &host.parse().unwrap());
            found
                .map(|found| found.map(|(_, entry)| entry.name.as_str()))
                .map_err(|error| error.kind)
        };
        assert_eq!(name("a.example"), Ok(Some("a.example")));
        assert_eq!(name("b.example"), Ok(Some("only")));
        assert_eq!(name("c.example"), Err(ErrorKind::CredentialUnavailable));
        assert_eq!(name("b.example:8443"), Ok(None));
        assert_eq!(name("x.b.example"), Ok(None));
    }

    #[tokio::test]
    async fn only_the_configured_host_gets_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        std::fs::write(&file, "hunter2\n").unwrap();
        let source = ConfiguredCredentials::new(&[
            entry("bot", "a.example", Some(&file)),
            entry("b", "b.example", None),
        ]);
        let get = async |host: &str| source.get(&host.parse().unwrap()).await;
        let found = get("a.example").await.unwrap().unwrap();
        assert_eq!(
            (found.username.as_str(), found.secret.expose()),
            ("bot", "hunter2")
        );
        for other in [
            "b.example",
            "a.example:8443",
            "xa.example",
            "a.example.evil.example",
            "docker.io",
        ] {
            assert_eq!(get(other).await.unwrap(), None, "{other}");
        }
        std::fs::remove_file(&file).unwrap();
        let error = get("a.example").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::CredentialUnavailable);
        assert!(error.to_string().contains(&file.display().to_string()), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn no_other_host_yields_an_entry(host in "[a-z0-9.:-]{1,30}") {
            let entries = [entry("r", "reg.example:5000", None)];
            if let Ok(host) = host.parse::<RegistryHost>() {
                let found = entry_for(&entries, &host).unwrap();
                proptest::prop_assert_eq!(found.is_some(), host.as_str() == "reg.example:5000");
            }
        }
    }
}

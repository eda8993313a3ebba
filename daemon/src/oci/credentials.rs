//! Which entry of the configuration speaks for a host: credentials are found by nothing else.

use syncd_config::RegistryHost;
use syncd_config::config::RegistryEntry;

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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, host: &str) -> RegistryEntry {
        RegistryEntry {
            name: name.to_owned(),
            host: host.parse().unwrap(),
            identity: None,
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
            entry("a.example", "a.example"),
            entry("a-2", "a.example"),
            entry("only", "b.example"),
            entry("c-1", "c.example"),
            entry("c-2", "c.example"),
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

    proptest::proptest! {
        #[test]
        fn no_other_host_yields_an_entry(host in "[a-z0-9.:-]{1,30}") {
            let entries = [entry("r", "reg.example:5000")];
            if let Ok(host) = host.parse::<RegistryHost>() {
                let found = entry_for(&entries, &host).unwrap();
                proptest::prop_assert_eq!(found.is_some(), host.as_str() == "reg.example:5000");
            }
        }
    }
}

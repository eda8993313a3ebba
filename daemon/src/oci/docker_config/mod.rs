//! Docker config files and the pull secrets that hold one: written canonically, merged without
//! touching what is not ours, read as kubelet reads them.
//!
//! Everything read here may have been planted: at most [`MAX_SIZE`] bytes are looked at, and no error
//! repeats a byte of what was read, because a malformed config still holds passwords.

mod error;
mod json;
pub mod key;
mod kubelet;
mod merge;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use syncd_config::{RegistryHost, Secret};

pub use error::{DockerConfigError, DockerConfigErrorKind};
pub use kubelet::{KeyringEntry, PullSecret, parse_kubernetes};
pub use merge::{ForeignKey, Merged, merge};

/// The most bytes of a docker config that are read or made: what a secret of Kubernetes holds at most.
pub const MAX_SIZE: usize = 1 << 20;

/// The type of the secrets that [`build`] is for.
pub const CONFIG_JSON_TYPE: &str = "kubernetes.io/dockerconfigjson";
/// The key under which such a secret holds the config.
pub const CONFIG_JSON_KEY: &str = ".dockerconfigjson";
/// The type of the older form: the bare map of hosts.
pub const CONFIG_TYPE: &str = "kubernetes.io/dockercfg";
/// The key of the older form.
pub const CONFIG_KEY: &str = ".dockercfg";

/// A docker config with exactly these credentials.
///
/// Guarantees: equal entries give equal bytes, in whatever order they come; each entry has
/// `username` and `password` as `kubectl create secret docker-registry` writes them, and the same
/// two in `auth`, which other clients read. Of two entries for one host the last counts.
#[must_use]
pub fn build(entries: &[(RegistryHost, &str, &Secret)]) -> Secret {
    let mut auths: BTreeMap<String, String> = BTreeMap::new();
    for (host, username, secret) in entries {
        for key in host.auth_keys() {
            let auth = auth(username, secret);
            let (username, password) = (json::quoted(username), json::quoted(secret.expose()));
            auths.insert(
                json::quoted(&key),
                format!(r#"{{"auth":"{auth}","password":{password},"username":{username}}}"#),
            );
        }
    }
    let auths: Vec<String> = auths
        .iter()
        .map(|(key, entry)| format!("{key}:{entry}"))
        .collect();
    Secret::new(format!(r#"{{"auths":{{{}}}}}"#, auths.join(",")))
}

/// The value of `auth`: base64 of `user:secret`.
fn auth(username: &str, secret: &Secret) -> String {
    BASE64_STANDARD.encode(format!("{username}:{}", secret.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> RegistryHost {
        text.parse().unwrap()
    }

    #[test]
    fn builds_the_same_bytes_in_any_order() {
        let (one, two) = (Secret::new("s3\"cret"), Secret::new("pa:ss"));
        let a = (host("reg.example:5000"), "bot", &one);
        let b = (host("docker.io"), "hub", &two);
        let text = build(&[a.clone(), b.clone()]);
        assert_eq!(text, build(&[b, a]));
        assert_eq!(
            text.expose(),
            concat!(
                r#"{"auths":{"https://index.docker.io/v1/":{"auth":"aHViOnBhOnNz","password":"pa:ss","username":"hub"},"#,
                r#""reg.example:5000":{"auth":"Ym90OnMzImNyZXQ=","password":"s3\"cret","username":"bot"}}}"#
            )
        );
        assert_eq!(build(&[]).expose(), r#"{"auths":{}}"#);
    }

    #[test]
    fn kubelet_reads_what_is_built() {
        let odd = Secret::new("a:b\"\\\u{1}\u{e9}\u{1f512} ");
        let built = build(&[(host("docker.io"), "u", &odd), (host("[::1]:5000"), "ü", &odd)]);
        let data = BTreeMap::from([(CONFIG_JSON_KEY.to_owned(), built.expose().as_bytes().to_vec())]);
        let read = parse_kubernetes(CONFIG_JSON_TYPE, &data).unwrap().unwrap();
        let seen: Vec<_> = read
            .entries
            .iter()
            .map(|e| {
                (
                    e.key.as_str(),
                    e.credential.username.as_str(),
                    e.credential.secret == odd,
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("[::1]:5000", "ü", true),
                ("https://index.docker.io/v1/", "u", true)
            ]
        );
    }
}

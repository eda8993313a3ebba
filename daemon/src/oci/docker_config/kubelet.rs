//! What kubelet takes from a pull secret.
//!
//! The rules are those of `pkg/credentialprovider/config.go` and `secrets/secrets.go` of Kubernetes
//! 1.36: the type and the key of the secret must fit each other; only `username`, `password` and what
//! `auth` decodes to count; a fault in any entry makes the whole secret unreadable.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use syncd_config::Secret;
use zeroize::Zeroizing;

use super::error::{DockerConfigError, DockerConfigErrorKind as Kind};
use super::json::{Document, Value, is_field};
use super::{CONFIG_JSON_KEY, CONFIG_JSON_TYPE, CONFIG_KEY, CONFIG_TYPE};
use crate::oci::Credential;

/// What a pull secret holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullSecret {
    /// One for each key, in the order of the keys. kubelet itself has them in no order.
    pub entries: Vec<KeyringEntry>,
    /// The hosts of `credHelpers`, which kubelet does not read.
    pub helpers: Vec<String>,
    /// Whether there is a `credsStore`, which kubelet does not read.
    pub store: bool,
}

/// One entry of a docker config as kubelet has it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyringEntry {
    /// The key as written.
    pub key: String,
    /// What the runtime is given. Without a user name it is as good as nothing: containerd and
    /// CRI-O then ask anonymously.
    pub credential: Credential,
    /// Whether there is an identity or registry token, which kubelet leaves out.
    pub has_token: bool,
    /// Whether user or password are no UTF-8 (shown as U+FFFD here): such a request cannot be sent to
    /// the runtime.
    pub is_garbled: bool,
}

impl fmt::Debug for KeyringEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyringEntry(****)")
    }
}

/// Reads a secret as kubelet does; `None` when kubelet passes over it without a word (another type,
/// the content under another key, or empty).
///
/// # Errors
/// The content does not parse. kubelet then fails every pull of the pod, whatever its other secrets
/// hold.
pub fn parse_kubernetes(
    secret_type: &str,
    data: &BTreeMap<String, Vec<u8>>,
) -> Result<Option<PullSecret>, DockerConfigError> {
    let content = |key: &str| data.get(key).filter(|bytes| !bytes.is_empty());
    match secret_type {
        CONFIG_JSON_TYPE => content(CONFIG_JSON_KEY)
            .map(|bytes| config_json(bytes))
            .transpose(),
        CONFIG_TYPE => content(CONFIG_KEY).map(|bytes| bare_map(bytes)).transpose(),
        _ => Ok(None),
    }
}

fn config_json(bytes: &[u8]) -> Result<PullSecret, DockerConfigError> {
    let document = Document::new(bytes)?;
    let mut found = PullSecret::default();
    let mut auths = BTreeMap::new();
    for (key, value) in document.root()?.fields(Kind::NotAnObject)? {
        if is_field(&key, "auths") {
            if value.is_null() {
                auths.clear();
            }
            auths.append(&mut entries(value, Kind::Auths)?);
        } else if is_field(&key, "httpheaders") {
            for (_, header) in value.fields(Kind::Headers)? {
                header.string(Kind::Headers)?;
            }
        } else if is_field(&key, "credhelpers") {
            let helpers = value.fields(Kind::NotAnObject).unwrap_or_default();
            found.helpers = helpers.into_iter().map(|(host, _)| host).collect();
        } else if is_field(&key, "credsstore") {
            found.store = matches!(value.string(Kind::NotText), Ok(Some(name)) if !name.is_empty());
        }
    }
    found.entries = auths.into_values().collect();
    Ok(found)
}

fn bare_map(bytes: &[u8]) -> Result<PullSecret, DockerConfigError> {
    let document = Document::new(bytes)?;
    Ok(PullSecret {
        entries: entries(document.root()?, Kind::NotAnObject)?
            .into_values()
            .collect(),
        ..PullSecret::default()
    })
}

/// The entries of a map of hosts. Of two with the same key the last counts, as in a map of Go.
fn entries(map: Value<'_>, kind: Kind) -> Result<BTreeMap<String, KeyringEntry>, DockerConfigError> {
    map.fields(kind)?
        .into_iter()
        .map(|(key, value)| Ok((key.clone(), entry(key, value)?)))
        .collect()
}

/// `DockerConfigEntry.UnmarshalJSON`.
pub(super) fn entry(key: String, value: Value<'_>) -> Result<KeyringEntry, DockerConfigError> {
    let mut username = Zeroizing::new(Vec::new());
    let mut password = Zeroizing::new(Vec::new());
    let mut auth = None;
    let mut has_token = false;
    for (name, field) in value.fields(Kind::Entry)? {
        let text = |field: Value<'_>| field.string(Kind::NotText);
        if is_field(&name, "username") {
            if let Some(text) = text(field)? {
                *username = text.as_bytes().to_vec();
            }
        } else if is_field(&name, "password") {
            if let Some(text) = text(field)? {
                *password = text.as_bytes().to_vec();
            }
        } else if is_field(&name, "email") {
            text(field)?;
        } else if is_field(&name, "auth") {
            auth = text(field)?.map(|text| (text, field)).or(auth);
        } else if is_field(&name, "identitytoken") || is_field(&name, "registrytoken") {
            has_token |= !matches!(field.string(Kind::NotText), Ok(Some(token)) if token.is_empty());
        }
    }
    if let Some((text, field)) = auth.filter(|(text, _)| !text.is_empty()) {
        (username, password) = decode_auth(&text).map_err(|kind| field.error(kind))?;
    }
    let is_garbled = str::from_utf8(&username).is_err() || str::from_utf8(&password).is_err();
    Ok(KeyringEntry {
        key,
        credential: Credential {
            username: String::from_utf8_lossy(&username).into_owned(),
            secret: Secret::new(String::from_utf8_lossy(&password)),
        },
        has_token,
        is_garbled,
    })
}

type Bytes = Zeroizing<Vec<u8>>;

/// `decodeDockerConfigFieldAuth`: padded when it ends in `=`, else without padding; line breaks within
/// do not count; split at the first colon.
fn decode_auth(text: &str) -> Result<(Bytes, Bytes), Kind> {
    let padding = if text.trim().ends_with('=') {
        DecodePaddingMode::RequireCanonical
    } else {
        DecodePaddingMode::RequireNone
    };
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(padding)
        .with_decode_allow_trailing_bits(true);
    let text = Zeroizing::new(text.replace(['\r', '\n'], ""));
    let decoded = GeneralPurpose::new(&STANDARD, config)
        .decode(text.as_bytes())
        .map(Zeroizing::new)
        .map_err(|_| Kind::AuthEncoding)?;
    let colon = decoded.iter().position(|b| *b == b':').ok_or(Kind::AuthColon)?;
    let (user, rest) = decoded.split_at(colon);
    Ok((user.to_vec().into(), rest[1..].to_vec().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(type_: &str, key: &str, text: &[u8]) -> Result<Option<PullSecret>, DockerConfigError> {
        parse_kubernetes(type_, &BTreeMap::from([(key.to_owned(), text.to_vec())]))
    }

    fn json(text: &str) -> Result<PullSecret, DockerConfigError> {
        read(CONFIG_JSON_TYPE, CONFIG_JSON_KEY, text.as_bytes()).map(Option::unwrap)
    }

    fn one(entry: &str) -> Result<(String, String), DockerConfigError> {
        let mut found = json(&format!(r#"{{"auths":{{"h":{entry}}}}}"#))?.entries;
        assert_eq!(found.len(), 1);
        let found = found.remove(0).credential;
        Ok((found.username, found.secret.expose().to_owned()))
    }

    #[test]
    fn type_and_key_must_fit() {
        let json = br#"{"auths":{"h":{"auth":"YTpi"}}}"#;
        let map = br#"{"h":{"auth":"YTpi"}}"#;
        let count = |type_, key, text: &[u8]| read(type_, key, text).unwrap().map(|s| s.entries.len());
        assert_eq!(count(CONFIG_JSON_TYPE, CONFIG_JSON_KEY, json), Some(1));
        assert_eq!(count(CONFIG_TYPE, CONFIG_KEY, map), Some(1));
        assert_eq!(count("Opaque", CONFIG_JSON_KEY, json), None);
        assert_eq!(count(CONFIG_TYPE, CONFIG_JSON_KEY, json), None);
        assert_eq!(count(CONFIG_JSON_TYPE, CONFIG_KEY, map), None);
        assert_eq!(count(CONFIG_JSON_TYPE, "config.json", json), None);
        assert_eq!(count(CONFIG_JSON_TYPE, CONFIG_JSON_KEY, b""), None);
        assert_eq!(count(CONFIG_JSON_TYPE, CONFIG_JSON_KEY, b"{}"), Some(0));
        assert_eq!(count(CONFIG_JSON_TYPE, CONFIG_JSON_KEY, b"null"), Some(0));
        // A config.json in the older form parses, as a single host named `auths` without a user.
        let wrong = read(CONFIG_TYPE, CONFIG_KEY, json).unwrap().unwrap().entries;
        assert_eq!(
            (wrong[0].key.as_str(), wrong[0].credential.username.as_str()),
            ("auths", "")
        );
    }

    #[test]
    fn fields_are_read_as_go_reads_them() {
        let pair = |user: &str, password: &str| Ok((user.to_owned(), password.to_owned()));
        for (entry, want) in [
            (r#"{"username":"u","password":"p"}"#, pair("u", "p")),
            (r#"{"UserName":"u","PASSWORD":"p"}"#, pair("u", "p")),
            (r#"{"u\u017fername":"u","password":"p"}"#, pair("u", "p")),
            (
                r#"{"username":"u","password":"p","auth":"YTpiOmM="}"#,
                pair("a", "b:c"),
            ),
            (r#"{"username":"u","password":"p","auth":""}"#, pair("u", "p")),
            (r#"{"username":"u","password":"p","auth":null}"#, pair("u", "p")),
            (r#"{"auth":"YTpi","auth":null}"#, pair("a", "b")),
            (r#"{"auth":"YTpi","auth":"YzpkCg"}"#, pair("c", "d\n")),
            (r#"{"username":"u","username":"v"}"#, pair("v", "")),
            (r#"{"auth":"YTpiOmM"}"#, pair("a", "b:c")),
            (r#"{"auth":"YTpi\nOmM="}"#, pair("a", "b:c")),
            (r#"{"auth":"YTpiOmN="}"#, pair("a", "b:c")),
            (r#"{"auth":"Og=="}"#, pair("", "")),
            (r#"{"identitytoken":"t"}"#, pair("", "")),
            ("{}", pair("", "")),
            ("null", pair("", "")),
            (r#"{"password":"\ud800x"}"#, pair("", "\u{fffd}x")),
            (r#"{"password":"\ud83d\udd12"}"#, pair("", "\u{1f512}")),
        ] {
            assert_eq!(one(entry), want, "{entry}");
        }
        let latin = json("{\"auths\":{\"h\":{\"auth\":\"dTr/\"}}}").unwrap().entries;
        assert!(latin[0].is_garbled);
        let token = json(
            r#"{"auths":{"a":{"identitytoken":"t"},"b":{"registryToken":"t"},"c":{"identitytoken":""}}}"#,
        );
        let tokens: Vec<bool> = token.unwrap().entries.iter().map(|e| e.has_token).collect();
        assert_eq!(tokens, [true, true, false]);
        let raw = read(
            CONFIG_JSON_TYPE,
            CONFIG_JSON_KEY,
            b"{\"auths\":{\"h\":{\"password\":\"\xe2\x82\"}}}",
        );
        let password = raw.unwrap().unwrap().entries.remove(0).credential.secret;
        assert_eq!(password.expose(), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn maps_come_together_as_in_go() {
        let keys = |text: &str| {
            let found = json(text).unwrap().entries;
            found
                .iter()
                .map(|e| format!("{} {}", e.key, e.credential.username))
                .collect::<Vec<_>>()
        };
        let both = r#"{"auths":{"a":{"username":"1"},"b":{}},"auths":{"a":{"password":"x"},"c":{}}}"#;
        assert_eq!(keys(both), ["a ", "b ", "c "]);
        assert_eq!(keys(r#"{"auths":{"a":{}},"AUTHS":null}"#), Vec::<String>::new());
        assert_eq!(
            keys(r#"{"auths":{"a":{"username":"1"},"a":{"username":"2"}}}"#),
            ["a 2"]
        );
        assert_eq!(
            keys(r#"{"credHelpers":7,"auths":{"a":{}},"HttpHeaders":{"x":null}}"#),
            ["a "]
        );
        let helpers = json(r#"{"credHelpers":{"gcr.io":"gcloud"},"credsStore":"x"}"#).unwrap();
        assert_eq!(
            (helpers.helpers, helpers.store),
            (vec!["gcr.io".to_owned()], true)
        );
    }

    #[test]
    fn one_fault_spoils_the_whole_secret() {
        for (text, kind) in [
            ("hunter2", Kind::NotJson),
            ("{\"auths\":{\"h\":{\"password\":\"hun\nter2\"}}}", Kind::NotJson),
            ("\"hunter2\"", Kind::NotAnObject),
            ("{\"auths\":[\"hunter2\"]}", Kind::Auths),
            ("{\"auths\":{\"h\":\"hunter2\"}}", Kind::Entry),
            ("{\"auths\":{\"h\":{\"username\":7}}}", Kind::NotText),
            ("{\"auths\":{\"h\":{\"email\":[\"hunter2\"]}}}", Kind::NotText),
            ("{\"auths\":{\"h\":{\"auth\":\"hunter2!\"}}}", Kind::AuthEncoding),
            ("{\"auths\":{\"h\":{\"auth\":\" YTpi\"}}}", Kind::AuthEncoding),
            ("{\"auths\":{\"h\":{\"auth\":\"YTpiOmM= \"}}}", Kind::AuthEncoding),
            ("{\"auths\":{\"h\":{\"auth\":\"YTpiOmM==\"}}}", Kind::AuthEncoding),
            ("{\"auths\":{\"h\":{\"auth\":\"hunter22\"}}}", Kind::AuthColon),
            ("{\"auths\":{},\"httpHeaders\":{\"a\":7}}", Kind::Headers),
        ] {
            let error = json(text).unwrap_err();
            assert_eq!(error.kind, kind, "{text}");
            assert!(error.line > 0, "{text}");
            assert!(!format!("{error} {error:?}").contains("hunter"), "{text}");
        }
        let error = json("{\n\"auths\":{\"h\":{ \"auth\":\"hunter22\"}}}").unwrap_err();
        assert_eq!((error.line, error.column), (2, 23));
        let large = vec![b' '; super::super::MAX_SIZE + 1];
        let error = read(CONFIG_JSON_TYPE, CONFIG_JSON_KEY, &large).unwrap_err();
        assert_eq!(error.kind, Kind::TooLarge);
    }
}

//! A docker config file that others write too.
//!
//! Only the entries of our hosts are changed: every other entry, and every other key of the file,
//! keeps its value byte by byte, and its place.

use syncd_config::{RegistryHost, Secret};
use zeroize::Zeroizing;

use super::error::{DockerConfigError, DockerConfigErrorKind as Kind};
use super::json::{Document, Value, is_field, quoted};
use super::{MAX_SIZE, auth, key, kubelet};

/// What a merge comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The whole file; the bytes that were there when nothing in it changes.
    pub config: Secret,
    /// Whether it differs from what was there.
    pub is_changed: bool,
    /// Keys for a host of ours that somebody else wrote. They stay, and an entry of ours for that host
    /// is written only where one of ours was before.
    pub foreign: Vec<ForeignKey>,
    /// What makes other programs overlook an entry of ours, in words.
    pub warnings: Vec<String>,
}

/// An entry that is in the way of one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// Our host.
    pub host: RegistryHost,
    /// The key in the file, made safe to show.
    pub key: String,
}

/// One of our entries.
type Entry<'a> = (RegistryHost, &'a str, &'a Secret);

/// The file with these entries in it. `formerly_ours` are the hosts (or keys of `auths`) that we wrote
/// last: their keys are replaced, or removed when no entry has them any more. A key of a host of ours
/// that is not among them is foreign, unless it holds the same credential already.
///
/// The new file is written as docker writes it (tabs, `auth` only); a file in which nothing changes
/// comes back as it was.
///
/// # Errors
/// What is there is not a docker config, or the result would be larger than [`MAX_SIZE`].
pub fn merge(
    existing: Option<&[u8]>,
    ours: &[Entry<'_>],
    formerly_ours: &[String],
) -> Result<Merged, DockerConfigError> {
    let bytes = existing.unwrap_or_default();
    if bytes.len() > MAX_SIZE {
        return Err(DockerConfigError::nowhere(Kind::TooLarge));
    }
    let is_empty = bytes.iter().all(u8::is_ascii_whitespace);
    if str::from_utf8(bytes).is_err() {
        return Err(DockerConfigError::nowhere(Kind::NotUnicode));
    }
    let document = Document::new(if is_empty { b"{}" } else { bytes })?;
    let mut file = File::read(&document)?;
    let foreign = file.apply(ours, &keys_of(formerly_ours))?;
    let warnings = file.warnings(ours);
    let is_changed = file.is_changed || is_empty;
    let config = if is_changed {
        file.write()
    } else {
        Secret::new(String::from_utf8_lossy(bytes))
    };
    if config.expose().len() > MAX_SIZE {
        return Err(DockerConfigError::nowhere(Kind::TooLarge));
    }
    Ok(Merged {
        config,
        is_changed,
        foreign,
        warnings,
    })
}

/// The keys of hosts, and keys as they are.
fn keys_of(hosts: &[String]) -> Vec<String> {
    let keys = hosts.iter().flat_map(|host| match host.parse::<RegistryHost>() {
        Ok(host) => host.auth_keys(),
        Err(_) => vec![host.clone()],
    });
    keys.collect()
}

/// The file's keys and the entries of `auths`, with values as they were written.
struct File<'a> {
    keys: Vec<(String, Value<'a>)>,
    auths: Vec<(String, Content<'a>)>,
    is_changed: bool,
}

enum Content<'a> {
    Theirs(Value<'a>),
    Ours(Zeroizing<String>),
}

impl<'a> File<'a> {
    fn read(document: &'a Document) -> Result<Self, DockerConfigError> {
        let root = document.root()?;
        if root.is_null() {
            return Err(root.error(Kind::NotAnObject));
        }
        let keys = root.fields(Kind::NotAnObject)?;
        let mut auths = None;
        for (key, value) in &keys {
            check_unicode(key, *value)?;
            if is_field(key, "auths") && auths.replace(value.fields(Kind::Auths)?).is_some() {
                return Err(value.error(Kind::Repeated));
            }
        }
        let theirs = |(key, value): (String, Value<'a>)| {
            check_unicode(&key, value)?;
            Ok((key, Content::Theirs(value)))
        };
        Ok(Self {
            keys,
            auths: auths
                .unwrap_or_default()
                .into_iter()
                .map(theirs)
                .collect::<Result<_, _>>()?,
            is_changed: false,
        })
    }

    /// Puts our entries in, and takes out those that were ours and are no longer wanted.
    fn apply(
        &mut self,
        ours: &[Entry<'_>],
        formerly_ours: &[String],
    ) -> Result<Vec<ForeignKey>, DockerConfigError> {
        let wanted: Vec<String> = ours.iter().flat_map(|(host, ..)| host.auth_keys()).collect();
        let before = self.auths.len();
        self.auths
            .retain(|(key, _)| wanted.contains(key) || !formerly_ours.contains(key));
        self.is_changed |= self.auths.len() != before;
        let mut foreign = Vec::new();
        for entry in ours {
            let found = self.foreign(entry, formerly_ours);
            let keys = entry.0.auth_keys();
            // An entry of ours is kept fresh even if somebody has added another spelling of its host.
            let is_kept = |key: &String| formerly_ours.contains(key) && self.has(key);
            if found.is_empty() || keys.iter().all(is_kept) {
                for key in keys {
                    self.put(key, entry)?;
                }
            }
            foreign.extend(found);
        }
        Ok(foreign)
    }

    fn has(&self, key: &str) -> bool {
        self.auths.iter().any(|(known, _)| known == key)
    }

    /// The keys that stand for the entry's host and are neither ours nor equal to ours.
    fn foreign(&self, entry: &Entry<'_>, formerly_ours: &[String]) -> Vec<ForeignKey> {
        let (host, ..) = entry;
        let is_foreign = |(key, content): &&(String, Content<'_>)| match content {
            Content::Theirs(value) => {
                key::names_host(key, host) && !formerly_ours.contains(key) && !holds(key, *value, entry)
            }
            Content::Ours(_) => false,
        };
        self.auths
            .iter()
            .filter(is_foreign)
            .map(|(key, _)| ForeignKey {
                host: host.clone(),
                key: key::shown(key),
            })
            .collect()
    }

    fn put(&mut self, key: String, entry: &Entry<'_>) -> Result<(), DockerConfigError> {
        let mut same = self.auths.iter_mut().filter(|(known, _)| *known == key);
        let text = || {
            Zeroizing::new(format!(
                "{{\n\t\t\t\"auth\": \"{}\"\n\t\t}}",
                auth(entry.1, entry.2)
            ))
        };
        match (same.next(), same.next()) {
            (Some((_, Content::Theirs(value))), Some(_)) => return Err(value.error(Kind::Repeated)),
            (Some((_, Content::Theirs(value))), None) if holds(&key, *value, entry) => {}
            (Some((_, content)), _) => {
                *content = Content::Ours(text());
                self.is_changed = true;
            }
            (None, _) => {
                self.auths.push((key, Content::Ours(text())));
                self.is_changed = true;
            }
        }
        Ok(())
    }

    /// docker, podman and others ask a helper instead of the file when one is named.
    fn warnings(&self, ours: &[Entry<'_>]) -> Vec<String> {
        let mut warnings = Vec::new();
        for (name, value) in &self.keys {
            let store = value.string(Kind::NotText).ok().flatten();
            if is_field(name, "credsstore") && store.is_some_and(|store| !store.is_empty()) {
                warnings.push(
                    "the file has `credsStore`: docker asks that helper and does not read `auths` (kubelet does)"
                        .to_owned(),
                );
            }
            if !is_field(name, "credhelpers") {
                continue;
            }
            let helpers = value.fields(Kind::NotAnObject).unwrap_or_default();
            let shadowed = ours
                .iter()
                .filter(|(host, ..)| helpers.iter().any(|(helped, _)| key::names_host(helped, host)));
            warnings.extend(shadowed.map(|(host, ..)| {
                format!("`credHelpers` of the file names {host}: docker and podman ask that helper instead of our entry (kubelet reads our entry)")
            }));
        }
        warnings
    }

    /// The whole file, as docker indents it.
    fn write(&self) -> Secret {
        let auths: Vec<String> = self
            .auths
            .iter()
            .map(|(key, content)| {
                let text = match content {
                    Content::Theirs(value) => value.text(),
                    Content::Ours(text) => text,
                };
                format!("\n\t\t{}: {text}", quoted(key))
            })
            .collect();
        let auths = match auths.join(",") {
            none if none.is_empty() => "{}".to_owned(),
            some => format!("{{{some}\n\t}}"),
        };
        let mut has_auths = false;
        let mut keys = Vec::new();
        for (key, value) in &self.keys {
            let is_auths = is_field(key, "auths");
            has_auths |= is_auths;
            let text = if is_auths { &auths } else { value.text() };
            keys.push(format!("\n\t{}: {text}", quoted(key)));
        }
        if !has_auths {
            keys.insert(0, format!("\n\t\"auths\": {auths}"));
        }
        Secret::new(format!("{{{}\n}}\n", keys.join(",")))
    }
}

/// Whether an entry holds exactly this credential, in whatever form, and nothing that comes first.
fn holds(key: &str, value: Value<'_>, (_, username, secret): &Entry<'_>) -> bool {
    kubelet::entry(key.to_owned(), value).is_ok_and(|entry| {
        entry.credential.username == *username
            && entry.credential.secret == **secret
            && !entry.has_token
            && !entry.is_garbled
    })
}

/// A key with half of a surrogate pair cannot be written back as it was.
fn check_unicode(key: &str, value: Value<'_>) -> Result<(), DockerConfigError> {
    if key.contains(char::REPLACEMENT_CHARACTER) {
        return Err(value.error(Kind::NotUnicode));
    }
    Ok(())
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;

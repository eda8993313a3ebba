//! The list of all that syncd wrote, so that exactly that is removed when it is no longer wanted.
//!
//! Written before a secret is made: what is not in the list is never removed, and what was made is
//! in the list even when the process ended in between. It holds names and identities of objects and
//! no credential: the config map `syncd-inventory` in syncd's own namespace, or `inventory.json` in
//! the state folder.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use syncd_config::config::KubernetesTarget;
use syncd_config::{Digest, Secret};
use thiserror::Error;

use crate::cluster::{Cluster, ClusterError, ClusterErrorKind, OwnKind};

const VERSION: u32 = 1;
/// The name of the config map.
const NAME: &str = "syncd-inventory";
/// Its only key, and the name of the file.
const DATA: &str = "inventory.json";
/// The most bytes that are read of a file; a config map has at most 1 MiB.
const CAP: u64 = 16 << 20;

/// A secret of ours, by its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) namespace: String,
    pub(super) secret: String,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.secret)
    }
}

/// One secret that was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Item {
    /// [`fingerprint`] of the target that wanted it.
    pub(super) target: String,
    /// The identity of the object; `None` when its making was recorded and not yet seen.
    pub(super) uid: Option<String>,
}

/// All that was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Inventory {
    pub(super) secrets: BTreeMap<Key, Item>,
    /// A docker config file -> the registry hosts of ours in it.
    pub(super) files: BTreeMap<PathBuf, Vec<String>>,
}

/// What tells one target from another over changes of the configuration: its secret and selector.
pub(super) fn fingerprint(target: &KubernetesTarget) -> String {
    let selector = &target.namespaces;
    let text = format!(
        "{}\n{:?}\n{:?}\n{:?}",
        target.secret, selector.names, selector.match_labels, selector.exclude
    );
    let digest = Digest::sha256(text.as_bytes());
    digest.hex().chars().take(12).collect()
}

/// The written form. Grouped by target, so that ten thousand namespaces fit in a config map.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    version: u32,
    #[serde(default)]
    targets: Vec<WrittenTarget>,
    #[serde(default)]
    files: BTreeMap<PathBuf, Vec<String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenTarget {
    target: String,
    secret: String,
    /// Namespace -> identity of the object, empty when it was not seen yet.
    namespaces: BTreeMap<String, String>,
}

impl Inventory {
    fn to_json(&self) -> Result<String, serde_json::Error> {
        let mut groups: BTreeMap<(&str, &str), BTreeMap<String, String>> = BTreeMap::new();
        for (key, item) in &self.secrets {
            let group = groups.entry((&item.target, &key.secret)).or_default();
            group.insert(key.namespace.clone(), item.uid.clone().unwrap_or_default());
        }
        let targets = groups
            .into_iter()
            .map(|((target, secret), namespaces)| WrittenTarget {
                target: target.to_owned(),
                secret: secret.to_owned(),
                namespaces,
            });
        serde_json::to_string(&Written {
            version: VERSION,
            targets: targets.collect(),
            files: self.files.clone(),
        })
    }

    fn from_json(text: &str) -> Result<Self, InventoryError> {
        let written: Written = serde_json::from_str(text).map_err(InventoryError::Malformed)?;
        if written.version != VERSION {
            return Err(InventoryError::Version(written.version));
        }
        let mut secrets = BTreeMap::new();
        for group in written.targets {
            for (namespace, uid) in group.namespaces {
                let key = Key {
                    namespace,
                    secret: group.secret.clone(),
                };
                if !is_name(&key.namespace) || !is_name(&key.secret) {
                    return Err(InventoryError::Name(syncd_config::text::clean(&key.to_string())));
                }
                let item = Item {
                    target: group.target.clone(),
                    uid: (!uid.is_empty()).then_some(uid),
                };
                secrets.insert(key, item);
            }
        }
        Ok(Self {
            secrets,
            files: written.files,
        })
    }

    /// Takes over what `other` has and this has not.
    pub(super) fn merge(&mut self, other: &Self) {
        for (key, item) in &other.secrets {
            self.secrets.entry(key.clone()).or_insert_with(|| item.clone());
        }
        for (path, hosts) in &other.files {
            let known = self.files.entry(path.clone()).or_default();
            known.extend(hosts.iter().cloned());
            known.sort();
            known.dedup();
        }
    }
}

/// Why the inventory cannot be read or written.
#[derive(Debug, Error)]
pub(super) enum InventoryError {
    /// The API said no.
    #[error("failed to reach the inventory")]
    Cluster(#[source] ClusterError),
    /// The file said no.
    #[error("failed to {0} the inventory {1}")]
    File(&'static str, PathBuf, #[source] io::Error),
    /// Larger than any inventory.
    #[error("failed to read the inventory {0}: it has more than {CAP} bytes")]
    TooLarge(PathBuf),
    /// Not the form that syncd writes.
    #[error("failed to read the inventory")]
    Malformed(#[source] serde_json::Error),
    /// A name that no namespace or secret has.
    #[error("failed to read the inventory: {0} is no namespace and secret")]
    Name(String),
    /// Written by a newer syncd.
    #[error("failed to read the inventory: version {0} is not known here (a newer syncd wrote it)")]
    Version(u32),
    /// The task of reading or writing ended early.
    #[error("failed to finish with the inventory")]
    Task(#[source] tokio::task::JoinError),
}

/// Whether a text can be the name of a namespace or secret: it becomes a part of a URL.
fn is_name(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    let edges = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    text.len() <= 253
        && text.bytes().all(known)
        && edges(text.as_bytes().first())
        && edges(text.as_bytes().last())
}

/// Where the inventory is kept.
#[derive(Clone)]
pub(super) enum InventoryStore {
    File(PathBuf),
    ConfigMap(Box<Cluster>),
}

/// An inventory with the version of the object that it was read from.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    pub(super) inventory: Inventory,
    resource_version: Option<String>,
    /// Whether it was read: one that was not is never written over.
    loaded: bool,
    /// What is in the store, to write nothing when that is the same.
    stored: Option<Inventory>,
}

impl Stored {
    /// Whether the store has all of it.
    fn is_saved(&self) -> bool {
        match &self.stored {
            Some(stored) => *stored == self.inventory,
            None => self.inventory == Inventory::default(),
        }
    }
}

impl InventoryStore {
    /// What is stored, with what `before` could not be stored yet.
    pub(super) async fn reload(&self, before: Option<&Stored>) -> Result<Stored, InventoryError> {
        let mut stored = self.load().await?;
        if let Some(before) = before.filter(|before| !before.is_saved()) {
            stored.inventory.merge(&before.inventory);
        }
        Ok(stored)
    }

    /// What is stored; an empty one when there is nothing yet.
    async fn load(&self) -> Result<Stored, InventoryError> {
        let (text, resource_version) = match self {
            Self::File(path) => {
                let path = path.clone();
                let text = tokio::task::spawn_blocking(move || read(&path))
                    .await
                    .map_err(InventoryError::Task)??;
                (text, None)
            }
            Self::ConfigMap(cluster) => {
                let own = cluster.read_own(OwnKind::ConfigMap, NAME).await;
                match own.map_err(InventoryError::Cluster)? {
                    Some(mut own) => {
                        let text = own.data.remove(DATA).map(|text| text.expose().to_owned());
                        (text, Some(own.resource_version))
                    }
                    None => (None, None),
                }
            }
        };
        let stored = text.as_deref().map(Inventory::from_json).transpose()?;
        Ok(Stored {
            inventory: stored.clone().unwrap_or_default(),
            resource_version,
            loaded: true,
            stored,
        })
    }

    /// Stores `stored.inventory`; writes nothing when that is stored already. When another process
    /// changed it in between, what that one recorded is kept besides.
    pub(super) async fn save(&self, stored: &mut Stored) -> Result<(), InventoryError> {
        if stored.is_saved() {
            return Ok(());
        }
        if !stored.loaded {
            let mut known = self.load().await?;
            known.inventory.merge(&stored.inventory);
            *stored = known;
        }
        match self.write(stored).await {
            Err(InventoryError::Cluster(error))
                if matches!(
                    error.kind,
                    ClusterErrorKind::Conflict | ClusterErrorKind::AlreadyExists
                ) =>
            {
                let other = self.load().await?;
                stored.inventory.merge(&other.inventory);
                stored.resource_version = other.resource_version;
                self.write(stored).await
            }
            done => done,
        }
    }

    async fn write(&self, stored: &mut Stored) -> Result<(), InventoryError> {
        let text = stored.inventory.to_json().map_err(InventoryError::Malformed)?;
        match self {
            Self::File(path) => {
                let path = path.clone();
                tokio::task::spawn_blocking(move || replace(&path, &text))
                    .await
                    .map_err(InventoryError::Task)??;
            }
            Self::ConfigMap(cluster) => {
                let data = BTreeMap::from([(DATA.to_owned(), Secret::new(text))]);
                let was = stored.resource_version.as_deref();
                let version = cluster.write_own(OwnKind::ConfigMap, NAME, &data, was).await;
                stored.resource_version = Some(version.map_err(InventoryError::Cluster)?);
            }
        }
        stored.stored = Some(stored.inventory.clone());
        Ok(())
    }
}

/// The store beside the last good credentials: a file in `state_dir`.
pub(super) fn in_folder(state_dir: &Path) -> InventoryStore {
    InventoryStore::File(state_dir.join(DATA))
}

fn read(path: &Path) -> Result<Option<String>, InventoryError> {
    let failed = |error| InventoryError::File("read", path.to_owned(), error);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut text = String::new();
    file.take(CAP + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > CAP {
        return Err(InventoryError::TooLarge(path.to_owned()));
    }
    Ok(Some(text))
}

fn replace(path: &Path, text: &str) -> Result<(), InventoryError> {
    let failed = |error| InventoryError::File("write", path.to_owned(), error);
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    let folder = std::fs::File::open(folder).map_err(failed)?;
    folder.sync_all().map_err(failed)
}

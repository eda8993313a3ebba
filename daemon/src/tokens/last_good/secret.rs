//! Last-good tokens as keys of one secret in syncd's own namespace.

use std::collections::{BTreeMap, BTreeSet};

use syncd_config::Secret;
use zeroize::Zeroizing;

use super::form;
use super::{LastGood, Stored, TokenStoreError};
use crate::cluster::{Cluster, ClusterError, ClusterErrorKind, OwnKind, OwnObject};

const NAME: &str = "syncd-state";
const ENDING: &str = ".json";
/// The API's bound is 1 MiB for the whole object.
const MOST: u64 = 900 * 1024;
/// How often a write is planned anew because another one came in between.
const TRIES: u32 = 4;

/// Keys and their texts.
type Data = BTreeMap<String, Secret>;

/// The secret, for messages.
pub(super) fn place(cluster: &Cluster) -> String {
    format!("secret {}/{NAME}", cluster.own_namespace())
}

pub(super) async fn read(cluster: &Cluster) -> Result<Stored, TokenStoreError> {
    let mut stored = Stored::default();
    for (key, text) in object(cluster)
        .await?
        .map(|object| object.data)
        .unwrap_or_default()
    {
        if !key.ends_with(ENDING) {
            continue;
        }
        match parse(cluster, &key, &text) {
            Ok(good) => {
                stored.good.insert(good.name.clone(), good);
            }
            Err(problem) => stored.problems.push(problem),
        }
    }
    Ok(stored)
}

pub(super) async fn save(cluster: &Cluster, good: &LastGood) -> Result<(), TokenStoreError> {
    if good.is_empty() {
        return Ok(());
    }
    let mut newer = None;
    change(cluster, |data| {
        newer = None;
        for good in good.values() {
            let key = key_of(&good.name);
            let kept = data.get(&key).map(|text| parse(cluster, &key, text));
            match kept {
                Some(Ok(kept)) if kept == *good => continue,
                Some(Err(error @ TokenStoreError::Newer { .. })) => {
                    newer = Some(error);
                    continue;
                }
                // Another one, none, or one that is of no use to anybody.
                Some(Ok(_) | Err(_)) | None => {}
            }
            let place = format!("{}, {key}", place(cluster));
            data.insert(key, text(&form::bytes(good, &place)?));
        }
        Ok(())
    })
    .await?;
    newer.map_or(Ok(()), Err)
}

pub(super) async fn retain(cluster: &Cluster, names: &BTreeSet<String>) -> Result<(), TokenStoreError> {
    change(cluster, |data| {
        data.retain(|key, text| {
            let read = key.ends_with(ENDING).then(|| parse(cluster, key, text));
            !matches!(read, Some(Ok(good)) if !names.contains(&good.name))
        });
        Ok(())
    })
    .await
}

/// Writes what `edit` makes of the present data, from the version that it was read at; not at all
/// when that is the same. When somebody else wrote in between, from the beginning.
async fn change(
    cluster: &Cluster,
    mut edit: impl FnMut(&mut Data) -> Result<(), TokenStoreError>,
) -> Result<(), TokenStoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let (version, before) = match object(cluster).await? {
            Some(object) => (Some(object.resource_version), object.data),
            None => (None, Data::new()),
        };
        let mut data = before.clone();
        edit(&mut data)?;
        if data == before {
            return Ok(());
        }
        check_size(cluster, &data)?;
        let written = cluster
            .write_own(OwnKind::Secret, NAME, &data, version.as_deref())
            .await;
        match written {
            Ok(_) => return Ok(()),
            Err(error) if tries < TRIES && is_race(&error) => {}
            Err(error) => return Err(failed(cluster, error)),
        }
    }
}

fn is_race(error: &ClusterError) -> bool {
    matches!(
        error.kind,
        ClusterErrorKind::Conflict | ClusterErrorKind::AlreadyExists | ClusterErrorKind::NotFound
    )
}

async fn object(cluster: &Cluster) -> Result<Option<OwnObject>, TokenStoreError> {
    let read = cluster.read_own(OwnKind::Secret, NAME).await;
    read.map_err(|error| failed(cluster, error))
}

fn failed(cluster: &Cluster, source: ClusterError) -> TokenStoreError {
    TokenStoreError::Cluster {
        place: place(cluster),
        source,
    }
}

fn check_size(cluster: &Cluster, data: &Data) -> Result<(), TokenStoreError> {
    let size = |(key, text): (&String, &Secret)| (key.len() + text.expose().len()) as u64;
    let bytes = data.iter().map(size).sum();
    match bytes > MOST {
        false => Ok(()),
        true => Err(TokenStoreError::TooLarge {
            place: place(cluster),
            bytes,
            most: MOST,
        }),
    }
}

fn parse(cluster: &Cluster, key: &str, text: &Secret) -> Result<super::Good, TokenStoreError> {
    let place = format!("{}, {}", place(cluster), syncd_config::text::clean(key));
    let good = form::parse(text.expose().as_bytes(), &place)?;
    // A token speaks for the entry that its key is named after, and a copy of it for no other.
    match key == key_of(&good.name) {
        true => Ok(good),
        false => Err(TokenStoreError::Malformed {
            place,
            what: "it holds the token of another entry",
        }),
    }
}

fn key_of(name: &str) -> String {
    format!("{}{ENDING}", form::safe(name))
}

fn text(bytes: &Zeroizing<Vec<u8>>) -> Secret {
    // JSON is text.
    Secret::new(String::from_utf8_lossy(bytes).into_owned())
}

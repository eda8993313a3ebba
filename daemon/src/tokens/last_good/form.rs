//! One last-good token as bytes: JSON, versioned, canonical (the same token is the same bytes).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use syncd_config::{Digest, RegistryHost, Secret};
use syncd_providers::Expiry;
use zeroize::Zeroizing;

use super::{Good, TokenStoreError};

const VERSION: u64 = 1;
/// The most bytes of one: a token, a user and two names.
pub(super) const MOST: u64 = 256 * 1024;
/// A longer name is cut and hashed: file names end at 255 bytes, keys of secrets at 253.
const LONGEST_NAME: usize = 180;

/// Borrowed, so that the secret is copied into the bytes and nowhere else.
#[derive(Serialize)]
struct Out<'a> {
    version: u64,
    name: &'a str,
    host: &'a str,
    identity: &'a str,
    username: &'a str,
    secret: &'a str,
    expires: Option<Timestamp>,
    minted: Timestamp,
    proven: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct In {
    #[allow(dead_code, reason = "read before, as a version of its own")]
    version: u64,
    name: String,
    host: String,
    identity: String,
    username: String,
    secret: String,
    expires: Option<Timestamp>,
    minted: Timestamp,
    proven: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

/// The bytes.
pub(super) fn bytes(good: &Good, place: &str) -> Result<Zeroizing<Vec<u8>>, TokenStoreError> {
    let out = Out {
        version: VERSION,
        name: &good.name,
        host: good.host.as_str(),
        identity: &good.identity,
        username: &good.username,
        secret: good.secret.expose(),
        expires: good.expires.known(),
        minted: good.minted,
        proven: good.proven,
    };
    // Large enough from the start: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(1024 + 6 * good.secret.expose().len()));
    serde_json::to_writer(&mut *bytes, &out).map_err(|error| TokenStoreError::Write {
        place: place.to_owned(),
        source: error.into(),
    })?;
    let length = bytes.len() as u64;
    if length > MOST {
        return Err(TokenStoreError::TooLarge {
            place: place.to_owned(),
            bytes: length,
            most: MOST,
        });
    }
    Ok(bytes)
}

/// The token of the bytes. An error says what is wrong and none of the bytes, which may be secret.
pub(super) fn parse(bytes: &[u8], place: &str) -> Result<Good, TokenStoreError> {
    let malformed = |what| TokenStoreError::Malformed {
        place: place.to_owned(),
        what,
    };
    let Version { version } =
        serde_json::from_slice(bytes).map_err(|_| malformed("it is no JSON of a form that syncd writes"))?;
    if version > VERSION {
        return Err(TokenStoreError::Newer {
            place: place.to_owned(),
            version,
        });
    }
    let read: In =
        serde_json::from_slice(bytes).map_err(|_| malformed("parts are missing or of another kind"))?;
    let host: RegistryHost = read.host.parse().map_err(|_| malformed("its host is none"))?;
    if host.as_str() != read.host {
        return Err(malformed("its host is none"));
    }
    if read.secret.is_empty() {
        return Err(malformed("its secret is empty"));
    }
    Ok(Good {
        name: read.name,
        host,
        identity: read.identity,
        username: read.username,
        secret: Secret::new(read.secret),
        expires: read.expires.map_or(Expiry::Unknown, Expiry::Known),
        minted: read.minted,
        proven: read.proven,
    })
}

/// The name of an entry as part of a file name or key: letters, digits, `-` and inner dots stay,
/// the rest is `_` and two hex digits a byte, so that two names never become one.
pub(super) fn safe(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    for (at, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => out.push(char::from(byte)),
            b'.' if at > 0 => out.push('.'),
            _ => out.push_str(&format!("_{byte:02x}")),
        }
    }
    if out.len() > LONGEST_NAME {
        let whole = Digest::sha256(name.as_bytes());
        out.truncate(LONGEST_NAME / 2);
        // Two of them never stand in the form above.
        out = format!("{out}__{}", whole.hex());
    }
    out
}

//! Receipts: what was proven about an image at its destination, and when.
//!
//! One small file an image, replaced by rename, so that a crash leaves the old one or the new one.
//! A receipt is evidence, never the truth: a lost, broken or foreign one costs another look at the
//! destination and nothing else.

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use syncd_config::Digest;

use super::verify::Inventory;
use crate::report::Verified;

/// How long a proof at a foreign registry stands: others may write there, and collect garbage.
pub const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);

const VERSION: u32 = 1;
/// The most bytes of a receipt that are read: a closure of 10,000 nodes fits.
const CAP: u64 = 2 << 20;

/// What was proven about one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    version: u32,
    /// `place/repository:tag` of the image in the mirror.
    pub destination: String,
    /// Where it came from.
    pub source: String,
    /// The digest of its root manifest.
    pub digest: Digest,
    /// When the proof was made.
    pub when: Timestamp,
    /// How.
    pub verified: Verified,
    /// All its parts: the next look needs no manifest from anywhere.
    pub inventory: Inventory,
}

impl Receipt {
    /// A receipt of today's form.
    #[must_use]
    pub fn new(
        destination: String,
        source: String,
        digest: Digest,
        when: Timestamp,
        verified: Verified,
        inventory: Inventory,
    ) -> Self {
        Self {
            version: VERSION,
            destination,
            source,
            digest,
            when,
            verified,
            inventory,
        }
    }

    /// Whether the receipt speaks for `digest` at `destination`, whatever its age.
    #[must_use]
    pub fn is_about(&self, digest: &Digest, destination: &str) -> bool {
        let root = self.inventory.manifests.last();
        self.version == VERSION
            && self.digest == *digest
            && self.destination == destination
            && root.is_some_and(|root| root.digest == *digest)
    }

    /// Whether the proof is younger than `max_age`. One from the future is none: a clock was wrong.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp, max_age: SignedDuration) -> bool {
        let age = now.duration_since(self.when);
        !age.is_negative() && age < max_age
    }
}

/// The folder of receipts.
#[derive(Clone, Debug)]
pub struct Receipts {
    folder: PathBuf,
}

impl Receipts {
    /// Receipts under `state_dir`; the folder is made at the first one.
    #[must_use]
    pub fn new(state_dir: &std::path::Path) -> Self {
        Self {
            folder: state_dir.join("receipts"),
        }
    }

    /// The receipt about `destination`; a missing, unreadable or unknown one is `None`.
    #[must_use]
    pub fn load(&self, destination: &str) -> Option<Receipt> {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(self.path(destination)).ok()?;
        file.take(CAP).read_to_end(&mut bytes).ok()?;
        let receipt: Receipt = serde_json::from_slice(&bytes).ok()?;
        (receipt.version == VERSION && receipt.destination == destination).then_some(receipt)
    }

    /// Keeps `receipt` in the place of an older one.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn keep(&self, receipt: &Receipt) -> io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        serde_json::to_writer(&mut file, receipt)?;
        file.flush()?;
        file.as_file().sync_data()?;
        file.persist(self.path(&receipt.destination))
            .map_err(|e| e.error)?;
        Ok(())
    }

    /// Takes the receipt about `destination` back; a missing one is fine.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn revoke(&self, destination: &str) -> io::Result<()> {
        match std::fs::remove_file(self.path(destination)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// The name is hashed: a destination may be longer than a file name.
    fn path(&self, destination: &str) -> PathBuf {
        let name = Digest::sha256(destination.as_bytes());
        self.folder.join(format!("{}.json", name.hex()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::verify::Part;
    use super::*;

    fn receipt(destination: &str) -> Receipt {
        let when = "2026-05-01T10:00:00Z".parse().unwrap();
        let mut inventory = Inventory::default();
        inventory.manifests.push(Part {
            digest: Digest::sha256(b"x"),
            size: 1,
            path: "1".to_owned(),
        });
        Receipt::new(
            destination.to_owned(),
            "quay.io/a/b:1".to_owned(),
            Digest::sha256(b"x"),
            when,
            Verified::Touched,
            inventory,
        )
    }

    #[test]
    fn is_kept_replaced_and_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let receipts = Receipts::new(dir.path());
        let name = format!("h.example/{}:1", "a".repeat(250));
        assert_eq!(receipts.load(&name), None);
        receipts.keep(&receipt(&name)).unwrap();
        let mut newer = receipt(&name);
        newer.digest = Digest::sha256(b"y");
        receipts.keep(&newer).unwrap();
        assert_eq!(receipts.load(&name), Some(newer));
        assert_eq!(std::fs::read_dir(&receipts.folder).unwrap().count(), 1);
        receipts.revoke(&name).unwrap();
        receipts.revoke(&name).unwrap();
        assert_eq!(receipts.load(&name), None);
    }

    #[test]
    fn broken_or_foreign_receipts_are_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let receipts = Receipts::new(dir.path());
        let good = receipt("h/a:1");
        receipts.keep(&good).unwrap();
        let path = receipts.path("h/a:1");
        let text = std::fs::read_to_string(&path).unwrap();
        for broken in [
            String::new(),
            text[..text.len() - 1].to_owned(),
            "[]".to_owned(),
            text.replace("\"version\":1", "\"version\":2"),
            text.replace("h/a:1", "h/b:1"),
            text.replace("sha256:", "sha256:../"),
        ] {
            assert_ne!(broken, text);
            std::fs::write(&path, broken).unwrap();
            assert_eq!(receipts.load("h/a:1"), None);
        }
    }

    #[test]
    fn speaks_for_one_digest_at_one_place_for_a_day() {
        let receipt = receipt("h/a:1");
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert!(receipt.is_about(&Digest::sha256(b"x"), "h/a:1"));
        assert!(!receipt.is_about(&Digest::sha256(b"y"), "h/a:1"));
        assert!(!receipt.is_about(&Digest::sha256(b"x"), "h/a:2"));
        let mut empty = receipt.clone();
        empty.inventory = Inventory::default();
        assert!(
            !empty.is_about(&Digest::sha256(b"x"), "h/a:1"),
            "it lists no parts"
        );
        for (now, fresh) in [
            ("2026-05-01T09:59:59Z", false),
            ("2026-05-01T10:00:00Z", true),
            ("2026-05-02T09:59:59Z", true),
            ("2026-05-02T10:00:00Z", false),
        ] {
            assert_eq!(receipt.is_fresh(at(now), MAX_AGE), fresh, "{now}");
        }
    }
}

//! What a mirror pass did.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `syncd sync mirror -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MirrorReport {
    /// When the pass began.
    pub started: Timestamp,
    /// One entry an image rule, in the order of the configuration.
    pub images: Vec<ImageReport>,
    /// Sums.
    pub totals: MirrorTotals,
}

/// What became of one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageReport {
    /// Where it comes from.
    pub source: String,
    /// `host/repository:tag` in the mirror.
    pub destination: String,
    /// The digest it resolved to.
    pub digest: Option<String>,
    /// What was done.
    pub outcome: ImageOutcome,
    /// How presence was proven; absent when it was not.
    pub verified: Option<Verified>,
    /// Blob and manifest bytes sent in this run.
    pub bytes: u64,
    /// Why, in a few words.
    pub reason: String,
    /// What went wrong.
    pub error: Option<ImageError>,
}

/// The end of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageOutcome {
    /// Copied in this run, then touched.
    Copied,
    /// Already there.
    Present,
    /// Not tried (dry run, or the run was stopped).
    Skipped,
    /// Not mirrored.
    Failed,
}

/// The proof behind `copied` and `present`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verified {
    /// Closure confirmed, size and last byte of each blob read at the destination in this run.
    Touched,
    /// Every byte read back and hashed.
    Hashed,
    /// An earlier run touched it, and its receipt is still valid.
    Receipt,
}

/// A failure, with the way to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageError {
    /// The closed class (`ErrorKind`).
    pub kind: String,
    /// `tag -> index -> linux/arm64 -> layer 3`.
    pub path: String,
    /// The whole chain of causes in one line.
    pub message: String,
    /// What to do, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Sums over all images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MirrorTotals {
    /// All.
    pub images: u64,
    /// Copied in this run.
    pub copied: u64,
    /// Already there.
    pub present: u64,
    /// Failed.
    pub failed: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// HTTP requests made.
    pub requests: Requests,
}

/// HTTP requests a side; a folder or the embedded store costs none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Requests {
    /// To source registries (token endpoints included).
    pub source: u64,
    /// To the destination registry.
    pub destination: u64,
}

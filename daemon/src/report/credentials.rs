//! What a credential pass did.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `syncd sync credentials -o json` and `syncd get credentials -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CredentialReport {
    /// When the pass began.
    pub started: Timestamp,
    /// One entry for each registry that a target names, in the order of the configuration.
    pub registries: Vec<RegistryCredential>,
    /// One entry for each secret and file.
    pub targets: Vec<TargetReport>,
    /// A removal that waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<PendingRemoval>,
    /// What kept parts of the work from being seen at all (a list that failed); empty when nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incomplete: Vec<String>,
    /// Sums.
    pub totals: CredentialTotals,
}

/// One identity at one registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegistryCredential {
    /// The entry of `registries`.
    pub name: String,
    /// Its host.
    pub host: String,
    /// Who we are there, without a secret.
    pub identity: String,
    /// What the pass did.
    pub result: CredentialResult,
    /// When the published token was minted.
    pub minted: Option<Timestamp>,
    /// When it ends; absent when its issuer did not say.
    pub expires: Option<Timestamp>,
    /// When the next one is asked for.
    pub next_refresh: Option<Timestamp>,
    /// Whether the published token was seen to pull.
    pub proven: bool,
    /// How that stands, in a few words: `pulled team/app:1.0`, `no probe is configured`.
    pub proof: String,
    /// Why there is no newer one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<CredentialError>,
}

/// What became of one registry's credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialResult {
    /// A new one is published.
    Minted,
    /// The one before stays: it is good, or the new one is not.
    Kept,
    /// There is none to publish.
    Failed,
}

/// Why there is no (newer) credential.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CredentialError {
    /// The closed class: one of the token's (`denied`, `unreachable`, …) or of the proof's
    /// (`refused`, `pull_denied`, `undecided`).
    pub kind: String,
    /// What happened, in one line.
    pub message: String,
    /// What to do, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// One secret, or one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetReport {
    /// The secret's namespace; absent for a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The secret's name; absent for a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What was done, or in a dry run would be.
    pub outcome: TargetOutcome,
    /// Why, in a few words.
    pub reason: String,
    /// The closed class of a refusal (`foreign`, `wrong_type`, `too_large`, …) or of a failure (one of
    /// the cluster's, as `forbidden`, or of the file's); absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The command that resolves a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What became of a secret or a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetOutcome {
    /// It was not there.
    Created,
    /// It was ours and different.
    Updated,
    /// Nothing was written.
    Unchanged,
    /// It was ours and is no longer wanted.
    Removed,
    /// It is not ours, or cannot be: nothing was written.
    Refused,
    /// Writing it failed.
    Failed,
}

/// A removal that is too large to do unasked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PendingRemoval {
    /// What `--confirm-removal` takes; changes when the list does.
    pub id: String,
    /// `namespace/secret` and files, in order.
    pub items: Vec<String>,
    /// How many are managed in all.
    pub managed: u64,
}

/// Sums over all targets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CredentialTotals {
    /// Secrets and files.
    pub targets: u64,
    /// Created.
    pub created: u64,
    /// Updated.
    pub updated: u64,
    /// Unchanged.
    pub unchanged: u64,
    /// Removed.
    pub removed: u64,
    /// Refused.
    pub refused: u64,
    /// Failed.
    pub failed: u64,
    /// Tokens asked for.
    pub mints: u64,
}

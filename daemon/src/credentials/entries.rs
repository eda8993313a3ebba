//! What becomes of each registry's credential: a pure function of the one that is published, the
//! one that was just had, and what the registry said to it.
//!
//! An entry is replaced only by a fresh token that was seen to pull; by one that nobody could prove
//! only when the published one is of no more use. It is never replaced by nothing, by an older one
//! or by one that the registry refused.

use std::time::Duration;

use jiff::Timestamp;
use syncd_config::config::{Probe, RegistryEntry};
use syncd_config::reference::Target;
use syncd_providers::token::{Expiry, Token};

use super::prove::Proof;
use crate::report::{CredentialError, CredentialResult, RegistryCredential};
use crate::tokens::Good;
use crate::tokens::due::{plausible, useful};

/// One entry before it is decided on.
pub(super) struct Candidate<'a> {
    pub(super) entry: &'a RegistryEntry,
    /// Who we are there, without a secret.
    pub(super) identity: String,
    /// What is published, or was before a restart.
    pub(super) good: Option<Good>,
    pub(super) had: Had,
    /// Why there is no newer token, when its issuer failed: class and words.
    pub(super) trouble: Option<(&'static str, String)>,
    /// When the next token is asked for.
    pub(super) next_refresh: Option<Timestamp>,
    /// With less life than this a token is of no use to a node.
    pub(super) useful_minimum: Duration,
}

/// What this pass had for an entry.
pub(super) enum Had {
    /// Not asked for: its registry is this process's own and has not finished its first pass.
    Held,
    /// No token; [`Candidate::trouble`] says why.
    Nothing,
    /// A token.
    Token {
        token: Token,
        /// What the registry said to it; `None` when this very credential was proven before.
        proof: Option<Proof>,
        /// Whether the registry now refuses the published one.
        old_refused: bool,
    },
}

/// What is published from now on, and the words about it.
pub(super) struct Decision {
    pub(super) good: Option<Good>,
    pub(super) report: RegistryCredential,
}

/// Decides on one entry.
pub(super) fn decide(candidate: Candidate<'_>, now: Timestamp) -> Decision {
    let Candidate {
        entry,
        identity,
        good,
        had,
        trouble,
        next_refresh,
        useful_minimum,
    } = candidate;
    let probe = entry.probe.as_ref();
    let outcome = match had {
        Had::Held => Outcome::kept(good, "waits until this process's own registry is filled"),
        Had::Nothing => {
            let words = proof_before(good.as_ref(), entry);
            Outcome::kept(good, &words)
        }
        Had::Token {
            token,
            proof,
            old_refused,
        } => match good {
            Some(good) if is_same(&good, &token) => same(good, entry, &identity, token, proof, now),
            good => {
                let useful = good
                    .as_ref()
                    .is_some_and(|good| is_worth_keeping(good, probe, useful_minimum, now));
                let keep = useful && !old_refused;
                different(entry, good, &identity, token, proof, keep, now)
            }
        },
    };
    let outcome = match (trouble, &outcome.error) {
        (Some((kind, message)), None) => outcome.because(kind, message, None),
        _ => outcome,
    };
    report(entry, identity, next_refresh, outcome)
}

/// Whether both are the same user and password.
pub(super) fn is_same(good: &Good, token: &Token) -> bool {
    good.username == token.username && good.secret == token.secret
}

/// Whether an unproven successor waits: while the published one has life left. One without a known
/// end is kept until a successor is proven, unless no probe is configured: then none ever will be,
/// and a changed password must not wait for ever.
fn is_worth_keeping(good: &Good, probe: Option<&Probe>, minimum: Duration, now: Timestamp) -> bool {
    match plausible(good.minted, good.expires) {
        Expiry::Unknown => probe.is_some(),
        known => useful(known, minimum, now),
    }
}

/// The token is the credential that is published already.
fn same(
    good: Good,
    entry: &RegistryEntry,
    identity: &str,
    token: Token,
    proof: Option<Proof>,
    now: Timestamp,
) -> Outcome {
    let mut good = Good {
        identity: identity.to_owned(),
        ..good
    };
    if token.minted_at >= good.minted {
        good.expires = plausible(token.minted_at, token.expires);
    }
    match proof {
        None => {
            let words = proof_before(Some(&good), entry);
            Outcome::kept(Some(good), &words)
        }
        Some(Proof::Proven { image }) => {
            good.proven = good.proven.or(Some(now));
            Outcome::kept(Some(good), &format!("pulled {image}"))
        }
        Some(Proof::Undecided { why }) => Outcome::kept(Some(good), &why),
        Some(refusal) => Outcome::kept(Some(good), "").refused(refusal, identity, entry),
    }
}

/// The token is another credential than the published one, or there is none.
fn different(
    entry: &RegistryEntry,
    good: Option<Good>,
    identity: &str,
    token: Token,
    proof: Option<Proof>,
    keep: bool,
    now: Timestamp,
) -> Outcome {
    let probe = entry.probe.as_ref();
    let before = proof_before(good.as_ref(), entry);
    // A `minted` in the future tells of a clock that was wrong then, and decides nothing.
    let is_older = |good: &Good| good.minted <= now && token.minted_at < good.minted;
    if good.as_ref().is_some_and(is_older) {
        return Outcome::kept(good, &before);
    }
    let expires = plausible(token.minted_at, token.expires);
    if expires.known().is_some_and(|ends| ends <= now) {
        let message = "the new token has ended already".to_owned();
        let hint = "compare the clocks of this machine and of the issuer";
        return Outcome::kept(good, &before).because("clock_skew", message, Some(hint.to_owned()));
    }
    let new = |proven| Good {
        expires,
        ..Good::of(entry, identity, &token, proven)
    };
    match proof {
        Some(Proof::Proven { image }) => Outcome::minted(new(Some(now)), &format!("pulled {image}")),
        Some(refusal @ (Proof::Refused { .. } | Proof::PullDenied { .. })) => {
            Outcome::kept(good, &before).refused(refusal, identity, entry)
        }
        Some(Proof::Undecided { why }) if keep => {
            let message = format!("the new credential could not be proven: {why}");
            Outcome::kept(good, &before).because("undecided", message, None)
        }
        Some(Proof::Undecided { why }) => {
            let waits = probe.map(|_| format!("could not be proven: {why}"));
            let outcome = Outcome::minted(new(None), waits.as_deref().unwrap_or(&why));
            match waits {
                Some(message) => outcome.because("undecided", message, None),
                None => outcome,
            }
        }
        None if keep => Outcome::kept(good, &before),
        None => Outcome::minted(new(None), "not proven yet"),
    }
}

/// How the published credential was proven, in words.
fn proof_before(good: Option<&Good>, entry: &RegistryEntry) -> String {
    match (good.and_then(|good| good.proven), &entry.probe) {
        (Some(_), Some(probe)) => format!("pulled {}", image(entry, probe)),
        (Some(_), None) => "pulled an image before".to_owned(),
        (None, Some(_)) => "not proven".to_owned(),
        (None, None) => "no probe is configured".to_owned(),
    }
}

fn image(entry: &RegistryEntry, probe: &Probe) -> String {
    let sign = match &probe.target {
        Target::Tag(_) => ':',
        Target::Digest(_) => '@',
    };
    format!("{}/{}{sign}{}", entry.host, probe.repository, probe.target)
}

/// A decision before it is put in the form of the report.
struct Outcome {
    good: Option<Good>,
    minted: bool,
    proof: String,
    error: Option<CredentialError>,
}

impl Outcome {
    fn kept(good: Option<Good>, proof: &str) -> Self {
        Self {
            good,
            minted: false,
            proof: proof.to_owned(),
            error: None,
        }
    }

    fn minted(good: Good, proof: &str) -> Self {
        Self {
            good: Some(good),
            minted: true,
            proof: proof.to_owned(),
            error: None,
        }
    }

    fn because(self, kind: &str, message: String, hint: Option<String>) -> Self {
        let error = CredentialError {
            kind: kind.to_owned(),
            message,
            hint,
        };
        Self {
            error: Some(error),
            ..self
        }
    }

    /// The registry's no. What is published stays, proven or not.
    fn refused(self, refusal: Proof, identity: &str, entry: &RegistryEntry) -> Self {
        let probe = entry.probe.as_ref();
        let tried = probe.map_or_else(|| "the probe".to_owned(), |probe| image(entry, probe));
        let (kind, message, hint) = match refusal {
            Proof::Refused { words } => (
                "refused",
                format!("the registry refuses the credential: {words}"),
                format!("check who we are there: {identity}"),
            ),
            Proof::PullDenied { words } => (
                "pull_denied",
                format!("the login works, but pulling {tried} is denied: {words}"),
                format!("let this identity pull {tried}: {identity}"),
            ),
            Proof::Proven { .. } | Proof::Undecided { .. } => return self,
        };
        let is_told = !self.proof.is_empty();
        let proof = if is_told {
            self.proof.clone()
        } else {
            message.clone()
        };
        Self { proof, ..self }.because(kind, message, Some(hint))
    }
}

fn report(
    entry: &RegistryEntry,
    identity: String,
    next_refresh: Option<Timestamp>,
    outcome: Outcome,
) -> Decision {
    let Outcome {
        good,
        minted,
        proof,
        error,
    } = outcome;
    let result = match (&good, minted, &error) {
        (Some(_), true, _) => CredentialResult::Minted,
        (None, _, Some(_)) => CredentialResult::Failed,
        _ => CredentialResult::Kept,
    };
    let report = RegistryCredential {
        name: entry.name.clone(),
        host: entry.host.to_string(),
        identity,
        result,
        minted: good.as_ref().map(|good| good.minted),
        expires: good.as_ref().and_then(|good| good.expires.known()),
        next_refresh,
        proven: good.as_ref().is_some_and(|good| good.proven.is_some()),
        proof,
        error,
    };
    Decision { good, report }
}

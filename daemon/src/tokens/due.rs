//! When a token is renewed: a function of values, without a clock and without chance of its own.
//!
//! - At half of its life, give or take a tenth, so that many identities do not come back together.
//! - `maxAge` only ever makes that earlier.
//! - An end that cannot be true (before the token was minted, over a year away) is no end: such
//!   tokens live until the registry refuses them, and nothing is asked for in a loop.
//! - Tokens that are nearly due go with one that is, and fan-outs keep apart.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use syncd_providers::Expiry;

/// No issuer hands out tokens for longer; a later end is a mistake or a way to say "never".
pub const LONGEST_LIFE: SignedDuration = SignedDuration::from_hours(366 * 24);

/// Writing to every namespace is not repeated sooner, unless a token is about to be of no use.
pub const FAN_OUTS_APART: SignedDuration = SignedDuration::from_mins(5);

/// The first wait after a failure is at most that long; each further one at most twice as long.
const BACK_OFF_BASE: Duration = Duration::from_secs(1);
/// No wait is longer: an issuer that is back is noticed within this.
const BACK_OFF_CAP: Duration = Duration::from_secs(300);

/// The end of a token's life as far as it can be true.
#[must_use]
pub fn plausible(minted: Timestamp, expires: Expiry) -> Expiry {
    match expires {
        Expiry::Known(at) if at > minted && at.duration_since(minted) <= LONGEST_LIFE => expires,
        _ => Expiry::Unknown,
    }
}

/// When a token is to be renewed: at half of its life, moved by `jitter` (-1 to 1; others are cut)
/// times a tenth of that, and at the age `max_age` at the latest. Never before it was minted and,
/// when its end is known, always before that. `None`: nothing says when (an unknown end and no
/// `max_age`).
#[must_use]
pub fn refresh_at(
    minted: Timestamp,
    expires: Expiry,
    max_age: Option<Duration>,
    jitter: f64,
) -> Option<Timestamp> {
    let jitter = if jitter.is_nan() {
        0.0
    } else {
        jitter.clamp(-1.0, 1.0)
    };
    let by_life = plausible(minted, expires).known().map(|end| {
        let life = end.duration_since(minted);
        life.mul_f64(0.5 + 0.05 * jitter)
    });
    // An upper bound is kept to, so it is only ever moved towards earlier.
    let by_age = max_age.map(|age| {
        let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
        age.min(LONGEST_LIFE).mul_f64(0.95 + 0.05 * jitter)
    });
    let after = match (by_life, by_age) {
        (Some(life), Some(age)) => life.min(age),
        (life, age) => life.or(age)?,
    };
    Some(minted.checked_add(after).unwrap_or(Timestamp::MAX))
}

/// Whether a token is renewed by a pass that happens now: it is due, or within the last quarter
/// before that.
#[must_use]
pub fn wanted(minted: Timestamp, refresh: Option<Timestamp>, now: Timestamp) -> bool {
    refresh.is_some_and(|refresh| {
        let quarter = refresh.duration_since(minted).max(SignedDuration::ZERO) / 4;
        now >= refresh.checked_sub(quarter).unwrap_or(Timestamp::MIN)
    })
}

/// When the next fan-out is to be: at the first of the `refreshes`, but not within
/// [`FAN_OUTS_APART`] of the `last` one. A token for which waiting is not possible (below its useful
/// minimum, or refused) is not for this function: it is renewed at once.
#[must_use]
pub fn next_fan_out(
    refreshes: impl IntoIterator<Item = Timestamp>,
    last: Option<Timestamp>,
) -> Option<Timestamp> {
    let first = refreshes.into_iter().min()?;
    let apart = last.map(|last| last.checked_add(FAN_OUTS_APART).unwrap_or(Timestamp::MAX));
    Some(apart.map_or(first, |apart| first.max(apart)))
}

/// Whether a token with that end is still of use to a node: more than `useful_minimum` of its life
/// is left. One of unknown end is.
#[must_use]
pub fn useful(expires: Expiry, useful_minimum: Duration, now: Timestamp) -> bool {
    expires.known().is_none_or(|end| {
        let minimum = SignedDuration::try_from(useful_minimum).unwrap_or(SignedDuration::MAX);
        end.duration_since(now) > minimum
    })
}

/// How long to leave an issuer alone after that many failures in a row: full jitter, `random` from
/// 0 to 1 (others are cut) of a bound that doubles from 1 s to 5 min.
#[must_use]
pub fn back_off(failures: u32, random: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let most = BACK_OFF_BASE.saturating_mul(1 << doublings).min(BACK_OFF_CAP);
    let random = if random.is_nan() {
        1.0
    } else {
        random.clamp(0.0, 1.0)
    };
    most.mul_f64(random)
}

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
        // Rounding must not make it the very end of a life of nanoseconds.
        life.mul_f64(0.5 + 0.05 * jitter)
            .min(life - SignedDuration::from_nanos(1))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn minted() -> Timestamp {
        at("2026-05-01T10:00:00Z")
    }

    fn minutes(at: Option<Timestamp>) -> Option<i64> {
        at.map(|at| at.duration_since(minted()).as_secs() / 60)
    }

    const HOURS_6: Option<Duration> = Some(Duration::from_secs(6 * 3600));

    #[test]
    fn at_half_of_its_life_give_or_take_a_tenth() {
        // The lives of the clouds' tokens: end, maxAge, and minutes at jitter -1, 0 and 1.
        for (end, max_age, early, middle, late) in [
            ("2026-05-01T22:00:00Z", None, Some(324), Some(360), Some(396)),
            ("2026-05-01T11:00:00Z", None, Some(27), Some(30), Some(33)),
            ("2026-05-01T13:00:00Z", None, Some(81), Some(90), Some(99)),
            ("2026-05-01T10:15:00Z", None, Some(6), Some(7), Some(8)),
            // A bound of 6 h: nothing for short lives, earlier for long ones, the only word for
            // ends that cannot be true.
            ("2026-05-01T11:00:00Z", HOURS_6, Some(27), Some(30), Some(33)),
            ("2026-05-01T22:00:00Z", HOURS_6, Some(324), Some(342), Some(360)),
            ("2026-05-03T10:00:00Z", HOURS_6, Some(324), Some(342), Some(360)),
            ("2015-01-01T00:00:00Z", HOURS_6, Some(324), Some(342), Some(360)),
            ("2015-01-01T00:00:00Z", None, None, None, None),
            ("2026-05-01T10:00:00Z", None, None, None, None),
            ("0001-01-01T00:00:00Z", None, None, None, None),
            ("1970-01-01T00:00:00Z", None, None, None, None),
            ("9999-12-30T20:00:00Z", None, None, None, None),
            ("2027-05-03T10:00:00Z", None, None, None, None),
        ] {
            let expires = Expiry::Known(at(end));
            let of = |jitter| minutes(refresh_at(minted(), expires, max_age, jitter));
            let got = (of(-1.0), of(0.0), of(1.0));
            assert_eq!(got, (early, middle, late), "{end} {max_age:?}");
            // What is no jitter at all is cut.
            assert_eq!((of(-9.0), of(f64::NAN), of(9.0)), got, "{end}");
        }
        let unknown = |max_age| minutes(refresh_at(minted(), Expiry::Unknown, max_age, 1.0));
        assert_eq!((unknown(None), unknown(HOURS_6)), (None, Some(360)));
        assert!(unknown(Some(Duration::MAX)).is_some());
    }

    #[test]
    fn the_last_quarter_goes_with_those_that_are_due() {
        let refresh = Some(at("2026-05-01T16:00:00Z"));
        for (now, expected) in [
            ("2026-05-01T10:00:00Z", false),
            ("2026-05-01T14:29:59Z", false),
            ("2026-05-01T14:30:00Z", true),
            ("2026-05-01T16:00:00Z", true),
            ("2026-05-02T16:00:00Z", true),
        ] {
            assert_eq!(wanted(minted(), refresh, at(now)), expected, "{now}");
        }
        assert!(!wanted(minted(), None, Timestamp::MAX));
        // A refresh before the mint (a clock that was set back) is due.
        assert!(wanted(minted(), Some(at("2026-05-01T09:00:00Z")), minted()));
    }

    #[test]
    fn fan_outs_keep_apart() {
        let refreshes = [at("2026-05-01T10:02:00Z"), at("2026-05-01T10:30:00Z")];
        for (last, expected) in [
            (None, "2026-05-01T10:02:00Z"),
            (Some("2026-05-01T10:00:00Z"), "2026-05-01T10:05:00Z"),
            (Some("2026-05-01T09:00:00Z"), "2026-05-01T10:02:00Z"),
        ] {
            assert_eq!(
                next_fan_out(refreshes, last.map(at)),
                Some(at(expected)),
                "{last:?}"
            );
        }
        assert_eq!(next_fan_out([], Some(minted())), None);
    }

    #[test]
    fn useful_until_the_minimum_is_left() {
        let end = Expiry::Known(at("2026-05-01T11:00:00Z"));
        let ten = Duration::from_secs(600);
        for (now, expected) in [
            ("2026-05-01T10:49:59Z", true),
            ("2026-05-01T10:50:00Z", false),
            ("2026-05-01T12:00:00Z", false),
        ] {
            assert_eq!(useful(end, ten, at(now)), expected, "{now}");
        }
        assert!(useful(Expiry::Unknown, Duration::MAX, minted()));
        assert!(!useful(end, Duration::ZERO, at("2026-05-01T11:00:00Z")));
    }

    #[test]
    fn backs_off_by_doubling_up_to_five_minutes() {
        let most = |failures| back_off(failures, 1.0).as_secs();
        let bounds: Vec<u64> = (0..12).map(most).collect();
        assert_eq!(bounds, [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(most(u32::MAX), 300);
        assert_eq!(back_off(9, 0.0), Duration::ZERO);
        assert_eq!(back_off(9, 0.5), Duration::from_secs(128));
        assert_eq!(back_off(1, f64::NAN), Duration::from_secs(1));
    }

    fn times() -> impl Strategy<Value = Timestamp> {
        let seconds = Timestamp::MIN.as_second()..=Timestamp::MAX.as_second();
        (seconds, 0..1_000_000_000_i32).prop_filter_map("in range", |(s, ns)| Timestamp::new(s, ns).ok())
    }

    fn lives() -> impl Strategy<Value = i64> {
        prop_oneof![1..1000_i64, 1..31_000_000_000_000_000_i64]
    }

    fn ages() -> impl Strategy<Value = Option<Duration>> {
        prop_oneof![
            Just(None),
            (0..u64::MAX).prop_map(|ns| Some(Duration::from_nanos(ns))),
            Just(Some(Duration::MAX)),
        ]
    }

    proptest! {
        #[test]
        fn never_at_or_after_its_end_and_never_before_the_mint(
            minted in times(), life in lives(), max_age in ages(), jitter in any::<f64>(),
        ) {
            let end = minted.checked_add(SignedDuration::from_nanos(life));
            prop_assume!(end.is_ok());
            let refresh = refresh_at(minted, Expiry::Known(end.clone().unwrap()), max_age, jitter).unwrap();
            prop_assert!(minted <= refresh && refresh < end.unwrap(), "{refresh}");
        }

        #[test]
        fn jitter_stays_within_a_tenth(life in 1_000_000_i64..31_000_000_000_000_000, jitter in -1.0..1.0) {
            let end = minted() + SignedDuration::from_nanos(life);
            let refresh = refresh_at(minted(), Expiry::Known(end), None, jitter).unwrap();
            let part = refresh.duration_since(minted()).as_nanos() as f64 / life as f64;
            prop_assert!((0.4499..=0.5501).contains(&part), "{part}");
        }

        #[test]
        fn max_age_only_shortens(
            minted in times(), end in times(), max_age in 0..u64::MAX, jitter in -1.0..1.0,
        ) {
            let age = Duration::from_nanos(max_age);
            let without = refresh_at(minted, Expiry::Known(end), None, jitter);
            let with = refresh_at(minted, Expiry::Known(end), Some(age), jitter).unwrap();
            prop_assert!(without.is_none_or(|without| with <= without));
            let passed = with.duration_since(minted);
            prop_assert!(passed <= SignedDuration::try_from(age).unwrap() || with == Timestamp::MAX);
            prop_assert!(with >= minted);
        }

        #[test]
        fn due_ones_are_wanted_and_fan_outs_apart(
            minted in times(), refresh in times(), now in times(), last in times(),
        ) {
            if now >= refresh {
                prop_assert!(wanted(minted, Some(refresh), now));
            }
            let next = next_fan_out([refresh], Some(last)).unwrap();
            prop_assert!(next >= refresh);
            prop_assert!(next == Timestamp::MAX || next.duration_since(last) >= FAN_OUTS_APART || next == refresh);
            prop_assert!(next == refresh || next.duration_since(last) == FAN_OUTS_APART || next == Timestamp::MAX);
        }

        #[test]
        fn back_off_is_within_its_bound(failures in any::<u32>(), random in any::<f64>()) {
            let wait = back_off(failures, random);
            prop_assert!(wait <= BACK_OFF_CAP);
        }
    }
}

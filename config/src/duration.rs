//! Lengths of time as people write them: `12h`, `90m`, `1h30m`, `30s`.
//!
//! Hours, minutes and seconds, each at most once and in that order. There is no day: on some days
//! a clock shows 23 hours, on others 25.

use std::time::Duration;

use thiserror::Error;

/// The longest that is taken: a year of 365 days.
pub const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Why a text is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DurationError {
    /// Nothing there.
    #[error("the duration is empty")]
    Empty,
    /// Less than nothing.
    #[error("a duration is not negative")]
    Negative,
    /// No time at all.
    #[error("the duration is zero")]
    Zero,
    /// A number and no unit after it.
    #[error("the unit is missing")]
    NoUnit,
    /// A point or comma.
    #[error("a duration has whole numbers only")]
    Fraction,
    /// A unit that is none of `h`, `m` and `s`.
    #[error("the units are h, m and s")]
    Unit {
        /// Which of them was meant, if one was.
        meant: Option<Meant>,
    },
    /// A unit that is there before, or a larger one after a smaller one.
    #[error("each unit stands once, the larger one first")]
    Order,
    /// More than [`LONGEST`].
    #[error("the duration is longer than a year")]
    TooLong,
    /// Anything else.
    #[error("not a duration")]
    Form,
}

/// What an unknown unit stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meant {
    /// One of ours, written longer: `hours`.
    Short(&'static str),
    /// Days or weeks; how many hours that is.
    Hours(u64),
    /// Parts of a second.
    TooFine,
}

impl DurationError {
    /// How to write it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unit {
                meant: Some(Meant::Short(unit)),
            } => format!("write `{unit}`, such as 12{unit}"),
            Self::Unit {
                meant: Some(Meant::Hours(hours)),
            } => format!("write it in hours: {hours}h"),
            Self::Unit {
                meant: Some(Meant::TooFine),
            } => "a second is the least: 1s".to_owned(),
            Self::Fraction => "such as 1h30m for one and a half hours".to_owned(),
            Self::Order => "such as 1h30m".to_owned(),
            Self::TooLong => "8760h is the most".to_owned(),
            _ => "such as 12h, 90m, 1h30m or 30s".to_owned(),
        }
    }
}

/// The units, the larger first, and their seconds.
const UNITS: [(char, u64); 3] = [('h', 3600), ('m', 60), ('s', 1)];

/// Reads a length of time of at least a second and at most [`LONGEST`].
///
/// # Errors
/// The text is not of this form, or the length is zero, negative or too long.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    if text.starts_with('-') {
        return Err(DurationError::Negative);
    }
    let (mut rest, mut total, mut units) = (text, 0_u64, UNITS.as_slice());
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        if number.is_empty() {
            return Err(DurationError::Form);
        }
        // What has too many digits for a number is too long in every unit.
        let number = number.parse::<u64>().unwrap_or(u64::MAX);
        if after.starts_with(['.', ',']) {
            return Err(DurationError::Fraction);
        }
        let (unit, after) = unit(after, number)?;
        let Some(at) = units.iter().position(|(known, _)| *known == unit) else {
            return Err(DurationError::Order);
        };
        total = total.saturating_add(number.saturating_mul(units[at].1));
        units = &units[at + 1..];
        rest = after;
    }
    match Duration::from_secs(total) {
        Duration::ZERO => Err(DurationError::Zero),
        long if long > LONGEST => Err(DurationError::TooLong),
        good => Ok(good),
    }
}

/// The unit at the beginning of a text and what comes after it.
fn unit(text: &str, number: u64) -> Result<(char, &str), DurationError> {
    let end = text.find(|c: char| !c.is_alphabetic()).unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    match word.to_lowercase().as_str() {
        "" if text.is_empty() => Err(DurationError::NoUnit),
        "" => Err(DurationError::Form),
        // Upper case is no other unit here, but `M` is a month to some.
        "h" | "m" | "s" if word.chars().all(char::is_lowercase) => {
            Ok((word.chars().next().unwrap_or_default(), after))
        }
        word => Err(DurationError::Unit {
            meant: meant(word, number),
        }),
    }
}

fn meant(word: &str, number: u64) -> Option<Meant> {
    let hours = |each: u64| {
        let hours = number.checked_mul(each)?;
        (hours.checked_mul(3600)? <= LONGEST.as_secs()).then_some(Meant::Hours(hours))
    };
    match word {
        "h" | "hr" | "hrs" | "hour" | "hours" => Some(Meant::Short("h")),
        "m" | "min" | "mins" | "minute" | "minutes" => Some(Meant::Short("m")),
        "s" | "sec" | "secs" | "second" | "seconds" => Some(Meant::Short("s")),
        "d" | "day" | "days" => hours(24),
        "w" | "week" | "weeks" => hours(7 * 24),
        "ms" | "us" | "µs" | "ns" => Some(Meant::TooFine),
        _ => None,
    }
}

/// A length of time as [`parse`] reads it; parts of a second are left out.
#[must_use]
pub fn format(duration: Duration) -> String {
    let mut left = duration.as_secs();
    let mut text = String::new();
    for (unit, seconds) in UNITS {
        let count = left / seconds;
        left %= seconds;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    if text.is_empty() {
        text.push_str("0s");
    }
    text
}

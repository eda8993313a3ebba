//! Schedules with crontab's meaning, on top of the `cron` crate (which by itself wants seconds,
//! counts weekdays from 1 and joins day and weekday by "and").
//!
//! - Five fields: minute, hour, day of the month, month, weekday; `*`, lists, ranges, steps after
//!   `*` or a range, English three-letter names of months and weekdays; 0 and 7 are Sunday.
//! - When both day fields are restricted, one of them must match (POSIX, crontab). A field that
//!   begins with `*` does not count as restricted, `*/2` neither: then both must match
//!   (Vixie cron, `DOM_STAR`).
//! - `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly`, `@annually`.
//! - When a clock is set forward, the times that are left out run together, once, at the moment of
//!   the change; when it is set back, a time that comes twice runs the first time only (cron(8),
//!   "daylight saving time"). A schedule that runs in every hour follows elapsed time instead: it
//!   runs in both passes of a repeated hour, and not for an hour that does not exist.

use std::fmt;
use std::str::FromStr;

use cron::TimeUnitSpec;
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use thiserror::Error;

/// The longest expression that is read.
const LONGEST: usize = 1000;

/// The days that are searched: the 29th of February on one weekday comes after 40 years at most
/// (over a year such as 2100).
const SEARCHED: u32 = 41 * 366;

/// A schedule of crontab.
#[derive(Clone, Debug)]
pub struct Cron {
    text: String,
    /// The five sets; its own rule for days is not used.
    sets: Box<cron::Schedule>,
    /// One of the day fields must match, rather than both.
    either_day: bool,
}

/// A field of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// 1 to 31.
    Day,
    /// 1 to 12, or names.
    Month,
    /// 0 to 7, or names.
    Weekday,
}

/// Why a text is no schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CronError {
    /// Not five fields.
    #[error("a schedule has five fields (minute hour day month weekday), not {0}")]
    Count(usize),
    /// An `@` word that is not known.
    #[error("the words are @hourly @daily @weekly @monthly @yearly")]
    Word,
    /// Too long to be meant.
    #[error("a schedule has at most {LONGEST} characters")]
    Length,
    /// No number, name, range, step or list.
    #[error("the {0} must be *, a number, a range, a step or a list of them")]
    Form(Field),
    /// Out of range.
    #[error("the {0} must be within {min} to {max}", min = .0.bounds().0, max = .0.bounds().1)]
    Bounds(Field),
    /// `5-3`.
    #[error("a range of the {0} runs backwards")]
    Backwards(Field),
    /// `5/15`.
    #[error("a step of the {0} must follow * or a range, such as */2")]
    StepAlone(Field),
    /// `*/0`.
    #[error("a step of the {0} must be 1 or more")]
    Step(Field),
    /// The 30th of February.
    #[error("no date matches: it would never run")]
    Never,
}

impl Field {
    const fn bounds(self) -> (u32, u32) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::Day => (1, 31),
            Self::Month => (1, 12),
            Self::Weekday => (0, 7),
        }
    }

    /// Names and the number of the first.
    const fn names(self) -> (&'static [&'static str], u32) {
        match self {
            Self::Month => (
                &[
                    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
                ],
                1,
            ),
            Self::Weekday => (&["sun", "mon", "tue", "wed", "thu", "fri", "sat"], 0),
            Self::Minute | Self::Hour | Self::Day => (&[], 0),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Weekday => "weekday",
        })
    }
}

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// It is not crontab's grammar, or no date ever matches.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        if text.len() > LONGEST {
            return Err(CronError::Length);
        }
        let expanded = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            word if word.starts_with('@') => return Err(CronError::Word),
            fields => fields,
        };
        let fields: Vec<&str> = expanded.split_ascii_whitespace().collect();
        let &[minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(CronError::Count(fields.len()));
        };
        let either_day = !day.starts_with('*') && !weekday.starts_with('*');
        let minutes = numbers(minute, Field::Minute)?;
        let hours = numbers(hour, Field::Hour)?;
        let days = numbers(day, Field::Day)?;
        let months = numbers(month, Field::Month)?;
        // The crate's Sunday is 1.
        let weekdays = numbers(weekday, Field::Weekday)?
            .into_iter()
            .map(|n| n % 7 + 1)
            .collect();
        if !either_day && !fits(&days, &months) {
            return Err(CronError::Never);
        }
        let sets = [vec![0], minutes, hours, days, months, weekdays].map(|set| join(&set));
        let sets = cron::Schedule::from_str(&sets.join(" ")).map_err(|_| CronError::Form(Field::Minute))?;
        Ok(Self {
            text: text.trim().to_owned(),
            sets: Box::new(sets),
            either_day,
        })
    }

    /// The expression, as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first time after `now` that the schedule runs, on the clocks of `zone`.
    /// `None` at the end of time (the year 9999).
    #[must_use]
    pub fn next_after(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut date = zone.to_datetime(now).date().yesterday().ok()?;
        for _ in 0..SEARCHED {
            if let Some(found) = self.first_on(date, now, zone) {
                // Around a clock change the next day may begin before this one's second pass.
                let next = date
                    .tomorrow()
                    .ok()
                    .and_then(|next| self.first_on(next, now, zone));
                return Some(next.map_or(found, |next| next.min(found)));
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// The first run after `now` among the times of one date.
    fn first_on(&self, date: Date, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if !self.matches(date) {
            return None;
        }
        let hours = self.sets.hours();
        let every_hour = hours.count() == 24;
        let times = hours
            .iter()
            .flat_map(|hour| self.sets.minutes().iter().map(move |minute| (hour, minute)));
        times
            .filter_map(|(hour, minute)| {
                let time = Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0).ok()?;
                Some(instants(date.to_datetime(time), zone, every_hour))
            })
            .flatten()
            .flatten()
            .filter(|instant| *instant > now)
            .min()
    }

    fn matches(&self, date: Date) -> bool {
        let number = |n: i8| u32::try_from(n).unwrap_or(0);
        let month = self.sets.months().includes(number(date.month()));
        let day = self.sets.days_of_month().includes(number(date.day()));
        let weekday = number(date.weekday().to_sunday_zero_offset()) + 1;
        let weekday = self.sets.days_of_week().includes(weekday);
        month
            && if self.either_day {
                day || weekday
            } else {
                day && weekday
            }
    }
}

/// The instants at which the clocks of `zone` show a time and the schedule runs.
fn instants(time: jiff::civil::DateTime, zone: &TimeZone, every_hour: bool) -> [Option<Timestamp>; 2] {
    let ambiguous = zone.to_ambiguous_timestamp(time);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } => [offset.to_timestamp(time).ok(), None],
        AmbiguousOffset::Fold { before, after } => {
            let second = every_hour.then(|| after.to_timestamp(time).ok()).flatten();
            [before.to_timestamp(time).ok(), second]
        }
        AmbiguousOffset::Gap { before, .. } => {
            // With the old offset, a time in the gap lies just behind the change.
            let behind = before.to_timestamp(time).ok().filter(|_| !every_hour);
            let change = behind.and_then(|behind| {
                let from = behind.checked_add(jiff::SignedDuration::from_nanos(1)).ok()?;
                zone.preceding(from).next().map(|change| change.timestamp())
            });
            [change, None]
        }
    }
}

/// Whether some month has one of the days.
fn fits(days: &[u32], months: &[u32]) -> bool {
    let longest = months.iter().map(|month| match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    });
    let first = days.iter().min();
    first
        .zip(longest.max())
        .is_some_and(|(first, longest)| *first <= longest)
}

fn join(set: &[u32]) -> String {
    let words: Vec<String> = set.iter().map(ToString::to_string).collect();
    words.join(",")
}

/// The numbers that a field means, sorted, each once.
fn numbers(text: &str, field: Field) -> Result<Vec<u32>, CronError> {
    let mut set = std::collections::BTreeSet::new();
    for item in text.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(self::step(step, field)?)),
            None => (item, None),
        };
        let (from, to) = match (range, range.split_once('-')) {
            ("*", _) => field.bounds(),
            (_, Some((from, to))) => (number(from, field)?, end(to, field)?),
            (_, None) if step.is_some() => return Err(CronError::StepAlone(field)),
            (_, None) => {
                let one = number(range, field)?;
                (one, one)
            }
        };
        if from > to {
            return Err(CronError::Backwards(field));
        }
        set.extend((from..=to).step_by(step.unwrap_or(1)));
    }
    // `*` of the weekday means 0 to 7; 7 is 0.
    Ok(match field {
        Field::Weekday => set
            .into_iter()
            .map(|n| n % 7)
            .collect::<std::collections::BTreeSet<_>>(),
        _ => set,
    }
    .into_iter()
    .collect())
}

fn step(text: &str, field: Field) -> Result<usize, CronError> {
    match digits(text).ok_or(CronError::Form(field))? {
        0 => Err(CronError::Step(field)),
        step => usize::try_from(step).map_err(|_| CronError::Step(field)),
    }
}

/// The end of a range: `fri-sun` ends on the Sunday after.
fn end(text: &str, field: Field) -> Result<u32, CronError> {
    match field {
        Field::Weekday if text.eq_ignore_ascii_case("sun") => Ok(7),
        _ => number(text, field),
    }
}

fn number(text: &str, field: Field) -> Result<u32, CronError> {
    let (names, first) = field.names();
    let named = names
        .iter()
        .zip(first..)
        .find(|(name, _)| text.eq_ignore_ascii_case(name));
    let number = named
        .map(|(_, n)| n)
        .or_else(|| digits(text))
        .ok_or(CronError::Form(field))?;
    let (min, max) = field.bounds();
    if (min..=max).contains(&number) {
        Ok(number)
    } else {
        Err(CronError::Bounds(field))
    }
}

/// One to four digits.
fn digits(text: &str) -> Option<u32> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        Self::parse(text)
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Cron {}

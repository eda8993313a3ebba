//! Schedules against a brute-force reference that walks minute by minute.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests stop at the first surprise"
)]

use std::collections::HashSet;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use syncd_config::cron::{Cron, CronError, Field};

fn next(expression: &str, now: &str, zone: &str) -> String {
    let cron = Cron::parse(expression).unwrap();
    let zone = TimeZone::get(zone).unwrap();
    let next = cron.next_after(now.parse().unwrap(), &zone).unwrap();
    next.to_zoned(zone).strftime("%Y-%m-%d %H:%M %:z").to_string()
}

#[test]
fn means_what_crontab_means() {
    for (expression, after, expected) in [
        ("30 2 * * *", "2026-03-01T02:29:59Z", "2026-03-01 02:30 +00:00"),
        ("30 2 * * *", "2026-03-01T02:30:00Z", "2026-03-02 02:30 +00:00"),
        // 2026-03-01 is a Sunday: 0 and 7 both.
        ("0 0 * * 0", "2026-02-25T00:00:00Z", "2026-03-01 00:00 +00:00"),
        ("0 0 * * 7", "2026-02-25T00:00:00Z", "2026-03-01 00:00 +00:00"),
        ("0 0 * * SUN", "2026-02-25T00:00:00Z", "2026-03-01 00:00 +00:00"),
        ("0 0 * * 6-7", "2026-03-01T00:00:00Z", "2026-03-07 00:00 +00:00"),
        (
            "0 0 * * fri-sun",
            "2026-03-01T00:00:00Z",
            "2026-03-06 00:00 +00:00",
        ),
        ("0 0 * * 1-5", "2026-03-06T00:00:00Z", "2026-03-09 00:00 +00:00"),
        // Both restricted: one is enough.
        ("0 0 13 * 5", "2026-03-01T00:00:00Z", "2026-03-06 00:00 +00:00"),
        ("0 0 2 * 5", "2026-03-01T00:00:00Z", "2026-03-02 00:00 +00:00"),
        // A star in front: both must match (Fridays with an odd date).
        ("0 0 */2 * 5", "2026-03-01T00:00:00Z", "2026-03-13 00:00 +00:00"),
        ("0 0 13 * *", "2026-03-01T00:00:00Z", "2026-03-13 00:00 +00:00"),
        ("*/25 * * * *", "2026-03-01T00:50:00Z", "2026-03-01 01:00 +00:00"),
        (
            "10-20/5,59 3 * * *",
            "2026-03-01T03:20:00Z",
            "2026-03-01 03:59 +00:00",
        ),
        (
            "0 0 1 Jan-mar,DEC *",
            "2026-03-01T00:00:00Z",
            "2026-12-01 00:00 +00:00",
        ),
        ("0 0 29 2 *", "2026-03-01T00:00:00Z", "2028-02-29 00:00 +00:00"),
        ("0 0 29 2 */7", "2088-03-01T00:00:00Z", "2128-02-29 00:00 +00:00"),
        ("0 0 31 2 1", "2026-01-01T00:00:00Z", "2026-02-02 00:00 +00:00"),
        ("@hourly", "2026-03-01T00:00:00Z", "2026-03-01 01:00 +00:00"),
        ("@daily", "2026-03-01T00:00:00Z", "2026-03-02 00:00 +00:00"),
        ("@midnight", "2026-03-01T00:00:00Z", "2026-03-02 00:00 +00:00"),
        ("@weekly", "2026-03-01T00:00:00Z", "2026-03-08 00:00 +00:00"),
        ("@monthly", "2026-03-01T00:00:00Z", "2026-04-01 00:00 +00:00"),
        ("@yearly", "2026-03-01T00:00:00Z", "2027-01-01 00:00 +00:00"),
        (" 5\t4  * * * ", "2026-03-01T00:00:00Z", "2026-03-01 04:05 +00:00"),
    ] {
        assert_eq!(next(expression, after, "UTC"), expected, "{expression}");
    }
}

#[test]
fn a_clock_change_runs_each_time_once() {
    let zone = "Europe/Berlin";
    for (expression, after, expected) in [
        // 2026-03-29: 02:00 becomes 03:00.
        ("30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29 03:00 +02:00"),
        ("30 2 * * *", "2026-03-29T01:00:00Z", "2026-03-30 02:30 +02:00"),
        ("0,30 2 * * *", "2026-03-29T01:00:00Z", "2026-03-30 02:00 +02:00"),
        ("0 3 * * *", "2026-03-28T12:00:00Z", "2026-03-29 03:00 +02:00"),
        ("30 * * * *", "2026-03-29T00:30:00Z", "2026-03-29 03:30 +02:00"),
        // 2026-10-25: 03:00 becomes 02:00.
        ("30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25 02:30 +02:00"),
        ("30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-26 02:30 +01:00"),
        ("30 * * * *", "2026-10-25T00:30:00Z", "2026-10-25 02:30 +01:00"),
        ("30 * * * *", "2026-10-25T01:30:00Z", "2026-10-25 03:30 +01:00"),
    ] {
        assert_eq!(
            next(expression, after, zone),
            expected,
            "{expression} after {after}"
        );
    }
    // 2010-11-07 in Newfoundland: 00:01 becomes 23:01 of the day before.
    for (after, expected) in [
        ("2010-11-07T02:00:00Z", "2010-11-07 00:00 -02:30"),
        ("2010-11-07T02:30:00Z", "2010-11-06 23:30 -03:30"),
        ("2010-11-07T03:00:00Z", "2010-11-07 00:00 -03:30"),
    ] {
        assert_eq!(
            next("*/30 * * * *", after, "America/St_Johns"),
            expected,
            "after {after}"
        );
    }
    // A whole day that does not exist: 2011-12-30 in Samoa.
    let skipped = next("0 12 30 12 *", "2011-12-29T00:00:00Z", "Pacific/Apia");
    assert_eq!(skipped, "2011-12-31 00:00 +14:00");
}

#[test]
fn refuses_what_is_not_crontab() {
    use CronError::{Backwards, Bounds, Count, Form, Length, Never, Step, StepAlone, Word};
    for (expression, expected) in [
        ("", Count(0)),
        ("* * * *", Count(4)),
        ("0 0 * * * *", Count(6)),
        ("@reboot", Word),
        ("60 * * * *", Bounds(Field::Minute)),
        ("* 24 * * *", Bounds(Field::Hour)),
        ("* * 0 * *", Bounds(Field::Day)),
        ("* * 32 * *", Bounds(Field::Day)),
        ("* * * 13 *", Bounds(Field::Month)),
        ("* * * * 8", Bounds(Field::Weekday)),
        ("5-3 * * * *", Backwards(Field::Minute)),
        ("* * * * sat-mon", Backwards(Field::Weekday)),
        ("5/15 * * * *", StepAlone(Field::Minute)),
        ("*/0 * * * *", Step(Field::Minute)),
        ("*/ * * * *", Form(Field::Minute)),
        ("1,,2 * * * *", Form(Field::Minute)),
        ("1, * * * *", Form(Field::Minute)),
        ("-1 * * * *", Form(Field::Minute)),
        ("+1 * * * *", Form(Field::Minute)),
        ("1-2-3 * * * *", Form(Field::Minute)),
        ("x * * * *", Form(Field::Minute)),
        ("** * * * *", Form(Field::Minute)),
        ("* * L * *", Form(Field::Day)),
        ("* * ? * *", Form(Field::Day)),
        ("* * * january *", Form(Field::Month)),
        ("* jan * * *", Form(Field::Hour)),
        ("99999999999 * * * *", Form(Field::Minute)),
        ("0 0 30 2 *", Never),
        ("0 0 31 4,6,9,11 *", Never),
        ("0 0 30-31 2 */2", Never),
    ] {
        assert_eq!(Cron::parse(expression).unwrap_err(), expected, "{expression}");
    }
    assert_eq!(Cron::parse(&"1,".repeat(1000)).unwrap_err(), Length);
}

/// One item of a field, as data; the reference never reads the text.
#[derive(Clone, Debug)]
enum Item {
    Star(u32),
    One(u32),
    Range(u32, u32, u32),
}

impl Item {
    fn text(&self) -> String {
        match self {
            Self::Star(1) => "*".to_owned(),
            Self::Star(step) => format!("*/{step}"),
            Self::One(n) => n.to_string(),
            Self::Range(from, to, 1) => format!("{from}-{to}"),
            Self::Range(from, to, step) => format!("{from}-{to}/{step}"),
        }
    }

    fn has(&self, n: u32, min: u32) -> bool {
        match *self {
            Self::Star(step) => n >= min && (n - min).is_multiple_of(step),
            Self::One(one) => n == one,
            Self::Range(from, to, step) => (from..=to).contains(&n) && (n - from).is_multiple_of(step),
        }
    }
}

/// A field; of `likely` numbers more often, so that schedules run near the changes of clocks.
fn items(
    min: u32,
    max: u32,
    likely: std::ops::RangeInclusive<u32>,
    star: u32,
) -> impl Strategy<Value = Vec<Item>> {
    let item = prop_oneof![
        star => Just(Item::Star(1)),
        1 => (2..=max).prop_map(Item::Star),
        4 => likely.prop_map(Item::One),
        2 => (min..=max).prop_map(Item::One),
        2 => (min..=max, min..=max, 1..6_u32).prop_map(|(a, b, step)| Item::Range(a.min(b), a.max(b), step)),
    ];
    proptest::collection::vec(item, 1..3)
}

#[derive(Clone, Debug)]
struct Expression([Vec<Item>; 5]);

const MIN: [u32; 5] = [0, 0, 1, 1, 0];

impl Expression {
    fn text(&self) -> String {
        let field = |items: &Vec<Item>| items.iter().map(Item::text).collect::<Vec<_>>().join(",");
        self.0.iter().map(field).collect::<Vec<_>>().join(" ")
    }

    fn has(&self, field: usize, n: u32) -> bool {
        self.0[field].iter().any(|item| item.has(n, MIN[field]))
    }

    fn matches(&self, time: DateTime) -> bool {
        let number = |n: i8| u32::try_from(n).unwrap();
        let weekday = number(time.weekday().to_sunday_zero_offset());
        let day = self.has(2, number(time.day()));
        let weekday = self.has(4, weekday) || weekday == 0 && self.has(4, 7);
        let star = |field: usize| matches!(self.0[field][0], Item::Star(_));
        let days = if star(2) || star(4) {
            day && weekday
        } else {
            day || weekday
        };
        self.has(0, number(time.minute()))
            && self.has(1, number(time.hour()))
            && self.has(3, number(time.month()))
            && days
    }

    fn every_hour(&self) -> bool {
        (0..24).all(|hour| self.has(1, hour))
    }
}

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// The first minute after `now` and before `until` at which the schedule runs.
fn reference(
    expression: &Expression,
    now: Timestamp,
    until: Timestamp,
    zone: &TimeZone,
) -> Option<Timestamp> {
    let mut shown = HashSet::new();
    // Early enough to have seen what a clock repeats.
    let mut t =
        Timestamp::from_second(now.as_second().div_euclid(60) * 60).unwrap() - SignedDuration::from_hours(26);
    let mut previous = zone.to_datetime(t);
    while t < until {
        t += MINUTE;
        let time = zone.to_datetime(t);
        let first = shown.insert(time);
        let mut runs = expression.matches(time) && (first || expression.every_hour());
        let mut left_out = previous + MINUTE;
        while left_out < time && !expression.every_hour() {
            runs |= expression.matches(left_out);
            left_out += MINUTE;
        }
        if runs && t > now {
            return Some(t);
        }
        previous = time;
    }
    None
}

/// Instants near which clocks change, and others.
const PLACES: [(&str, &str); 10] = [
    ("UTC", "2026-02-27T00:00:00Z"),
    ("Europe/Berlin", "2026-03-29T01:00:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00:00Z"),
    ("America/New_York", "2027-03-14T07:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    ("America/Sao_Paulo", "2018-11-04T03:00:00Z"),
    ("America/Sao_Paulo", "2018-02-18T02:00:00Z"),
    ("America/St_Johns", "2010-11-07T02:31:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn agrees_with_the_reference(
        minute in items(0, 59, 0..=59, 1), hour in items(0, 23, 0..=3, 1), day in items(1, 31, 1..=31, 8),
        month in items(1, 12, 1..=12, 20), weekday in items(0, 7, 0..=7, 8),
        place in 0..PLACES.len(), before in prop_oneof![3 => 0..7200_i64, 1 => 0..100_000_i64],
    ) {
        let expression = Expression([minute, hour, day, month, weekday]);
        let (zone, change) = PLACES[place];
        let zone = TimeZone::get(zone).unwrap();
        let change: Timestamp = change.parse().unwrap();
        let now = change - SignedDuration::from_secs(before);
        let until = change + SignedDuration::from_hours(25);
        let expected = reference(&expression, now, until, &zone);
        match Cron::parse(&expression.text()) {
            Err(error) => {
                prop_assert_eq!(error, CronError::Never);
                prop_assert_eq!(expected, None);
            }
            Ok(cron) => {
                let next = cron.next_after(now, &zone).unwrap();
                prop_assert_eq!((next <= until).then_some(next), expected, "{} {:?}", cron, next);
            }
        }
    }

    #[test]
    fn never_panics(text in "[0-9*/,@a-z -]{0,40}|\\PC{0,40}") {
        if let Ok(cron) = Cron::parse(&text) {
            prop_assert_eq!(Cron::parse(cron.as_str()).unwrap(), cron.clone());
            prop_assert!(cron.next_after(Timestamp::UNIX_EPOCH, &TimeZone::UTC).is_some());
            prop_assert_eq!(cron.next_after(Timestamp::MAX, &TimeZone::UTC), None);
        }
    }
}

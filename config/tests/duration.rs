//! Lengths of time: a table, and the round trip.

#![allow(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::time::Duration;

use proptest::prelude::*;
use syncd_config::duration::{DurationError, LONGEST, Meant, format, parse};

#[test]
fn reads_what_people_write() {
    for (text, seconds) in [
        ("1s", 1),
        ("30s", 30),
        ("90s", 90),
        ("90m", 5400),
        ("12h", 43_200),
        ("1h30m", 5400),
        ("1h1m1s", 3661),
        ("1h5s", 3605),
        ("0h30m", 1800),
        ("007m", 420),
        (" 5m ", 300),
        ("8760h", 31_536_000),
    ] {
        assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
    }
}

#[test]
fn refuses_the_rest_and_says_how() {
    use DurationError::{Empty, Form, Fraction, Negative, NoUnit, Order, TooLong, Zero};
    let unit = |meant| DurationError::Unit { meant };
    let any = "such as 12h, 90m, 1h30m or 30s";
    for (text, error, hint) in [
        ("", Empty, any),
        ("  ", Empty, any),
        ("-1h", Negative, any),
        ("-", Negative, any),
        ("0s", Zero, any),
        ("0h0m0s", Zero, any),
        ("12", NoUnit, any),
        ("0", NoUnit, any),
        ("1h30", NoUnit, any),
        ("h", Form, any),
        ("1h30m ago", Form, any),
        ("1 h", Form, any),
        ("+1h", Form, any),
        ("1h-5m", Form, any),
        ("PT1H", Form, any),
        ("1.5h", Fraction, "such as 1h30m for one and a half hours"),
        ("1,5h", Fraction, "such as 1h30m for one and a half hours"),
        ("30m1h", Order, "such as 1h30m"),
        ("1h1h", Order, "such as 1h30m"),
        ("8760h1s", TooLong, "8760h is the most"),
        ("31536001s", TooLong, "8760h is the most"),
        ("18446744073709551615h", TooLong, "8760h is the most"),
        ("99999999999999999999h1m", TooLong, "8760h is the most"),
        ("2d", unit(Some(Meant::Hours(48))), "write it in hours: 48h"),
        ("1w", unit(Some(Meant::Hours(168))), "write it in hours: 168h"),
        ("18446744073709551615d", unit(None), any),
        ("366d", unit(None), any),
        ("6hours", unit(Some(Meant::Short("h"))), "write `h`, such as 12h"),
        ("5min", unit(Some(Meant::Short("m"))), "write `m`, such as 12m"),
        ("5M", unit(Some(Meant::Short("m"))), "write `m`, such as 12m"),
        ("5Sec", unit(Some(Meant::Short("s"))), "write `s`, such as 12s"),
        ("500ms", unit(Some(Meant::TooFine)), "a second is the least: 1s"),
        ("1y", unit(None), any),
        ("1ħ", unit(None), any),
    ] {
        let got = parse(text).unwrap_err();
        assert_eq!(got, error, "{text}");
        assert_eq!(got.hint(), hint, "{text}");
        assert!(!got.to_string().is_empty());
    }
}

#[test]
fn nothing_is_shown_as_zero_seconds() {
    assert_eq!(format(Duration::ZERO), "0s");
    assert_eq!(format(Duration::from_millis(1999)), "1s");
    assert_eq!(format(Duration::from_secs(5400)), "1h30m");
    assert_eq!(format(LONGEST), "8760h");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_shown_is_read_again(seconds in 1..=LONGEST.as_secs()) {
        let duration = Duration::from_secs(seconds);
        prop_assert_eq!(parse(&format(duration)), Ok(duration));
    }

    #[test]
    fn hours_minutes_and_seconds_are_added(h in 0..8000_u64, m in 0..10_000_u64, s in 0..100_000_u64) {
        prop_assume!(h + m + s > 0);
        let wanted = Duration::from_secs(h * 3600 + m * 60 + s);
        let got = parse(&format!("{h}h{m}m{s}s"));
        if wanted > LONGEST {
            prop_assert_eq!(got, Err(DurationError::TooLong));
        } else {
            prop_assert_eq!(got, Ok(wanted));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,20}|[0-9hmsd.,+ -]{0,24}") {
        if let Ok(duration) = parse(&text) {
            prop_assert!(duration >= Duration::from_secs(1) && duration <= LONGEST);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }
    }
}

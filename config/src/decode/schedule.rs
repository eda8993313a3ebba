//! `schedule` with its `timeZone`: when a job runs by itself.

use crate::config::Schedule;
use crate::cron::{Cron, CronError};
use crate::suggest;

use super::fields::{Fields, Read, Walk};

/// `schedule` and `timeZone` of a section that has both.
pub(super) fn read(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<Schedule> {
    let cron = cron(walk, fields);
    let zone = fields.text(walk, "timeZone");
    if let Some(zone) = zone.as_ref().filter(|_| fields.take(walk, "schedule").is_none()) {
        walk.diagnostics.warn(
            zone.span,
            &zone.path,
            "`timeZone` does nothing without `schedule`",
        );
    }
    let time_zone = match zone {
        Some(zone) => time_zone(walk, &zone),
        None => Some(jiff::tz::TimeZone::UTC),
    };
    Some(Schedule {
        cron: cron?,
        time_zone: time_zone?,
    })
}

fn cron(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<Cron> {
    let text = fields.text(walk, "schedule")?;
    match text.value.parse() {
        Ok(cron) => Some(cron),
        Err(error) => {
            let hint = match error {
                CronError::Count(6) => Some("crontab has no field for seconds"),
                CronError::Count(_) => Some("such as \"30 2 * * *\": at 02:30, every day"),
                _ => None,
            };
            walk.diagnostics
                .error(text.span, &text.path, format!("`schedule`: {error}"))
                .hint_opt(hint);
            None
        }
    }
}

fn time_zone(walk: &mut Walk<'_>, text: &Read<&str>) -> Option<jiff::tz::TimeZone> {
    let zone = jiff::tz::TimeZone::get(text.value).ok();
    if zone.is_none() {
        let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        let near = suggest::nearest(text.value, known.iter().map(String::as_str));
        let hint = near.map_or("such as UTC or Europe/Berlin".to_owned(), |near| {
            format!("did you mean `{near}`?")
        });
        walk.diagnostics
            .error(
                text.span,
                &text.path,
                "`timeZone` must be a time zone of the IANA database",
            )
            .hint(hint);
    }
    zone
}

//! The reports as tables and lines for people: pure text, at most 80 columns unless `wide`.

mod credentials;

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width};
use jiff::{SignedDuration, Timestamp};

use super::output::{Paint, paint};
use crate::report::{
    ConfigStatus, ImageOutcome, ImageReport, MirrorReport, Outcome, TaskStatus, TasksReport, Verified,
};

pub(crate) use credentials::{Changes, CredentialView, credential_troubles, credentials};

const WIDTH: u16 = 80;
/// Hexadecimal digits of a digest that people compare by eye.
const SHORT: usize = 12;

/// `sync mirror` and `get mirror`.
pub(crate) fn mirror(report: &MirrorReport, wide: bool, color: bool) -> String {
    let mut text = String::new();
    if !report.images.is_empty() {
        text.push_str(&mirror_table(&report.images, wide));
    }
    for image in &report.images {
        text.push_str(&image_failure(image, color));
    }
    text
}

fn mirror_table(images: &[ImageReport], wide: bool) -> String {
    let mut table = table(wide);
    if wide {
        table.set_header([
            "SOURCE",
            "DESTINATION",
            "DIGEST",
            "OUTCOME",
            "VERIFIED",
            "BYTES",
            "REASON",
        ]);
    } else {
        table.set_header(["DESTINATION", "DIGEST", "OUTCOME", "VERIFIED"]);
    }
    for image in images {
        let digest = image.digest.as_deref().unwrap_or("-");
        let outcome = outcome(image.outcome);
        let verified = verified(image.verified);
        if wide {
            table.add_row([
                &image.source,
                &image.destination,
                digest,
                outcome,
                verified,
                &image.bytes.to_string(),
                &image.reason,
            ]);
        } else {
            table.add_row([&image.destination, short(digest), outcome, verified]);
        }
    }
    lines(&table)
}

fn image_failure(image: &ImageReport, color: bool) -> String {
    let Some(error) = &image.error else {
        return String::new();
    };
    let mut text = format!("\n{} {}\n", paint(color, Paint::Bad, "failed:"), image.source);
    // A path of one step is the image itself.
    if error.path.contains("->") {
        text.push_str(&wrap(&format!("at {}", error.path), "  "));
    }
    text.push_str(&wrap(&format!("{} ({})", error.message, error.kind), "  "));
    if let Some(hint) = &error.hint {
        text.push_str(&wrap(&format!("help: {hint}"), "  "));
    }
    text
}

/// `get tasks`.
pub(crate) fn tasks(report: &TasksReport, wide: bool, now: Timestamp, color: bool) -> String {
    let mut table = table(wide);
    table.set_header(["TASK", "STATE", "LAST RUN", "TOOK", "WHY", "OUTCOME", "NEXT"]);
    for task in &report.tasks {
        table.add_row(task_row(task, wide, now));
    }
    let mut text = lines(&table);
    for task in &report.tasks {
        if let Some(last) = &task.last {
            text.push('\n');
            text.push_str(&wrap(&format!("{}: {}", task.name, last.summary), ""));
        }
    }
    text.push_str(&config_state(&report.config, now, color));
    text
}

fn task_row(task: &TaskStatus, wide: bool, now: Timestamp) -> [String; 7] {
    let when = |at: Timestamp| {
        if wide {
            format!("{at:.0}")
        } else {
            relative(at, now)
        }
    };
    let state = match task.running_since {
        Some(_) => "running",
        None => "idle",
    };
    let dash = || "-".to_owned();
    let last = task.last.as_ref();
    [
        task.name.clone(),
        state.to_owned(),
        last.map_or_else(dash, |last| when(last.started)),
        last.map_or_else(dash, |last| took(last.millis)),
        last.map_or_else(dash, |last| last.why.as_str().to_owned()),
        last.map_or_else(dash, |last| match last.outcome {
            Outcome::Done => "done".to_owned(),
            Outcome::Partly => "partly".to_owned(),
            Outcome::Failed => "failed".to_owned(),
        }),
        task.next.map_or_else(dash, when),
    ]
}

/// Which configuration is in use, and what is wrong with the file.
pub(crate) fn config_state(config: &ConfigStatus, now: Timestamp, color: bool) -> String {
    let mut text = wrap(
        &format!(
            "configuration: {}, read {}",
            config.file,
            relative(config.loaded, now)
        ),
        "",
    );
    if let Some(problem) = &config.problem {
        let label = paint(color, Paint::Bad, "not in use:");
        text.push_str(&format!(
            "{label} the file changed {} and has problems:\n{}\n",
            relative(problem.since, now),
            problem.message.trim_end()
        ));
    }
    if !config.needs_restart.is_empty() {
        let label = paint(color, Paint::Warn, "after a restart:");
        text.push_str(&format!("{label} {}\n", config.needs_restart.join(", ")));
    }
    text
}

fn table(wide: bool) -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    if wide {
        table.set_content_arrangement(ContentArrangement::Disabled);
    } else {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(WIDTH);
    }
    table
}

fn lines(table: &Table) -> String {
    let mut table = table.clone();
    let last = table.column_count().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        let right = if index == last { 0 } else { 2 };
        column.set_padding((0, right));
        if index > 0 {
            // Only the first column, the name, may be broken over lines.
            column.set_constraint(ColumnConstraint::ContentWidth);
        } else {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(6)));
        }
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Text in lines of at most 80 columns, each with `indent` in front; a longer word stays whole.
pub(crate) fn wrap(text: &str, indent: &str) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let longer = indent.len() + line.chars().count() + 1 + word.chars().count() > usize::from(WIDTH);
        if longer && !line.is_empty() {
            out.push_str(&format!("{indent}{line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    out.push_str(&format!("{indent}{line}\n"));
    out
}

fn short(digest: &str) -> &str {
    let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
    hex.get(..SHORT).unwrap_or(hex)
}

fn outcome(outcome: ImageOutcome) -> &'static str {
    match outcome {
        ImageOutcome::Copied => "copied",
        ImageOutcome::Present => "present",
        ImageOutcome::Skipped => "skipped",
        ImageOutcome::Failed => "failed",
    }
}

fn verified(verified: Option<Verified>) -> &'static str {
    match verified {
        Some(Verified::Touched) => "touched",
        Some(Verified::Hashed) => "hashed",
        Some(Verified::Receipt) => "receipt",
        None => "-",
    }
}

fn took(millis: u64) -> String {
    match millis {
        0..10_000 => format!("{}.{}s", millis / 1000, millis % 1000 / 100),
        10_000..600_000 => format!("{}s", millis / 1000),
        _ => format!("{}m", millis / 60_000),
    }
}

/// `3m ago`, `in 5h 12m`.
pub(crate) fn relative(at: Timestamp, now: Timestamp) -> String {
    let ahead = at.duration_since(now);
    let span = rough(ahead.abs());
    if ahead.is_positive() {
        format!("in {span}")
    } else {
        format!("{span} ago")
    }
}

fn rough(span: SignedDuration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m"),
        3600..172_800 => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod credentials_tests;
#[cfg(test)]
mod tests;

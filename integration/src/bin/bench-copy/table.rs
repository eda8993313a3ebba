//! The results, for a person.

use std::io::Write;

use crate::measure::{Floor, Results, Run, Runs, median};
use crate::peers::Peer;

/// Says a line.
#[allow(
    clippy::let_underscore_must_use,
    reason = "a closed pipe is the reader's choice"
)]
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints medians and ratios.
pub(crate) fn print(results: &Results) {
    say("\nfloors (seconds, medians): the same bytes moved by a loop");
    for (floor, seconds) in &results.floors {
        let what = match floor {
            Floor::Get => "fetched, to nothing",
            Floor::Store => "fetched, hashed, written, synced",
            Floor::Put => "put into an empty registry, from memory",
        };
        say(&format!("  {:8.2}  {what}", median(seconds.iter().copied())));
    }
    let base = results.copies.get(&Peer::Regsync);
    let base = base.map(|(first, again)| (middle(first), middle(again)));
    let (first, again) = base.unwrap_or_default();
    say("\ncopy (medians; in brackets as a multiple of regsync)");
    part(results, first, |(first, _)| middle(first));
    say("\nagain, with nothing to do");
    part(results, again, |(_, again)| middle(again));
    targets(results, first, again);
}

fn part(results: &Results, base: Run, pick: impl Fn(&Runs) -> Run) {
    say(
        "                  wall s          CPU s           peak MB         source requests  destination requests",
    );
    for (peer, runs) in &results.copies {
        let run = pick(runs);
        let cell = |value: f64, base: f64, digits: usize| {
            let ratio = value / base;
            format!(
                "{value:8.digits$} {:<7}",
                if ratio.is_finite() {
                    format!("({ratio:.2}x)")
                } else {
                    String::new()
                }
            )
        };
        say(&format!(
            "{:16}{}{}{}{} {}",
            peer,
            cell(run.wall, base.wall, 3),
            cell(run.cpu, base.cpu, 2),
            cell(run.peak, base.peak, 1),
            cell(run.source, base.source, 0),
            cell(run.target, base.target, 0),
        ));
    }
}

/// What syncd is to reach.
fn targets(results: &Results, first: Run, again: Run) {
    let mut lines = Vec::new();
    if let Some((copies, agains)) = results.copies.get(&Peer::Syncd) {
        lines.push((
            "to a registry, of regsync's time",
            middle(copies).wall / first.wall,
            0.7,
        ));
        lines.push((
            "nothing to do, of regsync's time",
            middle(agains).wall / again.wall,
            1.0,
        ));
        lines.push(("peak memory to a registry, MB", middle(copies).peak, 32.0));
    }
    if let Some((copies, _)) = results.copies.get(&Peer::Embedded) {
        lines.push((
            "to its own store, of regsync's time",
            middle(copies).wall / first.wall,
            0.33,
        ));
        lines.push(("peak memory to its own store, MB", middle(copies).peak, 32.0));
    }
    if !lines.is_empty() {
        say("\nsyncd's targets");
    }
    for (what, value, limit) in lines.into_iter().filter(|(_, value, _)| value.is_finite()) {
        let verdict = if value <= limit { "met" } else { "MISSED" };
        say(&format!(
            "  {value:6.2} of at most {limit:5.2}: {verdict:6}  {what}"
        ));
    }
}

fn middle(runs: &[Run]) -> Run {
    let of = |value: fn(&Run) -> f64| median(runs.iter().map(value));
    Run {
        wall: of(|run| run.wall),
        cpu: of(|run| run.cpu),
        peak: of(|run| run.peak),
        source: of(|run| run.source),
        target: of(|run| run.target),
    }
}

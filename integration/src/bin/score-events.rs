//! Scores how `diagnose --message` reads messages whose causes are known.
//!
//! The file has one JSON object a line: `{"message": …, "cause": …, "second_cause": …}`; the second
//! may be null, other fields are left alone. Printed are the share of right first answers, of
//! answers that are the cause or the second, wrong answers that were called certain, and which
//! cause was taken for which. Exit code 1 when a threshold is missed.
//!
//!     cargo run -p syncd-integration --bin score-events -- messages.jsonl --top 85

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use syncd::diagnose::event;
use syncd::report::Confidence;

/// Scores the reading of messages.
#[derive(Debug, Parser)]
struct Arguments {
    /// The messages.
    file: PathBuf,
    /// The least percentage of right first answers.
    #[arg(long, default_value_t = 0.0)]
    top: f64,
    /// The least percentage of first answers that are the cause or the second.
    #[arg(long, default_value_t = 0.0)]
    either: f64,
    /// The most wrong answers that were called certain.
    #[arg(long, default_value_t = 0)]
    wrong_certain: usize,
    /// Print the messages that were read wrongly.
    #[arg(long)]
    show: bool,
}

#[derive(Debug, Default)]
struct Score {
    all: usize,
    top: usize,
    either: usize,
    certain: usize,
    wrong_certain: usize,
    confused: BTreeMap<(String, String), usize>,
    shown: Vec<String>,
}

impl Score {
    fn add(&mut self, message: &str, cause: &str, second: Option<&str>) {
        let reading = event::best(message);
        let first = reading.ranked.first();
        let found = first.map_or("unknown", |ranked| ranked.cause.as_str());
        let certain = first.is_some_and(|ranked| ranked.confidence == Confidence::Certain);
        self.all += 1;
        self.certain += usize::from(certain);
        self.top += usize::from(found == cause);
        self.either += usize::from(found == cause || Some(found) == second);
        if found != cause {
            self.wrong_certain += usize::from(certain);
            let pair = (cause.to_owned(), found.to_owned());
            *self.confused.entry(pair).or_default() += 1;
            let text = syncd_config::text::clean(message);
            self.shown.push(format!("{cause} read as {found}: {text}"));
        }
    }

    fn percent(&self, n: usize) -> f64 {
        let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        100.0 * count(n) / count(self.all.max(1))
    }

    fn text(&self, show: bool) -> String {
        let mut out = format!(
            "messages        {}\nfirst           {} ({:.1} %)\nfirst or second {} ({:.1} %)\n\
             certain         {}, of them wrong {}\n",
            self.all,
            self.top,
            self.percent(self.top),
            self.either,
            self.percent(self.either),
            self.certain,
            self.wrong_certain
        );
        for ((cause, found), n) in &self.confused {
            out.push_str(&format!("{n:>4}  {cause} read as {found}\n"));
        }
        if show {
            out.push_str(&self.shown.join("\n"));
            out.push('\n');
        }
        out
    }
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let mut score = Score::default();
    for (n, line) in std::fs::read_to_string(&arguments.file)?.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let row: serde_json::Value = serde_json::from_str(line)?;
        let field = |name: &str| row.get(name).and_then(serde_json::Value::as_str);
        let (Some(message), Some(cause)) = (field("message"), field("cause")) else {
            return Err(format!("line {} has no message or no cause", n + 1).into());
        };
        score.add(message, cause, field("second_cause"));
    }
    std::io::stdout()
        .lock()
        .write_all(score.text(arguments.show).as_bytes())?;
    let good = score.all > 0
        && score.percent(score.top) >= arguments.top
        && score.percent(score.either) >= arguments.either
        && score.wrong_certain <= arguments.wrong_certain;
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

//! What a run took.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::process::Command;

use syncd_integration::error::{Context, Error};
use syncd_integration::process::run as run_command;
use syncd_integration::{Registry, Result, Tools};
use tempfile::NamedTempFile;
use tokio::time::Instant;

use crate::peers::{Peer, Prepared};

/// One run of one program.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    /// Seconds from start to end.
    pub wall: f64,
    /// Seconds of processor time, all its processes together.
    pub cpu: f64,
    /// Megabytes of its largest process at its largest.
    pub peak: f64,
    /// Requests that the source registry logged.
    pub source: f64,
    /// Requests that the destination registry logged.
    pub target: f64,
}

/// The same bytes moved by a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Floor {
    /// Fetched, to nothing.
    Get,
    /// Fetched, hashed, written, synced.
    Store,
    /// Put into an empty registry, from memory.
    Put,
}

/// First runs, into an empty place, and second ones with nothing to do.
pub(crate) type Runs = (Vec<Run>, Vec<Run>);

/// Everything measured so far.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// Seconds.
    pub floors: BTreeMap<Floor, Vec<f64>>,
    /// First and second runs.
    pub copies: BTreeMap<Peer, Runs>,
}

impl Results {
    /// Adds a floor.
    pub(crate) fn floor(&mut self, floor: Floor, seconds: f64) {
        self.floors.entry(floor).or_default().push(seconds);
    }

    /// Adds a copy and its repetition.
    pub(crate) fn copy(&mut self, peer: Peer, first: Run, again: Run) {
        let (firsts, agains) = self.copies.entry(peer).or_default();
        firsts.push(first);
        agains.push(again);
    }
}

/// Lets the disk finish what others wrote.
pub(crate) fn settle() -> Result<()> {
    run_command(&mut Command::new(Tools::system("sync")?)).map(drop)
}

/// How long something took.
pub(crate) async fn timed(work: impl Future<Output = Result<()>>) -> Result<f64> {
    let started = Instant::now();
    work.await?;
    Ok(started.elapsed().as_secs_f64())
}

/// Runs a prepared copy and says what it took.
pub(crate) fn run(prepared: &Prepared, source: &Registry, target: &Registry) -> Result<Run> {
    settle()?;
    let usage = NamedTempFile::new().context("make a file")?;
    let mut command = prepared.command(usage.path())?;
    let before = (requests(source), requests(target));
    let started = Instant::now();
    let status = command.status().context("start a copy")?;
    let wall = started.elapsed().as_secs_f64();
    if !status.success() {
        return Err(Error::Command {
            command: format!("{command:?}"),
            status: status.to_string(),
            output: prepared.output(),
        });
    }
    let text = fs::read_to_string(usage.path()).context("read what a copy used")?;
    let used = text
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect::<Vec<f64>>();
    let [user, system, peak] = used[..] else {
        return Err(Error::Other {
            operation: "read what a copy used".to_owned(),
            source: text.into(),
        });
    };
    Ok(Run {
        wall,
        cpu: user + system,
        peak: peak * 1024.0 / 1e6,
        source: requests(source) - before.0,
        target: requests(target) - before.1,
    })
}

fn requests(registry: &Registry) -> f64 {
    registry.log().matches(" HTTP/1.1\" ").count() as f64
}

/// The middle one (of an even number, the lower).
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values = values.collect::<Vec<_>>();
    values.sort_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or(f64::NAN)
}

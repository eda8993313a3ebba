//! How fast and how small a copy is, beside others that do the same.
//!
//! Makes a set of images, puts it into a real registry, and lets syncd,
//! regsync, oras and skopeo copy it in turn, each into an empty registry of its
//! own, at equal parallelism; syncd also into its embedded registry's store.
//! Then each runs again with nothing to do. Only ratios of runs that took turns
//! mean anything on a shared machine, so everything is printed as a multiple of
//! regsync, beside floors: the same bytes moved by a loop that does nothing else.
//!
//!     cargo build --release
//!     export SYNCD_BIN=$PWD/target/release/syncd SYNCD_TOOLS=$(integration/tools/bring)
//!     cargo run --release -p syncd-integration --bin bench-copy

mod measure;
mod peers;
mod set;
mod table;
mod wire;

use std::path::Path;

use clap::Parser;
use syncd_integration::{Registry, RegistryOptions, Result};
use tempfile::TempDir;

use crate::measure::{Floor, Results, timed};
use crate::peers::{Peer, Place};
use crate::set::Set;

/// Copies a set of images with syncd and its peers, in turns.
#[derive(Debug, Parser)]
struct Arguments {
    /// Bytes of the whole set, layers shared between images counted once.
    #[arg(long, default_value_t = 924)]
    megabytes: usize,
    /// Repositories; each has two tags of two platforms.
    #[arg(long, default_value_t = 20)]
    repositories: usize,
    /// How often everything runs; the medians are printed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Images at once (regsync), processes at once (oras, crane, skopeo, each of
    /// which has three to six requests at once).
    #[arg(long, default_value_t = 4)]
    parallel: usize,
    /// Connections a registry (syncd, regsync and the floors).
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Only these.
    #[arg(long, value_delimiter = ',', default_values_t = Peer::ALL)]
    only: Vec<Peer>,
    /// Where everything is written; the file system that is measured.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    folder: std::path::PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let set = Set::make(arguments.megabytes, arguments.repositories)?;
    table::say(&set.summary());
    let source = registry().await?;
    wire::put_all(&source.host(), "", &set, arguments.connections).await?;

    let mut results = Results::default();
    for round in 1..=arguments.rounds {
        table::say(&format!("round {round} of {}", arguments.rounds));
        floors(&arguments, &set, &source, &mut results).await?;
        for turn in 0..arguments.only.len() {
            // Whoever goes first finds a quieter disk: everyone does once.
            let peer = arguments.only[(turn + round) % arguments.only.len()];
            copy(&arguments, &set, &source, peer, &mut results).await?;
        }
    }
    table::print(&results);
    Ok(())
}

async fn registry() -> Result<Registry> {
    Registry::start(RegistryOptions {
        access_log: true,
        ..Default::default()
    })
    .await
}

/// The same bytes moved by nothing but a loop.
async fn floors(arguments: &Arguments, set: &Set, source: &Registry, results: &mut Results) -> Result<()> {
    let connections = arguments.connections;
    measure::settle()?;
    let get = timed(wire::get_all(&source.host(), set, connections, None)).await?;
    results.floor(Floor::Get, get);

    let folder = scratch(&arguments.folder)?;
    measure::settle()?;
    let store = timed(wire::get_all(
        &source.host(),
        set,
        connections,
        Some(folder.path()),
    ))
    .await?;
    results.floor(Floor::Store, store);

    let target = registry().await?;
    measure::settle()?;
    results.floor(
        Floor::Put,
        timed(wire::put_all(&target.host(), "", set, connections)).await?,
    );
    Ok(())
}

/// One copy into an empty place, what it left there looked at, and one more
/// with nothing to do.
async fn copy(
    arguments: &Arguments,
    set: &Set,
    source: &Registry,
    peer: Peer,
    results: &mut Results,
) -> Result<()> {
    let target = registry().await?;
    let folder = scratch(&arguments.folder)?;
    let place = Place {
        source: source.host(),
        target: target.host(),
        folder: folder.path(),
    };
    let limits = (arguments.parallel, arguments.connections);
    let prepared = peer.prepare(&place, set, limits)?;

    let first = measure::run(&prepared, source, &target)?;
    if peer.writes_to_registry() {
        wire::check_all(&target.host(), &place.prefix(), set).await?;
    } else {
        prepared.check_report(set.tags())?;
    }
    let again = measure::run(&prepared, source, &target)?;
    table::say(&format!(
        "  {peer}: {:.2} s, again {:.3} s",
        first.wall, again.wall
    ));
    results.copy(peer, first, again);
    Ok(())
}

fn scratch(folder: &Path) -> Result<TempDir> {
    use syncd_integration::error::Context;
    TempDir::with_prefix_in("syncd-bench-", folder).context("make a folder")
}

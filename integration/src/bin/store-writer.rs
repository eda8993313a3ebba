//! Writes to a store as the daemon does, on one thread, for the crash tests: each step that has
//! returned is acknowledged by a line on stdout.
//!
//! `store-writer all DIR` does everything, `store-writer twice DIR` once more after a failure,
//! `store-writer tag DIR REPOSITORY TAG DIGEST` sets a tag between two lines.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use futures::FutureExt as _;
use syncd::oci::conformance::Sample;
use syncd::oci::layout::{Children, Layout};
use syncd::oci::store::{ImageSink as _, Manifest};
use syncd::oci::{ErrorKind, RegistryError};
use syncd_config::{Repository, Tag};

type Outcome = Result<(), RegistryError>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["all", dir] => all(dir),
        ["twice", dir] => twice(dir),
        ["tag", dir, repository, tag, digest] => set_tag(dir, repository, tag, digest),
        _ => Err(wrong("usage: store-writer all|twice|tag DIR …")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            said(&format!("failed {} {error}", error.kind()));
            ExitCode::FAILURE
        }
    }
}

/// One system call, so that a line is there whole or not at all.
fn said(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).ok();
    out.flush().ok();
}

fn wrong(text: impl std::fmt::Display) -> RegistryError {
    RegistryError::new(ErrorKind::Io, "store-writer", "run").detail(&text.to_string())
}

fn word<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, RegistryError> {
    text.parse().map_err(wrong)
}

fn all(dir: &str) -> Outcome {
    let store = Layout::own(Path::new(dir))?;
    steps(&store)
}

fn twice(dir: &str) -> Outcome {
    let store = Layout::own(Path::new(dir))?;
    if let Err(error) = steps(&store) {
        said(&format!("failed {} {error}", error.kind()));
        said(&format!("degraded {}", store.is_degraded()));
        steps(&store)?;
    }
    said("done");
    Ok(())
}

fn steps(store: &Layout) -> Outcome {
    let app: Repository = word("team/app")?;
    let other: Repository = word("other/app")?;
    let (first, second) = (sample("first")?, sample("second")?);
    let old: Tag = word("old")?;

    put(store, &app, &first)?;
    store.set_public(&app, true)?;
    said("ack public");
    store.set_tag(&app, &old, &index(&first)?.digest)?;
    said(&format!("ack team/app old {}", index(&first)?.digest));
    put(store, &app, &second)?;
    for (blob, _) in &first.blobs {
        // A mount in the store is one link: there is nothing to wait for.
        let mounted = store.mount_blob(&other, blob, &app).now_or_never();
        if !mounted.transpose()?.unwrap_or_default() {
            return Err(wrong("a blob was not mounted"));
        }
    }
    manifests(store, &other, &first)?;
    store.delete_manifest(&app, &index(&first)?.digest)?;
    said("ack team/app old -");
    store.flush_index()?;
    said("ack index");
    Ok(())
}

fn sample(salt: &str) -> Result<Sample, RegistryError> {
    Sample::sized(salt, 100_000).map_err(wrong)
}

fn index(sample: &Sample) -> Result<&Manifest, RegistryError> {
    sample.index().map_err(wrong)
}

fn put(store: &Layout, repository: &Repository, sample: &Sample) -> Outcome {
    for (blob, bytes) in &sample.blobs {
        let mut writer = store.begin_blob()?;
        for piece in bytes.chunks(40_000) {
            writer.write(piece)?;
        }
        writer.commit(repository, &blob.digest)?;
    }
    manifests(store, repository, sample)
}

fn manifests(store: &Layout, repository: &Repository, sample: &Sample) -> Outcome {
    for manifest in &sample.manifests {
        let tag = (manifest == index(sample)?).then_some(&sample.tag);
        store.put_manifest_sync(repository, manifest, tag, Children::Required)?;
        said(&match tag {
            Some(tag) => format!("ack {repository} {tag} {}", manifest.digest),
            None => format!("ack {repository} {}", manifest.digest),
        });
    }
    Ok(())
}

fn set_tag(dir: &str, repository: &str, tag: &str, digest: &str) -> Outcome {
    let store = Layout::own(Path::new(dir))?;
    let (repository, tag, digest) = (word(repository)?, word(tag)?, word(digest)?);
    said("before");
    store.set_tag(&repository, &tag, &digest)?;
    said("after");
    Ok(())
}

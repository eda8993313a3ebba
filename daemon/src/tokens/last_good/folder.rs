//! Last-good tokens as files of one folder.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::form;
use super::{Good, LastGood, Stored, TokenStoreError};

const ENDING: &str = ".json";
/// The most files that are looked at.
const MOST_FILES: usize = 10_000;

pub(super) fn read(folder: &Path) -> Result<Stored, TokenStoreError> {
    let mut stored = Stored::default();
    for path in files(folder)? {
        match read_file(&path) {
            Ok(Some(good)) => {
                stored.good.insert(good.name.clone(), good);
            }
            Ok(None) => {}
            Err(problem) => stored.problems.push(problem),
        }
    }
    Ok(stored)
}

pub(super) fn save(folder: &Path, good: &LastGood) -> Result<(), TokenStoreError> {
    if good.is_empty() {
        return Ok(());
    }
    make(folder)?;
    let mut failed = None;
    let mut wrote = false;
    for good in good.values() {
        match save_one(folder, good) {
            Ok(changed) => wrote |= changed,
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    if wrote {
        // A rename is only kept once the folder is.
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|source| failed_write(folder, source))?;
    }
    failed.map_or(Ok(()), Err)
}

pub(super) fn retain(folder: &Path, names: &BTreeSet<String>) -> Result<(), TokenStoreError> {
    for path in files(folder)? {
        let Ok(Some(good)) = read_file(&path) else {
            continue;
        };
        if !names.contains(&good.name) {
            fs::remove_file(&path).map_err(|source| failed_write(&path, source))?;
        }
    }
    Ok(())
}

/// Whether anything had to be written.
fn save_one(folder: &Path, good: &Good) -> Result<bool, TokenStoreError> {
    let path = path_of(folder, &good.name);
    match read_file(&path) {
        Ok(Some(kept)) if kept == *good => return Ok(false),
        Err(newer @ TokenStoreError::Newer { .. }) => return Err(newer),
        // Another one, none, or one that is of no use to anybody.
        Ok(_) | Err(_) => {}
    }
    let bytes = form::bytes(good, &shown(&path))?;
    let write = || -> io::Result<()> {
        // Made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|source| failed_write(&path, source))?;
    Ok(true)
}

/// The folder, made when it is missing, for nobody else.
fn make(folder: &Path) -> Result<(), TokenStoreError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| failed_write(folder, source))?;
    let metadata = look(folder)?;
    if metadata
        .as_ref()
        .is_some_and(|metadata| metadata.mode() & 0o077 != 0)
    {
        check_folder(folder)?;
        fs::set_permissions(folder, Permissions::from_mode(0o700))
            .map_err(|source| failed_write(folder, source))?;
    }
    check_folder(folder).map(drop)
}

/// The files of tokens; none when there is no folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, TokenStoreError> {
    if !check_folder(folder)? {
        return Ok(Vec::new());
    }
    let failed = |source| failed_read(folder, source);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)?.take(MOST_FILES) {
        let path = entry.map_err(failed)?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        // Not a token, or one that was never finished.
        if name.ends_with(ENDING) && !name.starts_with('.') {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Whether the folder is there; one that others may write to is not to be trusted.
fn check_folder(folder: &Path) -> Result<bool, TokenStoreError> {
    let Some(metadata) = look(folder)? else {
        return Ok(false);
    };
    if !metadata.is_dir() {
        return Err(untrusted(folder, "it is no folder"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(untrusted(folder, "others may write to it"));
    }
    check_owner(folder, &metadata)?;
    Ok(true)
}

fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), TokenStoreError> {
    let own = rustix::process::geteuid().as_raw();
    match metadata.uid() == own || metadata.uid() == 0 {
        true => Ok(()),
        false => Err(untrusted(path, "it belongs to another user")),
    }
}

/// The token of a file; `None` when there is none.
fn read_file(path: &Path) -> Result<Option<Good>, TokenStoreError> {
    let Some(metadata) = look(path)? else {
        return Ok(None);
    };
    if !metadata.is_file() {
        return Err(untrusted(path, "it is no regular file"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(untrusted(path, "others may write to it"));
    }
    check_owner(path, &metadata)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        usize::try_from(metadata.len().min(form::MOST)).unwrap_or(0),
    ));
    let opened = File::open(path).and_then(|file| file.take(form::MOST + 1).read_to_end(&mut bytes));
    opened.map_err(|source| failed_read(path, source))?;
    if bytes.len() as u64 > form::MOST {
        return Err(TokenStoreError::TooLarge {
            place: shown(path),
            bytes: metadata.len(),
            most: form::MOST,
        });
    }
    let good = form::parse(&bytes, &shown(path))?;
    // A token speaks for the entry that its file is named after, and a copy of it for no other.
    match path.file_name() == path_of(Path::new(""), &good.name).file_name() {
        true => Ok(Some(good)),
        false => Err(TokenStoreError::Malformed {
            place: shown(path),
            what: "it holds the token of another entry",
        }),
    }
}

/// What is there, not what a link leads to.
fn look(path: &Path) -> Result<Option<Metadata>, TokenStoreError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed_read(path, source)),
    }
}

fn path_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{}{ENDING}", form::safe(name)))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn untrusted(path: &Path, what: &'static str) -> TokenStoreError {
    TokenStoreError::Untrusted {
        place: shown(path),
        what,
    }
}

fn failed_read(path: &Path, source: io::Error) -> TokenStoreError {
    TokenStoreError::Read {
        place: shown(path),
        source,
    }
}

fn failed_write(path: &Path, source: io::Error) -> TokenStoreError {
    TokenStoreError::Write {
        place: shown(path),
        source,
    }
}

//! A docker config file as a target: `config.json` of docker, of kubelet, of podman.
//!
//! Others write it too. It is read, merged (`oci::docker_config::merge`) and replaced in one step: the
//! new content is on the disk under another name before it takes the old one's place, so that a full
//! disk or a crash leaves the old file whole. It keeps its mode and its owner; a new one has mode 0600.
//!
//! A path that is a link is followed within its own folder, and the file it leads to is replaced. A link
//! to another folder is refused: whoever may write the link would choose where a credential goes.

use std::error::Error as StdError;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind as IoKind, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};

use syncd_config::{RegistryHost, Secret};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::oci::docker_config::{
    DockerConfigError, DockerConfigErrorKind, ForeignKey, MAX_SIZE, Merged, merge,
};

/// How often a file that somebody else changes at the same time is read again.
const ATTEMPTS: u32 = 4;

/// What was done, or in a dry run would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOutcome {
    /// What became of the file.
    pub change: FileChange,
    /// Entries of others for hosts of ours. They stay; our entry for such a host is written only where
    /// one of ours was before.
    pub foreign: Vec<ForeignKey>,
    /// What keeps an entry of ours from being used, or too many from reading it, in words.
    pub warnings: Vec<String>,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileChange {
    /// It was not there.
    Created,
    /// It was different.
    Updated,
    /// Nothing was written.
    Unchanged,
}

impl FileOutcome {
    /// The way out when an entry of somebody else is in the way.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.foreign.first().map(|foreign| {
            format!(
                "remove the entry `{}` from the file (docker logout {}), or take {} out of this target's registries",
                foreign.key, foreign.host, foreign.host
            )
        })
    }
}

/// A file that could not be kept. It is as it was.
#[derive(Debug, Error)]
#[error("failed to {operation} the docker config file {}", .path.display())]
pub struct FileError {
    kind: FileErrorKind,
    operation: &'static str,
    path: PathBuf,
    #[source]
    source: Box<dyn StdError + Send + Sync>,
}

/// The classes of [`FileError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileErrorKind {
    /// What is there is no docker config.
    Malformed,
    /// More than 1 MiB, before or after.
    TooLarge,
    /// A folder, a device or the like.
    NotAFile,
    /// A link that leads to another folder, or nowhere.
    Link,
    /// The folder is missing, and so is the one above it.
    NoFolder,
    /// The right is missing.
    Denied,
    /// No room.
    DiskFull,
    /// Somebody else changes it all the time.
    Busy,
    /// Anything else.
    Io,
}

impl FileErrorKind {
    /// The name in reports and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::NotAFile => "not_a_file",
            Self::Link => "link",
            Self::NoFolder => "no_folder",
            Self::Denied => "denied",
            Self::DiskFull => "disk_full",
            Self::Busy => "busy",
            Self::Io => "io",
        }
    }

    /// Whether what is there is not for us to write, rather than that writing failed.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::Malformed | Self::TooLarge | Self::NotAFile | Self::Link
        )
    }
}

impl FileError {
    /// The closed class.
    #[must_use]
    pub fn kind(&self) -> FileErrorKind {
        self.kind
    }

    /// What to do, when known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self.kind {
            FileErrorKind::Malformed => Some("put the file right, or move it away: it is written anew then"),
            FileErrorKind::TooLarge => Some("a docker config has at most 1 MiB: take entries out of it"),
            FileErrorKind::NotAFile => Some("name a regular file in `path`"),
            FileErrorKind::Link => Some("name the file that the link leads to in `path`"),
            FileErrorKind::NoFolder => Some("make the folder first"),
            FileErrorKind::Denied => {
                Some("let syncd write the file and its folder (and run as root when another user owns it)")
            }
            FileErrorKind::DiskFull => Some("make room on that disk; the old file is whole"),
            FileErrorKind::Busy | FileErrorKind::Io => None,
        }
    }

    fn new(
        kind: FileErrorKind,
        operation: &'static str,
        path: &Path,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            operation,
            path: path.to_owned(),
            source: source.into(),
        }
    }

    fn io(operation: &'static str, path: &Path, error: io::Error) -> Self {
        let kind = match error.kind() {
            IoKind::StorageFull | IoKind::QuotaExceeded | IoKind::FileTooLarge => FileErrorKind::DiskFull,
            IoKind::PermissionDenied | IoKind::ReadOnlyFilesystem => FileErrorKind::Denied,
            IoKind::IsADirectory | IoKind::NotADirectory => FileErrorKind::NotAFile,
            _ => FileErrorKind::Io,
        };
        Self::new(kind, operation, path, error)
    }

    fn content(operation: &'static str, path: &Path, error: DockerConfigError) -> Self {
        let kind = match error.kind {
            DockerConfigErrorKind::TooLarge => FileErrorKind::TooLarge,
            _ => FileErrorKind::Malformed,
        };
        Self::new(kind, operation, path, error)
    }
}

/// Puts the entries into the file at `path`. `formerly_ours` are the hosts that we wrote into it last:
/// those that are no longer among the entries are taken out. Everything else in the file stays.
///
/// Guarantees: nothing is written when nothing changes; whatever ends this, the file is the old one or
/// the new one; what somebody else wrote until the last look, just before it is put in place, is kept.
///
/// # Errors
/// The file is not a docker config, is not for us to write, or cannot be written.
pub async fn write(
    path: &Path,
    entries: &[(RegistryHost, &str, &Secret)],
    formerly_ours: &[String],
    dry_run: bool,
) -> Result<FileOutcome, FileError> {
    let owned: Vec<(RegistryHost, String, Secret)> = entries
        .iter()
        .map(|(host, username, secret)| (host.clone(), (*username).to_owned(), (*secret).clone()))
        .collect();
    let (file, formerly) = (path.to_owned(), formerly_ours.to_vec());
    let done = tokio::task::spawn_blocking(move || {
        let entries: Vec<_> = owned
            .iter()
            .map(|(host, username, secret)| (host.clone(), username.as_str(), secret))
            .collect();
        keep(&file, &entries, &formerly, dry_run)
    });
    done.await
        .unwrap_or_else(|error| Err(FileError::io("write", path, io::Error::other(error))))
}

fn keep(
    path: &Path,
    entries: &[(RegistryHost, &str, &Secret)],
    formerly_ours: &[String],
    dry_run: bool,
) -> Result<FileOutcome, FileError> {
    let path = target(path)?;
    for _ in 0..ATTEMPTS {
        let found = read(&path)?;
        let Some(plan) = plan(&path, found.as_ref(), entries, formerly_ours)? else {
            return Ok(FileOutcome {
                change: FileChange::Unchanged,
                foreign: Vec::new(),
                warnings: Vec::new(),
            });
        };
        let change = match &found {
            _ if !plan.is_changed => FileChange::Unchanged,
            None => FileChange::Created,
            Some(_) => FileChange::Updated,
        };
        let is_done = dry_run
            || change == FileChange::Unchanged
            || replace(&path, found.as_ref(), |file| {
                file.write_all(plan.config.expose().as_bytes())
            })?;
        if is_done {
            return Ok(FileOutcome {
                change,
                warnings: warnings(&plan, found.as_ref(), entries),
                foreign: plan.foreign,
            });
        }
    }
    let error = io::Error::other("it was changed by somebody else each time it was read");
    Err(FileError::new(FileErrorKind::Busy, "replace", &path, error))
}

/// `None` when there is no file and nothing to put into one.
fn plan(
    path: &Path,
    found: Option<&Found>,
    entries: &[(RegistryHost, &str, &Secret)],
    formerly_ours: &[String],
) -> Result<Option<Merged>, FileError> {
    if found.is_none() && entries.is_empty() {
        return Ok(None);
    }
    let content = found.map(|found| found.content.as_slice());
    merge(content, entries, formerly_ours)
        .map(Some)
        .map_err(|error| FileError::content("read", path, error))
}

fn warnings(plan: &Merged, found: Option<&Found>, entries: &[(RegistryHost, &str, &Secret)]) -> Vec<String> {
    let mut warnings = plan.warnings.clone();
    let mode = found.map_or(0, |found| found.metadata.mode());
    if mode & 0o077 != 0 && !entries.is_empty() {
        warnings.push(format!(
            "others may read the file: its mode is {:04o}, which is kept (chmod 600)",
            mode & 0o7777
        ));
    }
    warnings
}

/// The file that is to be written: `path` itself, or what it leads to within its folder.
fn target(path: &Path) -> Result<PathBuf, FileError> {
    let link = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.is_symlink(),
        Err(error) if error.kind() == IoKind::NotFound => false,
        Err(error) => return Err(FileError::io("look at", path, error)),
    };
    if !link {
        return Ok(path.to_owned());
    }
    let real =
        fs::canonicalize(path).map_err(|error| FileError::new(FileErrorKind::Link, "follow", path, error))?;
    let folder = fs::canonicalize(folder(path)).map_err(|error| FileError::io("look at", path, error))?;
    if real.parent() != Some(&folder) {
        let error = io::Error::other("it is a link to another folder");
        return Err(FileError::new(FileErrorKind::Link, "follow", path, error));
    }
    Ok(real)
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A file as it was read.
struct Found {
    content: Zeroizing<Vec<u8>>,
    metadata: Metadata,
}

/// `None` when there is none.
fn read(path: &Path) -> Result<Option<Found>, FileError> {
    let failed = |error| FileError::io("read", path, error);
    // Not blocking: a pipe in its place would be waited for without end.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == IoKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        let error = io::Error::other("it is not a regular file");
        return Err(FileError::new(FileErrorKind::NotAFile, "read", path, error));
    }
    let mut content = Zeroizing::new(Vec::with_capacity(MAX_SIZE.min(64 << 10)));
    // One byte more than what is accepted: the merge refuses it then.
    let most = MAX_SIZE as u64 + 1;
    (&mut file).take(most).read_to_end(&mut content).map_err(failed)?;
    Ok(Some(Found { content, metadata }))
}

/// Puts a new file in the place of `found`; `false` when that one is no longer there as it was.
fn replace(
    path: &Path,
    found: Option<&Found>,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<bool, FileError> {
    let failed = |error| FileError::io("write", path, error);
    let folder = folder(path);
    make_folder(folder, path)?;
    // Made with mode 0600, and removed when it does not get its name.
    let mut file = tempfile::Builder::new()
        .prefix(".syncd-")
        .tempfile_in(folder)
        .map_err(failed)?;
    fill(file.as_file_mut()).map_err(failed)?;
    if let Some(Found { metadata, .. }) = found {
        keep_owner(file.as_file(), metadata).map_err(failed)?;
        let mode = Permissions::from_mode(metadata.mode() & 0o7777);
        file.as_file().set_permissions(mode).map_err(failed)?;
    }
    file.as_file().sync_all().map_err(failed)?;
    let now = read(path)?;
    let same = now.as_ref().map(|now| &now.content) == found.map(|found| &found.content);
    if !same {
        return Ok(false);
    }
    let placed = match found {
        Some(_) => file.persist(path),
        None => file.persist_noclobber(path),
    };
    match placed {
        Ok(_) => {}
        Err(error) if error.error.kind() == IoKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(failed(error.error)),
    }
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)?;
    Ok(true)
}

/// Makes the folder of a file when it is missing, for nobody else; not those above it, because a
/// path that is wrong is more likely than two missing folders.
fn make_folder(folder: &Path, path: &Path) -> Result<(), FileError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == IoKind::AlreadyExists => Ok(()),
        // What exists already may also be said in another way (a file system that only reads).
        Err(_) if folder.is_dir() => Ok(()),
        Err(error) if error.kind() == IoKind::NotFound => Err(FileError::new(
            FileErrorKind::NoFolder,
            "make the folder of",
            path,
            error,
        )),
        Err(error) => Err(FileError::io("make the folder of", path, error)),
    }
}

/// Gives a new file the owner and the group of the old one.
fn keep_owner(file: &File, old: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    fchown(file, Some(old.uid()), Some(old.gid()))
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;

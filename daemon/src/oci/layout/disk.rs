//! The few ways in which a store changes the disk, and what each one guarantees after a crash.
//!
//! A file gets its name only when its content is on the disk ([`Disk::publish`]). A name is on the
//! disk after [`Disk::settle`], which syncs every folder that got one since the last call: an
//! image of 400 blobs costs a handful of folder syncs, not 400.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind as IoKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::super::error::{ErrorKind, RegistryError};

/// How the names of staged files begin.
pub(super) const TEMPORARY: &str = "syncd-";

#[derive(Debug)]
pub(super) struct Disk {
    place: String,
    tmp: PathBuf,
    next: AtomicU64,
    /// Folders whose new names may not be on the disk yet.
    unsettled: Mutex<HashSet<PathBuf>>,
    /// Held while folders are synced, so that who finds nothing to do waits for who does it.
    settling: Mutex<()>,
    degraded: AtomicBool,
}

/// A file in `tmp/`, gone when dropped.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) file: File,
    path: PathBuf,
    synced: bool,
    kept: bool,
}

impl Staged {
    /// Brings the content to the disk.
    ///
    /// A failed sync has lost data that the kernel may call clean from then on: the file is to be
    /// dropped, never synced again.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if !self.synced {
            self.file.sync_data()?;
            self.synced = true;
        }
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.kept {
            // What is left over here is swept at the next start.
            std::fs::remove_file(&self.path).ok();
        }
    }
}

impl Disk {
    pub(super) fn new(place: String, tmp: PathBuf) -> Self {
        Self {
            place,
            tmp,
            next: AtomicU64::new(0),
            unsettled: Mutex::default(),
            settling: Mutex::default(),
            degraded: AtomicBool::new(false),
        }
    }

    pub(super) fn error(&self, operation: &str, error: io::Error) -> RegistryError {
        io_error(&self.place, operation, error)
    }

    pub(super) fn is_degraded(&self) -> bool {
        self.degraded.load(Ordering::Relaxed)
    }

    /// A new file that nobody sees.
    pub(super) fn stage(&self) -> Result<Staged, RegistryError> {
        self.refuse_when_degraded()?;
        let path = self.temp_name();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|error| self.error("create a temporary file", error))?;
        Ok(Staged {
            file,
            path,
            synced: false,
            kept: false,
        })
    }

    /// Gives a staged file its name, replacing what had it. The content is on the disk before.
    pub(super) fn publish(&self, mut staged: Staged, to: &Path, what: &str) -> Result<(), RegistryError> {
        self.refuse_when_degraded()?;
        staged.sync().map_err(|error| self.error(what, error))?;
        self.in_folder(to, || std::fs::rename(&staged.path, to))
            .map_err(|error| self.error(what, error))?;
        staged.kept = true;
        Ok(())
    }

    /// A small file with this content, by [`Disk::stage`] and [`Disk::publish`].
    pub(super) fn write_small(&self, to: &Path, content: &[u8], what: &str) -> Result<(), RegistryError> {
        let mut staged = self.stage()?;
        staged
            .file
            .write_all(content)
            .map_err(|error| self.error(what, error))?;
        self.publish(staged, to, what)
    }

    /// Makes `to` a second name of `from`, replacing what had it.
    pub(super) fn link(&self, from: &Path, to: &Path, what: &str) -> Result<(), RegistryError> {
        self.refuse_when_degraded()?;
        match self.in_folder(to, || std::fs::hard_link(from, to)) {
            Err(error) if error.kind() == IoKind::AlreadyExists => self.relink(from, to),
            other => other,
        }
        .map_err(|error| self.error(what, error))
    }

    fn relink(&self, from: &Path, to: &Path) -> io::Result<()> {
        if same_file(from, to)? {
            return Ok(());
        }
        let temp = self.temp_name();
        std::fs::hard_link(from, &temp)?;
        self.in_folder(to, || std::fs::rename(&temp, to))
    }

    /// Removes a name; `false` when it was not there.
    pub(super) fn remove(&self, path: &Path, what: &str) -> Result<bool, RegistryError> {
        self.refuse_when_degraded()?;
        match self.noted(path, || std::fs::remove_file(path)) {
            Ok(()) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(self.error(what, error)),
        }
    }

    /// Every name given or taken so far is on the disk when this returns.
    pub(super) fn settle(&self) -> Result<(), RegistryError> {
        let _one = self.settling.lock().unwrap_or_else(PoisonError::into_inner);
        self.refuse_when_degraded()?;
        let folders = std::mem::take(&mut *self.unsettled.lock().unwrap_or_else(PoisonError::into_inner));
        for folder in folders {
            let synced = File::open(&folder).and_then(|dir| dir.sync_all());
            if let Err(error) = synced
                && !is_absent(&error)
            {
                self.degraded.store(true, Ordering::Relaxed);
                return Err(self.error("sync a folder", error));
            }
        }
        Ok(())
    }

    /// Does `make` (which gives a file its name in a folder), making the folder first when it is
    /// missing.
    fn in_folder(&self, path: &Path, make: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let done = self.noted(path, &make);
        match (done, path.parent()) {
            (Err(error), Some(folder)) if is_absent(&error) => {
                self.make_folder(folder)?;
                self.noted(path, &make)
            }
            (done, _) => done,
        }
    }

    /// Makes a folder and those above it.
    pub(super) fn make_folder(&self, folder: &Path) -> io::Result<()> {
        match self.noted(folder, || std::fs::create_dir(folder)) {
            Err(error) if error.kind() == IoKind::AlreadyExists => Ok(()),
            Err(error) if error.kind() == IoKind::NotFound => {
                let above = folder.parent().ok_or(error)?;
                self.make_folder(above)?;
                self.make_folder(folder)
            }
            other => other,
        }
    }

    /// Does `change` to the name `path` and notes its folder for [`Disk::settle`]. Under the lock:
    /// whoever sees the changed name and settles, settles this change too.
    fn noted(&self, path: &Path, change: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let mut folders = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        change()?;
        if let Some(parent) = path.parent().filter(|parent| !folders.contains(*parent)) {
            folders.insert(parent.to_owned());
        }
        Ok(())
    }

    fn temp_name(&self) -> PathBuf {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        self.tmp.join(format!("{TEMPORARY}{n}"))
    }

    fn refuse_when_degraded(&self) -> Result<(), RegistryError> {
        if self.is_degraded() {
            return Err(
                RegistryError::new(ErrorKind::Io, self.place.as_str(), "write to the store").detail(
                    "an earlier sync failed, so what is on the disk is unknown: check the disk and restart",
                ),
            );
        }
        Ok(())
    }
}

/// Whether the error says that there is no such file (a file where a folder was thought is none).
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), IoKind::NotFound | IoKind::NotADirectory)
}

/// `None` for a file that is not there.
pub(super) fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn io_error(place: &str, operation: &str, error: io::Error) -> RegistryError {
    let kind = match error.kind() {
        IoKind::StorageFull | IoKind::QuotaExceeded => ErrorKind::DiskFull,
        _ => ErrorKind::Io,
    };
    RegistryError::new(kind, place, operation).caused_by(error)
}

fn same_file(a: &Path, b: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let (a, b) = (std::fs::metadata(a)?, std::fs::metadata(b)?);
    Ok(a.ino() == b.ino() && a.dev() == b.dev())
}

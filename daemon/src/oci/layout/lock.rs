//! One writer a store: the kernel lock, the version file, and the sweep at the start.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::super::error::{ErrorKind, RegistryError};
use super::disk::{Disk, TEMPORARY, io_error, is_absent, present};
use super::paths::Paths;

/// The form of the store that this program writes.
const VERSION: u32 = 1;

/// Held as long as the store is open; the kernel frees it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct StoreLock {
    file: File,
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        // Closing alone would leave the lock with a child that is just being started: until it
        // runs its program it has all our files.
        flock(&self.file, FlockOperation::Unlock).ok();
    }
}

pub(super) fn lock(paths: &Paths) -> Result<StoreLock, RegistryError> {
    let place = paths.root().display().to_string();
    let failed = |error| io_error(&place, "lock the store", error);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(paths.lock())
        .map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            return Err(
                RegistryError::new(ErrorKind::Locked, place.as_str(), "lock the store").detail(&holder(file)),
            );
        }
        Err(error) => return Err(failed(error.into())),
    }
    let note = format!("{}\n", std::process::id());
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(note.as_bytes()))
        .map_err(failed)?;
    Ok(StoreLock { file })
}

fn holder(file: File) -> String {
    let mut note = String::new();
    let pid = match file.take(32).read_to_string(&mut note) {
        Ok(_) => note.trim().parse::<u32>().ok(),
        Err(_) => None,
    };
    match pid {
        Some(pid) => format!("process {pid} is writing to it"),
        None => "another process is writing to it".to_owned(),
    }
}

/// Refuses a store of a newer syncd, and a folder that is none of ours; marks a new one.
pub(super) fn check_version(paths: &Paths, disk: &Disk) -> Result<(), RegistryError> {
    const OPERATION: &str = "open the store";
    let refused = |kind, detail: &str| {
        RegistryError::new(kind, paths.root().display().to_string(), OPERATION).detail(detail)
    };
    let text =
        present(std::fs::read_to_string(paths.version())).map_err(|error| disk.error(OPERATION, error))?;
    let Some(text) = text else {
        if !is_fresh(paths).map_err(|error| disk.error(OPERATION, error))? {
            let detail = "the folder is not empty and no store of syncd: name another one";
            return Err(refused(ErrorKind::Unsupported, detail));
        }
        sweep(paths, disk)?;
        disk.write_small(&paths.version(), format!("{VERSION}\n").as_bytes(), OPERATION)?;
        return disk.settle();
    };
    match text.trim().parse::<u32>() {
        Ok(version) if version <= VERSION => Ok(()),
        Ok(version) => Err(refused(
            ErrorKind::Unsupported,
            &format!(
                "a newer syncd made it (form {version}, this syncd writes form {VERSION}): use that syncd to write to it"
            ),
        )),
        Err(_) => Err(refused(ErrorKind::Integrity, "its VERSION file is damaged")),
    }
}

/// Whether nothing but what opening makes is in the folder (and what a new file system has). The
/// sweep must not touch a `tmp` that is somebody else's.
fn is_fresh(paths: &Paths) -> io::Result<bool> {
    let only = |folder: &Path, ours: &dyn Fn(&str) -> bool| -> io::Result<bool> {
        for entry in std::fs::read_dir(folder)? {
            if !entry?.file_name().to_str().is_some_and(ours) {
                return Ok(false);
            }
        }
        Ok(true)
    };
    Ok(only(paths.root(), &|name| {
        matches!(name, "lock" | "tmp" | "lost+found")
    })? && only(&paths.tmp(), &|name| name.starts_with(TEMPORARY))?)
}

/// Removes what a writer that died left in `tmp/`: nobody ever saw it.
pub(super) fn sweep(paths: &Paths, disk: &Disk) -> Result<(), RegistryError> {
    let failed = |error| disk.error("sweep the store", error);
    for entry in std::fs::read_dir(paths.tmp()).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        match std::fs::remove_file(&path) {
            Err(error) if !is_absent(&error) => return Err(failed(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Refuses file systems on which the store cannot be what it says: its content is shared by hard
/// links, and its tags are told apart by their case.
pub(super) fn try_file_system(paths: &Paths, disk: &Disk) -> Result<(), RegistryError> {
    const OPERATION: &str = "try the store's file system";
    let name = |name: &str| paths.tmp().join(format!("{TEMPORARY}{name}"));
    let (first, second) = (name("try"), name("again"));
    File::create(&first).map_err(|error| disk.error(OPERATION, error))?;
    let linked = std::fs::hard_link(&first, &second);
    let folded = name("TRY").exists();
    for path in [first, second] {
        match std::fs::remove_file(path) {
            Err(error) if !is_absent(&error) => return Err(disk.error(OPERATION, error)),
            _ => {}
        }
    }
    let refused = |detail: &str| {
        RegistryError::new(
            ErrorKind::Unsupported,
            paths.root().display().to_string(),
            OPERATION,
        )
        .detail(detail)
    };
    match linked {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
            ) =>
        {
            let detail = "it has no hard links: name a folder on another file system";
            return Err(refused(detail).caused_by(error));
        }
        other => other.map_err(|error| disk.error(OPERATION, error))?,
    }
    if folded {
        let detail = "it does not tell upper from lower case: name a folder on another file system";
        return Err(refused(detail));
    }
    Ok(())
}

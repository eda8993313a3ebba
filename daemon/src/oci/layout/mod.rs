//! A folder that holds images: our own store, or a user's OCI image layout.
//!
//! [`Layout::own`] opens the store: one writer (a kernel lock), content once in a shared folder,
//! each repository an image layout of its own whose blobs are hard links into it, and one small
//! file for each tag and each manifest. Whatever happens to the process or the power, what is
//! visible is whole: content is hashed and synced before it gets a name, a manifest appears after
//! what it points to, a tag after its manifest. What is not visible is rubbish and swept.
//!
//! [`Layout::open_read`] reads a folder and changes nothing in it.

mod blobs;
mod cache;
mod disk;
mod folder;
mod index;
mod lock;
mod manifests;
mod paths;
mod stream;
mod tags;
mod traits;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use syncd_config::Repository;

use super::error::{ErrorKind, RegistryError};
use super::store::Descriptor;
use cache::ManifestCache;
use disk::Disk;
use folder::Folder;
use lock::StoreLock;
use paths::Paths;

pub use blobs::BlobWriter;
pub use manifests::Children;

type Result<T, E = RegistryError> = std::result::Result<T, E>;

/// A folder that holds images. Clones are handles to the same one.
#[derive(Clone)]
pub struct Layout(Form);

#[derive(Clone)]
enum Form {
    Store(Arc<Store>),
    Folder(Arc<Folder>),
}

/// Our own store.
struct Store {
    paths: Paths,
    disk: Disk,
    cache: ManifestCache,
    /// One writer at a time to a digest's shared file; by the digest's first byte.
    stripes: [Mutex<()>; 16],
    /// Held for reading while something is named that needs other things to stay, for writing
    /// while something is deleted.
    deleting: RwLock<()>,
    /// Repositories whose `index.json` is older than their tags.
    stale: Mutex<HashSet<Repository>>,
    /// Absent on a store that was opened for reading.
    lock: Option<StoreLock>,
}

impl Layout {
    /// Opens the store in `dir` for writing, making it when the folder is missing or empty.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] names the process that has it; [`ErrorKind::Unsupported`] for a store
    /// of a newer syncd and for a folder that is something else.
    pub fn own(dir: &Path) -> Result<Self> {
        let (paths, disk) = parts(dir);
        std::fs::create_dir_all(dir).map_err(|error| disk.error("make the store's folder", error))?;
        let lock = lock::lock(&paths)?;
        disk.make_folder(&paths.tmp())
            .map_err(|error| disk.error("make the store's folders", error))?;
        lock::check_version(&paths, &disk)?;
        lock::sweep(&paths, &disk)?;
        lock::try_file_system(&paths, &disk)?;
        let store = Store::new(paths, disk, Some(lock));
        store.find_stale()?;
        Ok(Self(Form::Store(Arc::new(store))))
    }

    /// Opens a folder for reading: a user's OCI image layout (one repository of our store is one
    /// as well), or a whole store. Nothing is locked, swept or written.
    ///
    /// # Errors
    /// When the folder is neither.
    pub fn open_read(dir: &Path) -> Result<Self> {
        let (paths, disk) = parts(dir);
        if paths.version().is_file() {
            return Ok(Self(Form::Store(Arc::new(Store::new(paths, disk, None)))));
        }
        Ok(Self(Form::Folder(Arc::new(Folder::open(dir)?))))
    }

    /// The entries of `index.json` with their names, in its order. Only for an image layout that
    /// was opened by [`Layout::open_read`].
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn top_level(&self) -> Result<Vec<(Option<String>, Descriptor)>> {
        match &self.0 {
            Form::Folder(folder) => folder.top_level(),
            Form::Store(store) => {
                Err(store.refused("read index.json", "a store has one for each repository"))
            }
        }
    }

    /// Whether a sync of a folder failed since the start: all writes are refused from then on.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        match &self.0 {
            Form::Store(store) => store.disk.is_degraded(),
            Form::Folder(_) => false,
        }
    }

    /// The store, for what only a store can do.
    fn store(&self) -> Result<&Arc<Store>> {
        match &self.0 {
            Form::Store(store) => Ok(store),
            Form::Folder(folder) => Err(RegistryError::new(
                ErrorKind::WriteRefused,
                folder.place(),
                "use the folder as a store",
            )
            .detail("it is an image layout opened for reading")),
        }
    }

    /// The store, when it may be written.
    fn writable(&self) -> Result<&Arc<Store>> {
        let store = self.store()?;
        if store.lock.is_none() {
            return Err(store.refused("write to the store", "it is open for reading"));
        }
        Ok(store)
    }
}

fn parts(dir: &Path) -> (Paths, Disk) {
    let paths = Paths::new(dir.to_owned());
    let disk = Disk::new(dir.display().to_string(), paths.tmp());
    (paths, disk)
}

impl Store {
    fn new(paths: Paths, disk: Disk, lock: Option<StoreLock>) -> Self {
        Self {
            paths,
            disk,
            cache: ManifestCache::default(),
            stripes: Default::default(),
            deleting: RwLock::default(),
            stale: Mutex::default(),
            lock,
        }
    }

    fn place(&self) -> String {
        self.paths.root().display().to_string()
    }

    fn refused(&self, operation: &str, detail: &str) -> RegistryError {
        self.fault(ErrorKind::WriteRefused, operation, detail)
    }

    fn fault(&self, kind: ErrorKind, operation: &str, detail: &str) -> RegistryError {
        RegistryError::new(kind, self.place(), operation).detail(detail)
    }

    /// Until it is dropped nothing is deleted.
    fn keep(&self) -> RwLockReadGuard<'_, ()> {
        self.deleting.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until it is dropped nobody counts on anything to stay.
    fn delete_alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.deleting.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_stale(&self, repository: &Repository) {
        let mut stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
        if !stale.contains(repository) {
            stale.insert(repository.clone());
        }
    }
}

/// Runs work that waits for the disk off the async workers.
async fn blocking<T, F>(place: &str, operation: &str, work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(RegistryError::new(ErrorKind::Canceled, place, operation).caused_by(error)),
    }
}

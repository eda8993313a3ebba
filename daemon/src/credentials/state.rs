//! What outlives a pass and a reload: the credentials that are published, and the turn to write.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::MutexGuard;

use super::inventory::Stored;
use super::memory::Memory;
use crate::tokens::{LastGood, LastGoodStore};

/// What passes and the watch share. Clones share everything; one outlives every configuration.
#[derive(Clone, Default)]
pub struct CredentialState(Arc<Inner>);

#[derive(Default)]
struct Inner {
    good: Mutex<Held>,
    /// Held while anything is written, so that a pass and the watch never write at the same time.
    writes: tokio::sync::Mutex<Writes>,
}

/// What is published, by the entry's name.
#[derive(Default)]
struct Held {
    good: Arc<LastGood>,
    /// Whether the store of before the start was read whole.
    loaded: bool,
}

/// What only the holder of the turn to write may see.
#[derive(Default)]
pub(super) struct Writes {
    pub(super) memory: Memory,
    /// The inventory as it was last read or written.
    pub(super) inventory: Option<Stored>,
}

impl CredentialState {
    /// A state that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The published credentials: those of this process, after a start those that were kept. What
    /// cannot be read is said in words and is as if it was not there; it is tried again next time.
    pub(super) async fn good(&self, store: &LastGoodStore) -> (Arc<LastGood>, Vec<String>) {
        {
            let held = self.lock();
            if held.loaded {
                return (Arc::clone(&held.good), Vec::new());
            }
        }
        let read = store.read().await;
        let mut held = self.lock();
        let problems: Vec<String> = match read {
            Ok(stored) => {
                let mut good = LastGood::clone(&held.good);
                for (name, kept) in stored.good {
                    good.entry(name).or_insert(kept);
                }
                held.good = Arc::new(good);
                held.loaded = stored.problems.is_empty();
                stored.problems.iter().map(super::words).collect()
            }
            Err(error) => vec![super::words(&error)],
        };
        (Arc::clone(&held.good), problems)
    }

    /// From now on these are published.
    pub(super) fn publish(&self, good: LastGood) {
        self.lock().good = Arc::new(good);
    }

    /// Waits for the turn to write.
    pub(super) async fn turn(&self) -> MutexGuard<'_, Writes> {
        self.0.writes.lock().await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.0.good.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

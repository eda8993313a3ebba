//! What images are read from and written to: manifests, closures, memory, folders, the store.

mod conformance;
mod folder;
mod graph;
mod layout;
mod walk;

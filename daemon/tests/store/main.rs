//! What images are read from and written to: manifests, closures, memory, folders, the store.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod folder;
#[cfg(test)]
mod graph;
#[cfg(test)]
mod layout;
#[cfg(test)]
mod walk;

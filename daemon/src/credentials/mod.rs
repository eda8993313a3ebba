//! Keeps proven credentials in secrets of namespaces and in docker config files.
//!
//! One pass is gather (`gather`) -> plan (`plan`, pure) -> apply (`apply`) -> report.

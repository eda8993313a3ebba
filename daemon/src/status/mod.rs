//! The daemon seen from outside: `/livez`, `/readyz`, `/metrics`, `/api/v1/report`.
//!
//! Reading only: no request here changes anything, so the listener needs no login. Nothing secret
//! is in what it reads ([`View`] holds report types and counters).

mod metrics;
mod routes;
mod serve;
mod view;

pub use metrics::render;
pub use routes::router;
pub use serve::{Listener, SHORT_LIVED, serve};
pub use view::{Counters, Ready, ReadyCheck, Served, ServedCount, View, ViewSources};

#[cfg(test)]
mod tests;

//! Cloud identity to short-lived registry token, and the base HTTP client.

pub mod basic;
pub mod clock;
pub mod http;

pub use clock::Clock;

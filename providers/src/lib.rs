//! Cloud identity to short-lived registry token, and the base HTTP client.

pub mod clock;

pub use clock::Clock;

//! Cloud identity to short-lived registry token, and the base HTTP client.

pub mod basic;
pub mod clock;
pub mod http;
pub mod token;

pub use clock::Clock;
pub use token::{Expiry, Token, TokenError, TokenErrorKind, TokenProvider};

//! Cloud identity to short-lived registry token, and the base HTTP client.

pub mod basic;
pub mod broken;
pub mod clock;
pub mod http;
pub mod outfit;
pub mod token;

pub use clock::Clock;
pub use outfit::{Environment, Outfit};
pub use token::{Expiry, Token, TokenError, TokenErrorKind, TokenProvider};

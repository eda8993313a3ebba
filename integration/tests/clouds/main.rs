//! Each identity of a cloud against a stand-in that is as strict as the real issuer.
//!
//! A cloud is a module of its own. Nothing here needs a program from outside, nor a network.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod outfit;

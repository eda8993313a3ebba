//! No secret in any output: every secret of this test is unique, every command runs with all that
//! tracing can say, and what comes out is searched for each of them in every form.
//!
//! The registries are unkind: they refuse, and repeat the credential in headers, challenges and
//! bodies. Docker configs are malformed, passwords are wrong, past their time, and of two lines.

#[cfg(test)]
mod cluster;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

//! The mirror: copies images, whole and proven, to the embedded registry or to any other.
//!
//! A pass is [`gather`](self) (resolve each image once, look at its destination) -> `plan` (pure)
//! -> `apply` (copy, prove) -> report. One image that fails never stops the rest.

mod plan;

pub use plan::Verify;

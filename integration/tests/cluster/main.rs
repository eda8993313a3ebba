//! syncd's Kubernetes client against a real kube-apiserver.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
mod reads;
mod watches;
mod wire;
mod writes;

//! The credentials job: `syncd run` between a real registry with a login and a real kube-apiserver, with
//! the rights of `deploy/kustomize/overlays/cluster` and no other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod brake;
mod foreign;
mod namespaces;
mod restart;
mod rotation;
mod stage;

//! Real servers for the integration tests, and the tests' own helpers.
//!
//! Each helper takes free loopback ports, waits until its server answers (with
//! a deadline), keeps the server's log for the failure message, and ends the
//! server with the test, also when the test panics or is killed. Nothing is
//! skipped: a missing program fails the test and says how to get it.
//!
//! - [`tools`][]: where the programs are that `integration/tools/bring` builds
//! - [`process`][]: servers as child processes
//! - [`http`][]: asking a server whether it is up
//! - [`certs`][]: a certificate authority
//! - [`image`][]: test images as OCI layouts
//! - [`registry`][]: distribution
//! - [`clouds`][]: the issuers of registry tokens, as strict as the real ones
//! - [`faulty`][]: a registry that fails on purpose
//! - [`apiserver`][]: etcd and kube-apiserver
//! - [`node`][]: kubelet, containerd, runc
//! - [`names`][]: a resolver that knows no name
//! - [`namespace`][]: a namespace of the test's own
//! - [`proxy`][]: a recorder of what clients send
//! - [`secrets`][]: unique secrets, looked for in every output
//! - [`syncd`][]: the program under test

pub mod apiserver;
pub mod certs;
pub mod clouds;
pub mod error;
pub mod faulty;
pub mod http;
pub mod image;
pub mod names;
pub mod namespace;
pub mod node;
pub mod process;
pub mod proxy;
pub mod registry;
pub mod secrets;
pub mod syncd;
pub mod tools;

pub use apiserver::Apiserver;
pub use error::{Error, Result};
pub use faulty::{Fault, Faulty, Login, Refusal};
pub use namespace::with_temp_ns;
pub use node::Node;
pub use process::Server;
pub use proxy::Recorder;
pub use registry::{Registry, RegistryOptions};
pub use syncd::{Setup, Syncd};
pub use tools::Tools;

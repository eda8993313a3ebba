//! The Kubernetes API as syncd uses it: few verbs, metadata instead of contents, every answer bounded.
//!
//! Every request made here ends after [`DEADLINE`] and reads at most [`ANSWER_LIMIT`] bytes, also
//! those made with [`Cluster::client`]; nothing is retried but by the watches. What the API says is
//! cleaned, cut, and masked where it quotes a secret that was sent.

mod connect;
mod error;
mod events;
mod meta;
mod namespaces;
mod own;
mod request;
mod secrets;
mod transport;
mod types;
mod watch;
mod words;

use kube::Client;

pub use connect::ClusterOptions;
pub use error::{ClusterError, ClusterErrorKind, Verb};
pub use events::EventSubject;
pub use own::{OwnKind, OwnObject};
pub use secrets::SecretContent;
pub use transport::{ANSWER_LIMIT, DEADLINE};
pub use types::{NamespaceMeta, NewSecret, SecretMeta};
pub use watch::{Watch, WatchEvent, Watched};

/// The field manager of everything that syncd writes.
pub const FIELD_MANAGER: &str = "syncd";

/// A cluster: a client with its limits, and who we are in it. Clones share connections.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    own_namespace: String,
    recorder: events::Recorder,
}

impl Cluster {
    /// A cluster behind a client made elsewhere. The limits of [`Cluster::connect`] are the client's
    /// own matter then.
    #[must_use]
    pub fn of_client(client: Client, own_namespace: impl Into<String>) -> Self {
        Self {
            recorder: events::recorder(&client),
            client,
            own_namespace: own_namespace.into(),
        }
    }

    /// The client behind it, with the same deadline and the same cap on answers.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The namespace of syncd's own documents: `POD_NAMESPACE`, else the service account's, else
    /// the kubeconfig context's, else `syncd`.
    #[must_use]
    pub fn own_namespace(&self) -> &str {
        &self.own_namespace
    }
}

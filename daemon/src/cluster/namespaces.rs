//! Namespaces, as metadata.

use k8s_openapi::api::core::v1::Namespace;
use kube::Resource;
use kube::api::{GetParams, Request};

use super::request::Doing;
use super::{Cluster, ClusterError, ClusterErrorKind, NamespaceMeta, Verb, meta};

impl Cluster {
    /// All namespaces: the whole list or an error.
    pub async fn namespaces(&self) -> Result<Vec<NamespaceMeta>, ClusterError> {
        let doing = Doing::new(Verb::List, "namespaces");
        let (items, _) = self
            .list_metadata(doing, &Namespace::url_path(&(), None), None)
            .await?;
        Ok(items.into_iter().map(meta::namespace).collect())
    }

    /// One namespace, when there is one of that name.
    pub async fn namespace(&self, name: &str) -> Result<Option<NamespaceMeta>, ClusterError> {
        let what = format!("namespace {name}");
        let request = Request::new(Namespace::url_path(&(), None)).get_metadata(name, &GetParams::default());
        match self.ask_metadata(Doing::new(Verb::Get, &what), request).await {
            Ok(item) => Ok(Some(meta::namespace(item))),
            Err(error) if error.kind == ClusterErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

//! `syncd diagnose pod/NAME`: finds the cluster, and what a failure to read it means.

use syncd_config::Platform;
use syncd_config::text::clean;
use syncd_providers::Clock;

use super::cluster::ClusterArgs;
use super::exit::Exit;
use super::output::Failure;
use crate::cluster::{Cluster, ClusterError, ClusterErrorKind, ClusterOptions};
use crate::diagnose::pod::{self, PodError, PodQuestion};
use crate::diagnose::{DiagnoseContext, DiagnoseOptions};
use crate::report::DiagnoseReport;

/// What the command line asked for.
pub(super) struct Asked<'a> {
    /// The pod; a Kubernetes name.
    pub(super) name: &'a str,
    pub(super) namespace: Option<&'a str>,
    pub(super) container: Option<&'a str>,
    pub(super) platform: Option<&'a Platform>,
    pub(super) cluster: &'a ClusterArgs,
}

/// The name in `pod/NAME`, as kubectl takes it; `None` for anything else. (The image `pod/x` of
/// Docker Hub can be named `docker.io/pod/x`.)
pub(super) fn named(target: &str) -> Option<&str> {
    let (kind, name) = target.split_once('/')?;
    (matches!(kind, "pod" | "pods" | "po") && pod::is_name(name)).then_some(name)
}

/// Diagnoses the pod.
pub(super) async fn run(
    context: &DiagnoseContext,
    asked: &Asked<'_>,
    options: &DiagnoseOptions,
    clock: &Clock,
) -> Result<DiagnoseReport, Failure> {
    let chosen = ClusterOptions {
        kubeconfig: asked.cluster.kubeconfig.clone(),
        context: asked.cluster.context.clone(),
    };
    let cluster = Cluster::connect(&chosen).await.map_err(unreachable)?;
    let namespace = match asked.namespace {
        Some(name) => name.to_owned(),
        None => cluster.client().default_namespace().to_owned(),
    };
    if !pod::is_name(&namespace) {
        let words = format!("`{}` is not a namespace's name", clean(&namespace));
        return Err(Failure::new(Exit::Usage, words));
    }
    let question = PodQuestion {
        namespace,
        name: asked.name.to_owned(),
        container: asked.container.map(str::to_owned),
        platform: asked.platform.cloned(),
    };
    pod::pod(context, &cluster, &question, options, clock)
        .await
        .map_err(|error| failed(error, &question))
}

fn unreachable(error: ClusterError) -> Failure {
    let hint = "name the cluster with --kubeconfig and --context, or paste what the node says: --message";
    Failure::new(exit_of(error.kind), error).hint(hint)
}

fn failed(error: PodError, question: &PodQuestion) -> Failure {
    let namespace = &question.namespace;
    let (exit, hint) = match &error {
        PodError::NoSuchContainer { .. } => (Exit::Usage, None),
        PodError::Read(read) => {
            let hint = match read.kind {
                ClusterErrorKind::Forbidden => Some(format!(
                    "the right that is missing: `get` on `pods` in namespace {namespace}"
                )),
                ClusterErrorKind::NotFound => Some(format!("kubectl get pods -n {namespace}")),
                _ => None,
            };
            (exit_of(read.kind), hint)
        }
    };
    let failure = Failure::new(exit, error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn exit_of(kind: ClusterErrorKind) -> Exit {
    match kind {
        ClusterErrorKind::NotConfigured => Exit::Usage,
        ClusterErrorKind::Forbidden | ClusterErrorKind::Unauthenticated => Exit::NotPermitted,
        ClusterErrorKind::NotFound | ClusterErrorKind::Unreachable | ClusterErrorKind::Throttled => {
            Exit::NotReachable
        }
        _ => Exit::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn a_pod_is_named_as_kubectl_names_it() {
        for (text, name) in [
            ("pod/web", Some("web")),
            ("pods/web-0", Some("web-0")),
            ("po/web.a", Some("web.a")),
            ("pod/web:1", None),
            ("pod/a/b", None),
            ("pod/Web", None),
            ("pod/", None),
            ("docker.io/pod/web", None),
            ("deploy/web", None),
            ("web", None),
            ("pod/../x", None),
        ] {
            assert_eq!(named(text), name, "{text}");
        }
    }
}

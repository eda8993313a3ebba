//! Which cluster, and who we are there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use syncd_config::text::clean;

use super::transport::Limits;
use super::{Cluster, ClusterError, ClusterErrorKind, DEADLINE, Verb};

/// The namespace of syncd's documents where nothing names another.
const NAMESPACE: &str = "syncd";

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// How a person chose the cluster. With nothing chosen: `KUBECONFIG`, then the service account of
/// the pod that we are in, then `~/.kube/config`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterOptions {
    /// A kubeconfig.
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig instead of its current one.
    pub context: Option<String>,
}

/// What the environment says.
#[derive(Clone, Debug, Default)]
struct Environment {
    kubeconfig: Option<OsString>,
    home: Option<OsString>,
    in_pod: bool,
    pod_namespace: Option<OsString>,
}

impl Environment {
    fn read() -> Self {
        let filled = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            kubeconfig: filled("KUBECONFIG"),
            home: filled("HOME"),
            in_pod: filled("KUBERNETES_SERVICE_HOST").is_some(),
            pod_namespace: filled("POD_NAMESPACE"),
        }
    }
}

/// Where the way to the cluster stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// In these files, merged as kubectl does.
    Files(Vec<PathBuf>),
    /// In the pod's service account.
    Pod,
}

impl Cluster {
    /// A client for the chosen cluster, with syncd's limits. Nothing is asked of it yet; a credential
    /// plugin of the kubeconfig runs.
    ///
    /// # Errors
    /// `NotConfigured`, naming what is missing or wrong and never a content of the kubeconfig.
    pub async fn connect(options: &ClusterOptions) -> Result<Self, ClusterError> {
        let environment = Environment::read();
        let place = place(options, &environment)?;
        let (mut config, context_namespace) = match &place {
            Place::Files(files) => from_files(files, options.context.as_deref()).await?,
            Place::Pod => {
                let config = Config::incluster().map_err(|error| unusable(clean(&error.to_string())))?;
                let namespace = config.default_namespace.clone();
                (config, Some(namespace))
            }
        };
        let own_namespace = own_namespace(&environment, context_namespace)?;
        config.connect_timeout = Some(CONNECT);
        // Who retries, and when, is for those who ask to decide.
        config.default_retry = false;
        Ok(Self::of_client(client(config).await?, own_namespace))
    }
}

/// Makes the client; a credential plugin runs meanwhile, so not on a thread that others need.
async fn client(config: Config) -> Result<Client, ClusterError> {
    let build = tokio::task::spawn_blocking(move || {
        ClientBuilder::try_from(config).map(|builder| builder.with_layer(&Limits).build())
    });
    match tokio::time::timeout(DEADLINE, build).await {
        Ok(Ok(Ok(client))) => Ok(client),
        // Its text may hold what a credential plugin printed.
        Ok(Ok(Err(kube::Error::Auth(_)))) => Err(ClusterError::new(
            ClusterErrorKind::Unauthenticated,
            Verb::Connect,
            "the Kubernetes API",
            "the credential that the kubeconfig or service account names could not be had",
        )),
        Ok(Ok(Err(kube::Error::RustlsTls(error)))) => Err(unusable(clean(&error.to_string()))),
        Ok(Ok(Err(_))) => Err(unusable("its proxy or TLS settings cannot be used")),
        Ok(Err(_)) => Err(unusable("the client could not be made")),
        Err(_) => Err(unusable("its credential plugin did not end within 10 s")),
    }
}

fn place(options: &ClusterOptions, environment: &Environment) -> Result<Place, ClusterError> {
    if let Some(file) = &options.kubeconfig {
        return Ok(Place::Files(vec![file.clone()]));
    }
    if let Some(list) = &environment.kubeconfig {
        let files = std::env::split_paths(list).filter(|path| !path.as_os_str().is_empty());
        return Ok(Place::Files(files.collect()));
    }
    // A context is one of a kubeconfig.
    if environment.in_pod && options.context.is_none() {
        return Ok(Place::Pod);
    }
    match &environment.home {
        Some(home) => Ok(Place::Files(vec![Path::new(home).join(".kube/config")])),
        None => Err(unusable("no kubeconfig is named, and there is no home folder")),
    }
}

/// The configuration, and the namespace that its context names.
async fn from_files(
    files: &[PathBuf],
    context: Option<&str>,
) -> Result<(Config, Option<String>), ClusterError> {
    let mut merged = Kubeconfig::default();
    for file in files {
        let read = Kubeconfig::read_from(file).and_then(|read| merged.clone().merge(read));
        merged = read.map_err(|error| unusable(format!("{}: {}", file.display(), words(&error))))?;
    }
    let chosen = context.or(merged.current_context.as_deref());
    let namespace = (merged.contexts.iter())
        .find(|named| Some(named.name.as_str()) == chosen)
        .and_then(|named| named.context.as_ref()?.namespace.clone());
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let config = Config::from_custom_kubeconfig(merged, &options).await;
    let config = config.map_err(|error| {
        let names = files.iter().map(|file| file.display().to_string());
        unusable(format!(
            "{}: {}",
            names.collect::<Vec<_>>().join(", "),
            words(&error)
        ))
    })?;
    Ok((config, namespace.filter(|name| !name.is_empty())))
}

/// What is wrong with a kubeconfig, without anything that stands in a wrong place of it.
fn words(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(error) => match error.location() {
            Some(place) => format!(
                "not a kubeconfig (line {}, column {})",
                place.line(),
                place.column()
            ),
            None => "not a kubeconfig".to_owned(),
        },
        KubeconfigError::ReadConfig(error, _) => clean(&error.to_string()),
        KubeconfigError::ParseClusterUrl(_) => "the cluster's server is not a URL".to_owned(),
        KubeconfigError::ParseProxyUrl(_) => "the cluster's proxy-url is not a URL".to_owned(),
        other => clean(&other.to_string()),
    }
}

fn own_namespace(environment: &Environment, context: Option<String>) -> Result<String, ClusterError> {
    let named = match &environment.pod_namespace {
        Some(name) => Some(name.to_string_lossy().into_owned()),
        None => context,
    };
    let name = named.unwrap_or_else(|| NAMESPACE.to_owned());
    // RFC 1123 label: it becomes a part of every path.
    let is_label = (1..=63).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if is_label {
        Ok(name)
    } else {
        Err(unusable(format!("`{}` is not a namespace's name", clean(&name))))
    }
}

fn unusable(detail: impl Into<String>) -> ClusterError {
    ClusterError::new(
        ClusterErrorKind::NotConfigured,
        Verb::Connect,
        "the Kubernetes API",
        detail,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str]) -> Place {
        Place::Files(paths.iter().map(PathBuf::from).collect())
    }

    #[test]
    fn the_nearest_choice_wins() {
        let chosen = ClusterOptions {
            kubeconfig: Some("/k".into()),
            context: None,
        };
        let context = ClusterOptions {
            kubeconfig: None,
            context: Some("dev".into()),
        };
        let none = ClusterOptions::default();
        let env = |kubeconfig: Option<&str>, home: Option<&str>, in_pod| Environment {
            kubeconfig: kubeconfig.map(Into::into),
            home: home.map(Into::into),
            in_pod,
            pod_namespace: None,
        };
        for (options, environment, expected) in [
            (&chosen, env(Some("/a"), Some("/h"), true), files(&["/k"])),
            (&none, env(Some("/a:/b"), Some("/h"), true), files(&["/a", "/b"])),
            (&none, env(None, Some("/h"), true), Place::Pod),
            (&context, env(None, Some("/h"), true), files(&["/h/.kube/config"])),
            (&none, env(None, Some("/h"), false), files(&["/h/.kube/config"])),
        ] {
            assert_eq!(place(options, &environment).unwrap(), expected);
        }
        let error = place(&none, &env(None, None, false)).unwrap_err();
        assert_eq!(error.kind, ClusterErrorKind::NotConfigured);
    }

    #[test]
    fn our_namespace_is_a_name() {
        let env = |name: Option<&str>| Environment {
            pod_namespace: name.map(Into::into),
            ..Environment::default()
        };
        let of = |name, context: Option<&str>| own_namespace(&env(name), context.map(str::to_owned));
        assert_eq!(of(Some("pod"), Some("context")).unwrap(), "pod");
        assert_eq!(of(None, Some("context")).unwrap(), "context");
        assert_eq!(of(None, None).unwrap(), "syncd");
        for wrong in ["../x", "a/b", "-a", "a-", "A", &"a".repeat(64)] {
            assert!(of(Some(wrong), None).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_broken_kubeconfig_is_named_and_never_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        let whole = "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
            contexts: [{name: a, context: {cluster: c, user: u, namespace: mine}}]\n\
            clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n";
        for (rest, part) in [
            (
                "users: [{name: u, user: {token: [hunter2]}}]\n",
                "not a kubeconfig (line 6",
            ),
            ("users: [{name: u, user: {token: hunter2\n", "not a kubeconfig"),
            (
                "users: [{name: u, user: {client-certificate-data: 'hunter2!', client-key-data: x}}]\n",
                "",
            ),
            (
                "users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, \
                 command: sh, args: ['-c', 'echo hunter2; exit 1'], interactiveMode: Never}}}]\n",
                "could not be had",
            ),
        ] {
            std::fs::write(&file, format!("{whole}{rest}")).unwrap();
            let options = ClusterOptions {
                kubeconfig: Some(file.clone()),
                context: None,
            };
            let Err(error) = Cluster::connect(&options).await else {
                panic!("connected with {rest}");
            };
            let text = crate::telemetry::chain(&error);
            assert!(text.contains(part), "{text}");
            assert!(!format!("{text}{error:?}").contains("hunter2"), "{text}");
            assert!(error.hint().is_some());
        }
        std::fs::write(
            &file,
            format!("{whole}users: [{{name: u, user: {{token: x}}}}]\n"),
        )
        .unwrap();
        let (_, namespace) = from_files(&[file], None).await.unwrap();
        assert_eq!(namespace.as_deref(), Some("mine"));
    }
}

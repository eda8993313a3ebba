//! Gathers what a diagnosis is judged by: one question after the other, until one has no answer.

use std::net::IpAddr;
use std::time::Duration;

use http::Method;
use serde::Deserialize;
use syncd_config::{Reference, RegistryHost};
use syncd_providers::http::Reach;
use tokio::time::{Instant, timeout_at};

use super::facts::{Api, Facts, Fault, Identity, Route, Tags};
use super::{DiagnoseContext, DiagnoseOptions, lookup, network, pull};
use crate::oci::look::Way;
use crate::oci::remote::Remote;
use crate::oci::{ErrorKind, RegistryClient, RegistryError, RegistryRequest, Scope};

/// A page of tags is read up to here.
const TAG_PAGE: usize = 4 << 20;

/// As whom the registry is asked.
pub(crate) enum Who {
    /// As the configuration has it.
    Configured,
    /// As the node asks for a pod: by this client, which knows that one credential or none.
    Node {
        /// A client made by [`RegistryClient::with_only`].
        client: RegistryClient,
        /// The pull secret that the credential is from.
        secret: Option<String>,
        /// Whether it speaks plain http because nodes fall back to that on the loopback.
        fallback: bool,
    },
}

/// Everything that could be seen.
pub(crate) async fn look(context: &DiagnoseContext, image: &str, options: &DiagnoseOptions) -> Facts {
    look_as(context, image, options, &Who::Configured, true).await
}

/// Everything that could be seen by `who`; the mirror, when it is asked, always as the
/// configuration has it.
pub(crate) async fn look_as(
    context: &DiagnoseContext,
    image: &str,
    options: &DiagnoseOptions,
    who: &Who,
    mirror: bool,
) -> Facts {
    let mut facts = Facts::new(image, options.platform.clone());
    let Ok(reference) = facts.reference.clone() else {
        return facts;
    };
    let once = |client: &RegistryClient| client.without_retries().waiting_at_most(Duration::ZERO);
    let probe = Probe {
        context,
        client: match who {
            Who::Configured => once(&context.client),
            Who::Node { client, .. } => once(client),
        },
        mirror_client: once(&context.client),
        who,
        reference: &reference,
        end: Instant::now() + options.deadline,
        step: options.step,
        blobs: options.blobs,
    };
    if mirror {
        let (_, mirror) = tokio::join!(probe.ask(&mut facts), lookup::mirror(&probe));
        facts.mirror = mirror;
    } else {
        // `None` says that something failed; the facts say what.
        let _ended = probe.ask(&mut facts).await;
    }
    facts
}

/// One diagnosis on its way.
pub(crate) struct Probe<'a> {
    pub(crate) context: &'a DiagnoseContext,
    /// Sends everything once.
    pub(crate) client: RegistryClient,
    /// The same, as the configuration has it: for the mirror.
    pub(crate) mirror_client: RegistryClient,
    who: &'a Who,
    pub(crate) reference: &'a Reference,
    end: Instant,
    step: Duration,
    /// Whether all layers are touched.
    pub(crate) blobs: bool,
}

impl Probe<'_> {
    /// Asks until something fails; `None` means that it has.
    async fn ask(&self, facts: &mut Facts) -> Option<()> {
        let way = self.way(facts)?;
        self.network(facts, &way).await?;
        let host = &self.reference.host;
        let api = self.within(host, "greet", self.client.greet(host)).await;
        let api = api.map(|greeting| Api {
            status: greeting.status,
            schemes: greeting.schemes.into_iter().map(str::to_owned).collect(),
        });
        let status = api.as_ref().ok().map(|api| api.status);
        facts.api = Some(api);
        match status? {
            200 => facts.login = Some(Ok(())),
            401 => self.login(facts).await?,
            _ => {}
        }
        let source = Remote::source(self.client.clone(), host.clone());
        pull::manifest(self, facts, &source).await?;
        Some(())
    }

    /// How the registry is reached.
    fn way(&self, facts: &mut Facts) -> Option<Way> {
        let host = &self.reference.host;
        let way = self.client.way(host);
        let known = way.as_ref().ok();
        let registry = self
            .context
            .config
            .as_ref()
            .and_then(|config| config.registry.as_ref());
        facts.route = Some(Route {
            host: host.clone(),
            name: known.map_or_else(|| host.name().to_owned(), |way| way.name.clone()),
            port: known.map_or_else(|| host.port().unwrap_or(443), |way| way.port),
            plain_http: known.is_some_and(|way| way.plain_http),
            fallback: matches!(self.who, Who::Node { fallback: true, .. }),
            proxy: known.and_then(|way| way.proxy.clone()),
            identity: match self.who {
                Who::Configured => known
                    .and_then(|way| way.entry.clone().filter(|_| way.identity))
                    .map(Identity::Entry),
                Who::Node { secret, .. } => secret.clone().map(Identity::PullSecret),
            },
            extra_ca: known.is_some_and(|way| way.extra_ca),
            own: registry.is_some_and(|registry| lookup::is_own(registry, host)),
            embedded: registry.map(|registry| registry.listen),
        });
        way.map_err(|error| facts.login = Some(Err(Fault::from(&error))))
            .ok()
    }

    /// Name, connection, TLS: of the registry, or of the proxy before it.
    async fn network(&self, facts: &mut Facts, way: &Way) -> Option<()> {
        let proxy = way.proxy.as_deref().and_then(|proxy| proxy.rsplit_once(':'));
        let (name, port) = match proxy {
            Some((name, port)) => (name.trim_matches(['[', ']']), port.parse().ok()?),
            None => (way.name.as_str(), way.port),
        };
        let names = self.limited(network::resolve(name, port, self.step)).await;
        let names = names.and_then(|addresses| allowed(addresses, name));
        let addresses = names.as_ref().ok().cloned();
        facts.names = Some(names);
        let (connects, stream) = network::connect(&addresses?, port, self.step).await;
        facts.connects = connects;
        let stream = stream?;
        if way.plain_http || way.proxy.is_some() {
            return Some(());
        }
        let host = &self.reference.host;
        let greeted =
            network::handshake(way.trust.clone(), &way.name, host.as_str(), stream, self.step).await;
        let good = greeted.is_ok();
        facts.handshake = Some(greeted);
        good.then_some(())
    }

    /// The registry wants a login: by the configured identity, or as everybody.
    async fn login(&self, facts: &mut Facts) -> Option<()> {
        let scope = Scope {
            repository: Some(self.reference.repository.clone()),
            ..Scope::default()
        };
        let host = &self.reference.host;
        let request = RegistryRequest::new("log in", Method::GET, "/v2/", scope);
        let sent = self
            .within(host, "log in", self.client.send(host, request))
            .await
            .map(drop);
        // These may be said of `/v2/` and not of the image: its manifest decides.
        let go_on = match &sent {
            Ok(()) => true,
            Err(fault) => matches!(
                fault.kind,
                ErrorKind::LoginRequired | ErrorKind::Denied | ErrorKind::NotARegistry
            ),
        };
        facts.login = Some(sent);
        go_on.then_some(())
    }

    /// One page of the repository's tags.
    pub(crate) async fn tags(&self) -> Result<Tags, Fault> {
        let repository = self.reference.repository.clone();
        let scope = Scope {
            repository: Some(repository.clone()),
            ..Scope::default()
        };
        let path = format!("/v2/{repository}/tags/list?n=1000");
        let request = RegistryRequest::new("list tags", Method::GET, path, scope);
        let host = &self.reference.host;
        let asked = async {
            let body = self.client.send(host, request).await?.bytes(TAG_PAGE).await?;
            serde_json::from_slice::<TagPage>(&body).map_err(|error| {
                RegistryError::new(ErrorKind::Malformed, host.as_str(), "list tags").caused_by(error)
            })
        };
        let page = self.within(host, "list tags", asked).await?;
        Ok(Tags {
            names: page.tags.unwrap_or_default(),
        })
    }

    /// A step of the registry client, within the deadline of the whole.
    pub(crate) async fn within<T>(
        &self,
        host: &RegistryHost,
        operation: &str,
        step: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, Fault> {
        match timeout_at(self.end, step).await {
            Ok(done) => done.map_err(|error| Fault::from(&error)),
            Err(_) => Err(self.too_late(host.as_str(), operation)),
        }
    }

    async fn limited<T>(&self, step: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        timeout_at(self.end, step)
            .await
            .unwrap_or_else(|_| Err(self.too_late(self.reference.host.as_str(), "resolve the name")))
    }

    /// What is said when the whole took too long.
    pub(crate) fn too_late(&self, place: &str, operation: &str) -> Fault {
        let words = "no answer before the diagnosis had to end";
        Fault::new(ErrorKind::Timeout, place, operation, words)
    }

    /// The end of the whole.
    pub(crate) fn end(&self) -> Instant {
        self.end
    }
}

#[derive(Deserialize)]
struct TagPage {
    tags: Option<Vec<String>>,
}

/// The client refuses metadata services and the like; so does this.
fn allowed(addresses: Vec<IpAddr>, name: &str) -> Result<Vec<IpAddr>, Fault> {
    for address in &addresses {
        if let Err(refused) = Reach::Local.check(*address) {
            let words = refused.to_string();
            return Err(Fault::new(ErrorKind::OriginRefused, name, "connect", &words));
        }
    }
    Ok(addresses)
}

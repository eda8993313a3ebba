//! One request: what it names, who asks, whether that is allowed, and the endpoint that answers.

use http::header::{AUTHORIZATION, USER_AGENT, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use syncd_config::Repository;
use syncd_config::config::AnonymousPull;
use syncd_config::reference::Target;

use super::auth::{Caller, Visibility, Wish, allow, open};
use super::body::ReplyBody;
use super::error::{CHALLENGE, Code, Refusal};
use super::path::{self, Query, Route, RouteClass};
use super::push::{self, Pusher};
use super::{Registry, blobs, manifests, tags, waiting};
use crate::images::mapping;

type Answer = Result<Response<ReplyBody>, Refusal>;

/// Old clients take a server without it for something else (docker, "API Version Check").
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// A request without its body.
struct Ask<'a> {
    parts: &'a Parts,
    query: &'a Query,
    /// The connection has a node's certificate.
    node: bool,
}

impl Ask<'_> {
    fn reads(&self) -> bool {
        matches!(self.parts.method, Method::GET | Method::HEAD)
    }

    fn is_head(&self) -> bool {
        self.parts.method == Method::HEAD
    }
}

/// Whether the client decides by the answer to its ping whether it will ever log in. Where pulls are
/// anonymous that answer is 200, and such a client could not push; so it is told that a login exists
/// (RFC 9110, 11.6.1 allows the challenge beside a 200).
///
/// Only skopeo is told, whose login is the one that its user gave for this host. CRI-O is built on
/// the same library and would answer with the pod's upstream secret.
fn logs_in_by_ping(headers: &HeaderMap) -> bool {
    let agent = headers.get(USER_AGENT).map(HeaderValue::as_bytes);
    agent.is_some_and(|agent| agent.starts_with(b"skopeo/"))
}

impl Registry {
    /// Answers one request. Never fails: what goes wrong is an answer.
    pub(crate) async fn answer(&self, request: Request<Incoming>, node: bool) -> Response<ReplyBody> {
        let (parts, body) = request.into_parts();
        let mut class = RouteClass::Other;
        let outcome = match path::parse(parts.uri.path()) {
            Ok(route) => {
                class = route.class();
                self.routed(route, &parts, body, node).await
            }
            Err(refusal) => Err(refusal),
        };
        let mut response = outcome.unwrap_or_else(Refusal::into_response);
        response
            .headers_mut()
            .insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        self.metrics.count(&parts.method, class, response.status());
        // The path only: a query or a header may hold what is nobody's business.
        tracing::debug!(
            method = %parts.method,
            path = %syncd_config::text::clean(parts.uri.path()),
            status = response.status().as_u16(),
            "registry: answered"
        );
        response
    }

    async fn routed(&self, route: Route, parts: &Parts, body: Incoming, node: bool) -> Answer {
        let query = path::query(parts.uri.query().unwrap_or_default())?;
        let ask = Ask {
            parts,
            query: &query,
            node,
        };
        match route {
            Route::Ping => self.ping(&ask).await,
            Route::Catalog => self.catalog(&ask).await,
            Route::Manifest { name, target } => self.manifest(&ask, &name, &target, body).await,
            Route::Uploads { name } => match ask.parts.method {
                Method::POST => push::begin(self, &self.pusher(&ask, &name).await?, &query, body).await,
                _ => Err(Refusal::method("POST")),
            },
            Route::Upload { name, session } => self.upload(&ask, &name, &session, body).await,
            _ if !ask.reads() => Err(Refusal::method("GET, HEAD")),
            Route::Blob { name, digest } => {
                let repository = self.readable(&ask, &name).await?;
                blobs::get(self, &repository, &digest, &parts.headers, ask.is_head())
            }
            Route::Tags { name } => {
                let repository = self.readable(&ask, &name).await?;
                tags::tags(self, &repository, &name, &query).await
            }
            // "404: the registry does not support it", and clients keep referrers under a tag
            // (distribution-spec, "Unavailable Referrers API").
            Route::Referrers { name, .. } => {
                self.readable(&ask, &name).await?;
                Err(Refusal::not_found(
                    Code::Unsupported,
                    "the referrers API is not supported",
                ))
            }
        }
    }

    async fn ping(&self, ask: &Ask<'_>) -> Answer {
        if !ask.reads() {
            return Err(Refusal::method("GET, HEAD"));
        }
        let caller = self.caller(ask, Wish::Ping).await?;
        let mut response = tags::json(&serde_json::Map::new())?;
        if caller == Caller::Anonymous && logs_in_by_ping(&ask.parts.headers) {
            response.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
        }
        Ok(response)
    }

    async fn catalog(&self, ask: &Ask<'_>) -> Answer {
        if !ask.reads() {
            return Err(Refusal::method("GET, HEAD"));
        }
        self.caller(ask, Wish::Catalog).await?;
        tags::catalog(self, ask.query).await
    }

    async fn manifest(&self, ask: &Ask<'_>, name: &str, target: &manifests::Named, body: Incoming) -> Answer {
        match ask.parts.method {
            Method::GET | Method::HEAD => {
                let repository = self.readable(ask, name).await?;
                manifests::get(self, &repository, target, &ask.parts.headers, ask.is_head())
            }
            Method::PUT => {
                let pusher = self.pusher(ask, name).await?;
                manifests::put(self, &pusher.repository, target, &ask.parts.headers, body).await
            }
            Method::DELETE => {
                let pusher = self.pusher(ask, name).await?;
                self.delete(pusher.repository, target).await
            }
            _ => Err(Refusal::method("GET, HEAD, PUT, DELETE")),
        }
    }

    async fn delete(&self, repository: Repository, target: &manifests::Named) -> Answer {
        let (store, target) = (self.store.clone(), target.clone());
        let gone = waiting(move || match target {
            Ok(Target::Digest(digest)) => store.delete_manifest(&repository, &digest),
            Ok(Target::Tag(tag)) => store.delete_tag(&repository, &tag),
            Err(_) => Ok(false),
        });
        if !gone.await? {
            return Err(Refusal::not_found(
                Code::ManifestUnknown,
                "no such tag or digest in this repository",
            ));
        }
        let mut response = Response::new(ReplyBody::Empty);
        *response.status_mut() = StatusCode::ACCEPTED;
        Ok(response)
    }

    async fn upload(&self, ask: &Ask<'_>, name: &str, session: &str, body: Incoming) -> Answer {
        let headers = &ask.parts.headers;
        match ask.parts.method {
            Method::PATCH => push::chunk(self, &self.pusher(ask, name).await?, session, headers, body).await,
            Method::PUT => {
                let pusher = self.pusher(ask, name).await?;
                push::finish(self, &pusher, session, (ask.query, headers), body).await
            }
            Method::GET => push::status(self, &self.pusher(ask, name).await?, session),
            Method::DELETE => push::cancel(self, &self.pusher(ask, name).await?, session),
            _ => Err(Refusal::method("GET, PATCH, PUT, DELETE")),
        }
    }

    /// Who asks, when it is allowed.
    async fn caller(&self, ask: &Ask<'_>, wish: Wish) -> Result<Caller, Refusal> {
        let access = self.access();
        let caller = access
            .caller(ask.parts.headers.get(AUTHORIZATION), ask.node, wish)
            .await?;
        allow(access.policy, wish, &caller)?;
        Ok(caller)
    }

    /// The repository that a reader means, when it may read it.
    async fn readable(&self, ask: &Ask<'_>, name: &str) -> Result<Repository, Refusal> {
        let repository = mapping::lookup_name(name, ask.query.ns.as_deref(), &self.names)
            .map_err(|error| Refusal::bad(Code::NameInvalid, error.to_string()))?;
        let policy = self.access().policy;
        let visibility = match policy {
            // Asked of the disk only where it decides something.
            AnonymousPull::All | AnonymousPull::None => Visibility::Private,
            AnonymousPull::Public => self.visibility(&repository)?,
        };
        if visibility != Visibility::Missing && open(policy, visibility) {
            return Ok(repository);
        }
        let caller = self.caller(ask, Wish::Pull(visibility)).await?;
        // Blobs may be there before the first manifest, and whether that will be public is not
        // known yet: a stranger sees nothing of it.
        let known = matches!(caller, Caller::Node | Caller::User { .. });
        if visibility == Visibility::Missing && !known {
            return Err(Refusal::not_found(Code::NameUnknown, "no such repository"));
        }
        Ok(repository)
    }

    fn visibility(&self, repository: &Repository) -> Result<Visibility, Refusal> {
        Ok(
            match (self.store.is_public(repository), self.exists(repository)?) {
                (_, false) => Visibility::Missing,
                (true, true) => Visibility::Public,
                (false, true) => Visibility::Private,
            },
        )
    }

    /// Who writes, when it may. A writer names the repository itself: with `ns` it would be written
    /// under a name that is another registry's.
    async fn pusher(&self, ask: &Ask<'_>, name: &str) -> Result<Pusher, Refusal> {
        let Caller::User { name: owner, .. } = self.caller(ask, Wish::Push).await? else {
            return Err(Refusal::unauthorized("a login is needed"));
        };
        if ask.query.ns.is_some() {
            return Err(Refusal::bad(
                Code::Unsupported,
                "a push has no ns: name the repository itself",
            ));
        }
        let repository = name
            .parse()
            .map_err(|error: syncd_config::reference::ReferenceError| {
                Refusal::bad(Code::NameInvalid, error.to_string())
            })?;
        Ok(Pusher { repository, owner })
    }
}

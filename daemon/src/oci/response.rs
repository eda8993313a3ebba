//! What a registry answers: a body within bounds, and the places it names, already checked.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::header::{LINK, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use syncd_providers::http::{HttpError, HttpResponse};
use url::Url;

use super::error::{ErrorKind, RegistryError, Shown};
use super::exchange::{Hop, Parts, Registry};
use super::limit::Permit;
use super::origin::Refusal;
use super::store::BlobStream;
use super::wire::of_http;

/// A registry's answer, status 2xx.
pub struct RegistryResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// What the request had to show to the registry itself.
    pub shown: Shown,
    response: HttpResponse,
    place: String,
    operation: &'static str,
    url: Url,
    registry: Arc<Registry>,
    permit: Permit,
}

/// A place on the registry that it named itself (an upload's `Location`, a page's `Link`):
/// resolved, and checked to be at the registry's own origin.
#[derive(Clone)]
pub struct Location(pub(super) Url);

impl RegistryResponse {
    pub(super) fn new(registry: &Arc<Registry>, parts: &Parts, hop: Hop, permit: Permit) -> Self {
        Self {
            status: hop.response.status,
            headers: hop.response.headers.clone(),
            shown: hop.shown,
            place: registry.place_of(&hop.url),
            response: hop.response,
            operation: parts.operation,
            url: hop.url,
            registry: registry.clone(),
            permit,
        }
    }

    /// Who answered, for messages: the registry or a host it redirected to.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The whole body, at most `cap` bytes. Gives the connection back also when it is empty.
    ///
    /// # Errors
    /// A longer or a broken body.
    pub async fn bytes(self, cap: usize) -> Result<Bytes, RegistryError> {
        let body = self.response.bytes(cap).await;
        drop(self.permit);
        body.map_err(|error| of_http(error, &self.place, self.operation))
    }

    /// The body as a stream that fails with [`ErrorKind::TooLarge`] after `size` bytes and with
    /// [`ErrorKind::ConnectionReset`] when it ends before.
    #[must_use]
    pub fn stream(self, size: u64) -> BlobStream {
        let cut = Cut {
            left: size,
            place: self.place,
            operation: self.operation,
            permit: Some(self.permit),
        };
        let body: Body = Box::pin(self.response.stream());
        Box::pin(futures::stream::unfold((cut, Some(body)), next_chunk))
    }

    /// The `Location` of an upload, when there is one.
    ///
    /// # Errors
    /// It is not at the registry's own origin, or no URL.
    pub fn location(&self) -> Result<Option<Location>, RegistryError> {
        let Some(value) = self.headers.get(LOCATION) else {
            return Ok(None);
        };
        self.named(value.to_str().ok(), |text| {
            self.registry.policy().location(&self.url, text)
        })
    }

    /// The `Link` to the next page, when there is one.
    ///
    /// # Errors
    /// It is not at the registry's own origin, or no URL.
    pub fn next_page(&self) -> Result<Option<Location>, RegistryError> {
        let mut links = self.headers.get_all(LINK).iter().filter_map(next_link);
        let Some(link) = links.next() else {
            return Ok(None);
        };
        self.named(Some(link), |text| {
            self.registry.policy().next_page(&self.url, text)
        })
    }

    fn named(
        &self,
        text: Option<&str>,
        check: impl Fn(&str) -> Result<Url, Refusal>,
    ) -> Result<Option<Location>, RegistryError> {
        let fail = |kind, detail: &str| RegistryError::new(kind, &*self.place, self.operation).detail(detail);
        let text = text.ok_or_else(|| fail(ErrorKind::Malformed, "the Location is not text"))?;
        match check(text) {
            Ok(url) => Ok(Some(Location(url))),
            Err(Refusal::NotUrl(named)) => Err(fail(ErrorKind::Malformed, &format!("{named} is not a URL"))),
            Err(refused) => Err(fail(ErrorKind::OriginRefused, &refused.to_string())),
        }
    }
}

/// The target of `<…>; rel="next"` (RFC 8288), the one form that registries send.
fn next_link(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok().filter(|text| text.len() <= 4096)?;
    let (target, parameters) = text.trim().strip_prefix('<')?.split_once('>')?;
    let mut parameters = parameters
        .split(';')
        .map(|p| p.trim().to_ascii_lowercase().replace([' ', '"'], ""));
    parameters
        .any(|parameter| parameter == "rel=next")
        .then_some(target)
}

type Body = std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, HttpError>> + Send>>;

/// What is still to come of a body.
struct Cut {
    left: u64,
    place: String,
    operation: &'static str,
    permit: Option<Permit>,
}

async fn next_chunk(
    (mut cut, body): (Cut, Option<Body>),
) -> Option<(Result<Bytes, RegistryError>, (Cut, Option<Body>))> {
    let mut body = body?;
    let error = match body.next().await {
        Some(Ok(chunk)) if chunk.len() as u64 <= cut.left => {
            cut.left -= chunk.len() as u64;
            return Some((Ok(chunk), (cut, Some(body))));
        }
        Some(Ok(_)) => RegistryError::new(ErrorKind::TooLarge, &*cut.place, cut.operation)
            .detail("more bytes came than the descriptor says"),
        Some(Err(error)) => of_http(error, &cut.place, cut.operation),
        None if cut.left > 0 => RegistryError::new(ErrorKind::ConnectionReset, &*cut.place, cut.operation)
            .detail("fewer bytes came than the descriptor says"),
        None => return None,
    };
    // The connection is given back before the reader gets round to dropping the stream.
    cut.permit = None;
    Some((Err(error), (cut, None)))
}

impl Location {
    /// The same place with one more query parameter, percent-encoded here.
    #[must_use]
    pub fn with_query(mut self, name: &str, value: &str) -> Self {
        self.0.query_pairs_mut().append_pair(name, value);
        self
    }

    /// The path, for keeping and for messages; queries may hold secrets.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.path()
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::{HeaderValue, next_link};

    #[test]
    fn links_to_the_next_page() {
        let long = format!("</v2/{}>; rel=next", "a".repeat(5000));
        for (text, target) in [
            (
                "</v2/a/tags/list?last=x&n=2>; rel=\"next\"",
                Some("/v2/a/tags/list?last=x&n=2"),
            ),
            (" <https://r.example/p> ; rel=next ", Some("https://r.example/p")),
            ("</p>; title=\"x\"; REL = \"Next\"", Some("/p")),
            ("<>; rel=next", Some("")),
            ("</p>; rel=prev", None),
            ("</p>", None),
            ("/p; rel=next", None),
            ("</p; rel=next", None),
            (&long, None),
            ("", None),
        ] {
            assert_eq!(next_link(&HeaderValue::from_str(text).unwrap()), target, "{text}");
        }
    }
}

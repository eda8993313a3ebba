//! The lists: tags of a repository, repositories, and what refers to a manifest.

use http::header::{CONTENT_TYPE, LINK};
use http::{HeaderValue, Response};
use serde::Serialize;
use syncd_config::{Repository, Tag};

use super::blobs::{header, number};
use super::body::ReplyBody;
use super::error::{Code, Refusal};
use super::path::Query;
use super::{Registry, waiting};

/// A page without `n`, and the most that `n` can ask for.
const PAGE: usize = 1000;

#[derive(Serialize)]
struct Tags<'a> {
    name: &'a str,
    tags: &'a [Tag],
}

#[derive(Serialize)]
struct Catalog<'a> {
    repositories: &'a [Repository],
}

/// `name` is the repository as the client calls it: with `ns` it is not the one in the store, and
/// the page's `Link` has to lead the client back here.
pub(crate) async fn tags(
    registry: &Registry,
    repository: &Repository,
    name: &str,
    query: &Query,
) -> Result<Response<ReplyBody>, Refusal> {
    if !registry.exists(repository)? {
        return Err(Refusal::not_found(Code::NameUnknown, "no such repository"));
    }
    let last: Option<Tag> = parsed(query.last.as_deref())?;
    let page = page_size(query.n.as_deref())?;
    let (store, repository) = (registry.store.clone(), repository.clone());
    let mut tags = waiting(move || {
        store.tags(
            &repository,
            last.as_ref().map(Tag::as_str),
            page.saturating_add(1),
        )
    })
    .await?;
    let more = tags.len() > page;
    tags.truncate(page);
    let response = json(&Tags { name, tags: &tags })?;
    match tags.last().filter(|_| more) {
        Some(last) => linked(
            response,
            &format!("/v2/{name}/tags/list"),
            page,
            last.as_str(),
            query,
        ),
        None => Ok(response),
    }
}

pub(crate) async fn catalog(registry: &Registry, query: &Query) -> Result<Response<ReplyBody>, Refusal> {
    let last: Option<Repository> = parsed(query.last.as_deref())?;
    let page = page_size(query.n.as_deref())?;
    let store = registry.store.clone();
    let mut repositories =
        waiting(move || store.repositories(last.as_ref().map(Repository::as_str), page.saturating_add(1)))
            .await?;
    let more = repositories.len() > page;
    repositories.truncate(page);
    let response = json(&Catalog {
        repositories: &repositories,
    })?;
    match repositories.last().filter(|_| more) {
        Some(last) => linked(response, "/v2/_catalog", page, last.as_str(), query),
        None => Ok(response),
    }
}

/// Where a page begins: after a name of the right form, or at the start.
fn parsed<T: std::str::FromStr>(last: Option<&str>) -> Result<Option<T>, Refusal> {
    match last {
        None | Some("") => Ok(None),
        Some(text) => {
            let wrong = |_| Refusal::bad(Code::NameInvalid, "last is not a name of this list");
            text.parse().map(Some).map_err(wrong)
        }
    }
}

fn page_size(n: Option<&str>) -> Result<usize, Refusal> {
    let Some(text) = n else { return Ok(PAGE) };
    let wrong = || Refusal::bad(Code::SizeInvalid, "n is not a number");
    let n = number(text).ok_or_else(wrong)?;
    Ok(usize::try_from(n).map_or(PAGE, |n| n.min(PAGE)))
}

/// With the way to the next page (RFC 8288). A page of none leads nowhere.
fn linked(
    mut response: Response<ReplyBody>,
    path: &str,
    page: usize,
    last: &str,
    query: &Query,
) -> Result<Response<ReplyBody>, Refusal> {
    let mut next = url::form_urlencoded::Serializer::new(String::new());
    next.append_pair("n", &page.to_string()).append_pair("last", last);
    if let Some(ns) = &query.ns {
        next.append_pair("ns", ns);
    }
    let link = header(format!("<{path}?{}>; rel=\"next\"", next.finish()))?;
    response.headers_mut().insert(LINK, link);
    Ok(response)
}

pub(crate) fn json(document: &impl Serialize) -> Result<Response<ReplyBody>, Refusal> {
    let bytes = serde_json::to_vec(document).map_err(|_| Refusal::internal())?;
    let mut response = Response::new(ReplyBody::from(bytes));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_sizes() {
        for (text, expected) in [
            (None, Some(PAGE)),
            (Some("0"), Some(0)),
            (Some("1"), Some(1)),
            (Some("1000"), Some(1000)),
            (Some("1001"), Some(PAGE)),
            (Some("99999999999999999999999999"), Some(PAGE)),
            (Some("-1"), None),
            (Some(""), None),
            (Some("1e3"), None),
        ] {
            assert_eq!(page_size(text).ok(), expected, "{text:?}");
        }
    }
}

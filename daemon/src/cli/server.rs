//! A daemon's report over its status listener, which may be on another machine.

use std::time::Duration;

use syncd_config::config::Proxy;
use syncd_providers::http::{HttpBody, HttpClient, HttpRequest, Profile, Reach, Timeouts};
use url::Url;

use super::exit::Exit;
use super::output::Failure;
use crate::report::DaemonReport;

/// The most bytes of a report that are read.
const CAP: usize = 64 * 1024 * 1024;
const PATH: &str = "/api/v1/report";

/// `GET /api/v1/report` at `server`.
pub(super) async fn report(server: &str) -> Result<DaemonReport, Failure> {
    let url = url_of(server)?;
    let client = HttpClient::new(&Profile {
        ca_file: None,
        plain_http: true,
        proxy: Proxy::Environment,
        reach: Reach::Local,
        timeouts: Timeouts::default(),
    })
    .map_err(|error| Failure::new(Exit::Undecided, error))?;
    let request = HttpRequest {
        method: http::Method::GET,
        url,
        headers: http::HeaderMap::new(),
        body: HttpBody::Empty,
        headers_within: Some(Duration::from_secs(10)),
    };
    let unreachable = |error| {
        Failure::new(Exit::NotReachable, error).hint("is this the `listen` address of a running daemon?")
    };
    let response = client.send(request).await.map_err(unreachable)?;
    if !response.status.is_success() {
        let text = format!(
            "the server answers {} instead of a report",
            response.status.as_u16()
        );
        return Err(Failure::new(Exit::NotReachable, text).hint("is this the `listen` address of syncd?"));
    }
    let body = response.bytes(CAP).await.map_err(unreachable)?;
    serde_json::from_slice(&body).map_err(|error| {
        Failure::new(Exit::Undecided, error).hint("the server is no syncd, or another version of it")
    })
}

/// The report's address below a server's; nothing of it is repeated when it is wrong.
fn url_of(server: &str) -> Result<Url, Failure> {
    let wrong = |why: &str| {
        Failure::new(Exit::Usage, format!("--server: {why}")).hint("write it as http://127.0.0.1:8080")
    };
    let url = Url::parse(server).map_err(|_error| wrong("not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("not an http or https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("a user or password does not belong in it"));
    }
    url.join(PATH).map_err(|_error| wrong("not a URL"))
}

#[cfg(test)]
mod tests {
    use super::url_of;

    #[test]
    fn addresses() {
        for server in ["http://127.0.0.1:8080", "http://127.0.0.1:8080/"] {
            assert_eq!(
                url_of(server).unwrap().as_str(),
                "http://127.0.0.1:8080/api/v1/report"
            );
        }
        for server in ["127.0.0.1:8080", "ftp://a", "http://u:geheim@a/", "", "unix:/x"] {
            let failure = url_of(server).unwrap_err();
            assert!(!failure.error.to_string().contains("geheim"));
        }
    }
}

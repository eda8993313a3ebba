//! Tags and repositories, a page at a time.

use serde_json::json;
use syncd_config::config::AnonymousPull;

use crate::harness::{Request, Server};

#[tokio::test]
async fn tags_come_in_order_and_in_pages() {
    let server = Server::start(AnonymousPull::All).await;
    let manifest = server.put_image("a/b", "seed", b"layer").await;
    for tag in ["c", "A", "b", "10", "9", "_x"] {
        server.put_manifest("a/b", tag, &manifest).await;
    }
    let all = json!(["10", "9", "A", "_x", "b", "c", "seed"]);
    assert_eq!(
        server.get("/v2/a/b/tags/list").await.json(),
        json!({"name": "a/b", "tags": all})
    );
    let mut next = "/v2/a/b/tags/list?n=3".to_owned();
    let mut seen = Vec::new();
    let mut pages = 0;
    while !next.is_empty() {
        let reply = server.get(&next).await;
        seen.extend(reply.json()["tags"].as_array().unwrap().clone());
        let link = reply.header("link");
        next = link
            .strip_prefix('<')
            .and_then(|l| l.strip_suffix(">; rel=\"next\""))
            .unwrap_or_default()
            .to_owned();
        pages += 1;
    }
    assert_eq!((json!(seen), pages), (all, 3));
    for (query, tags, link) in [
        ("?n=0", json!([]), ""),
        ("?n=7", json!(["10", "9", "A", "_x", "b", "c", "seed"]), ""),
        ("?last=c", json!(["seed"]), ""),
        ("?last=zzz", json!([]), ""),
        (
            "?n=1&last=bb",
            json!(["c"]),
            "</v2/a/b/tags/list?n=1&last=c>; rel=\"next\"",
        ),
        (
            "?n=99999999999999999999",
            json!(["10", "9", "A", "_x", "b", "c", "seed"]),
            "",
        ),
    ] {
        let reply = server.get(&format!("/v2/a/b/tags/list{query}")).await;
        assert_eq!(
            (&reply.json()["tags"], reply.header("link")),
            (&tags, link),
            "{query}"
        );
    }
    for query in ["?n=-1", "?n=x", "?last=..%2F..", "?last=%00"] {
        assert_eq!(
            server.get(&format!("/v2/a/b/tags/list{query}")).await.status,
            400,
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_page_with_ns_leads_to_the_next_with_ns() {
    let server = Server::start(AnonymousPull::All).await;
    let manifest = server.put_image("docker.io/library/nginx", "1", b"layer").await;
    server
        .put_manifest("docker.io/library/nginx", "2", &manifest)
        .await;
    let reply = server.get("/v2/library/nginx/tags/list?n=1&ns=docker.io").await;
    assert_eq!(
        reply.header("link"),
        "</v2/library/nginx/tags/list?n=1&last=1&ns=docker.io>; rel=\"next\""
    );
}

#[tokio::test]
async fn the_catalog_is_for_users() {
    let server = Server::start(AnonymousPull::All).await;
    for name in ["b", "a/c", "a"] {
        server.put_image(name, "1", b"layer").await;
    }
    assert_eq!(server.get("/v2/_catalog").await.error(), "401 UNAUTHORIZED");
    let reply = Request::new("GET", "/v2/_catalog?n=2")
        .user("reader")
        .send(&server)
        .await;
    assert_eq!(reply.json(), json!({"repositories": ["a", "a/c"]}));
    assert_eq!(
        reply.header("link"),
        "</v2/_catalog?n=2&last=a%2Fc>; rel=\"next\""
    );
    let reply = Request::new("GET", "/v2/_catalog?n=2&last=a%2Fc")
        .user("reader")
        .send(&server)
        .await;
    assert_eq!(
        (reply.json(), reply.header("link")),
        (json!({"repositories": ["b"]}), "")
    );
}

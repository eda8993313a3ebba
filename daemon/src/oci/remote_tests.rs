//! One registry over HTTP, answer by answer.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::super::quirks::Upload;
use super::super::scripted::{Asked, Scripted, answer, broken, client};
use super::*;
use crate::images::samples;

const BLOB: &[u8] = b"hello world";
const MANIFEST: &[u8] = br#"{"schemaVersion":2,"manifests":[]}"#;

fn repository() -> Repository {
    "lib/x".parse().unwrap()
}

fn descriptor() -> Descriptor {
    samples::descriptor("application/octet-stream", BLOB)
}

fn content(parts: &[&'static [u8]]) -> BlobStream {
    let parts: Vec<_> = parts.iter().map(|p| Ok(Bytes::from_static(p))).collect();
    stream::iter(parts).boxed()
}

async fn remote(
    answer: impl Fn(&Asked) -> axum::response::Response + Send + Sync + 'static,
) -> (Scripted, Remote) {
    let registry = Scripted::start(answer).await;
    let client = client(&[&registry.host]).without_retries();
    let remote = Remote::destination(client, registry.host.clone());
    (registry, remote)
}

#[tokio::test]
async fn a_manifest_head_needs_a_digest_and_reads_the_manifest_without() {
    let digest = Digest::sha256(MANIFEST);
    let told = digest.to_string();
    let (registry, remote) = remote(move |asked| match (asked.method.as_str(), asked.uri.as_str()) {
        ("HEAD", "/v2/lib/x/manifests/told") => answer(200, &[("docker-content-digest", &told)], ""),
        ("HEAD", "/v2/lib/x/manifests/untold") => answer(200, &[], ""),
        ("GET", "/v2/lib/x/manifests/untold") => {
            answer(200, &[("content-type", "x/y; charset=utf-8")], MANIFEST)
        }
        ("HEAD", "/v2/lib/x/manifests/odd") => answer(200, &[("docker-content-digest", "sha256:../x")], ""),
        _ => answer(404, &[], ""),
    })
    .await;
    let head = async |tag: &str| remote.head(&repository(), &tag.parse().unwrap()).await;
    assert_eq!(head("told").await.unwrap().unwrap().digest, digest);
    let untold = head("untold").await.unwrap().unwrap();
    assert_eq!(
        (untold.digest, untold.media_type.as_deref()),
        (digest, Some("x/y"))
    );
    assert_eq!(head("odd").await.unwrap_err().kind(), ErrorKind::Malformed);
    assert_eq!(head("absent").await.unwrap(), None);
    assert_eq!(registry.asked().len(), 5);
    let accepts: Vec<_> = registry
        .asked()
        .iter()
        .map(|a| a.header("accept").unwrap().to_owned())
        .collect();
    assert!(
        accepts.iter().all(|accept| *accept == accepts[0]),
        "one Accept for HEAD and GET"
    );
}

#[tokio::test]
async fn a_registry_that_answers_for_another_digest_is_not_believed() {
    let other = Digest::sha256(b"other").to_string();
    let (_registry, remote) = remote(move |_| answer(201, &[("docker-content-digest", &other)], "")).await;
    let manifest = Manifest {
        bytes: Bytes::from_static(MANIFEST),
        media_type: graph::OCI_INDEX.to_owned(),
        digest: Digest::sha256(MANIFEST),
    };
    let target = Target::Digest(manifest.digest.clone());
    let head = remote.head(&repository(), &target).await;
    assert_eq!(head.unwrap_err().kind(), ErrorKind::Integrity);
    let put = remote.put_manifest(&repository(), &manifest, None).await;
    assert_eq!(put.unwrap_err().kind(), ErrorKind::Integrity);
}

#[tokio::test]
async fn a_manifest_is_hashed_against_what_was_asked_for() {
    let other = Digest::sha256(b"other").to_string();
    let right = Digest::sha256(MANIFEST).to_string();
    let asked_for = other.clone();
    let (_registry, remote) = remote(move |asked| {
        let name = asked.uri.rsplit('/').next().unwrap();
        match name {
            // A lying header beside content of another digest than the one asked for (B2).
            name if name == other => answer(
                200,
                &[("docker-content-digest", name), ("content-type", "x/y")],
                MANIFEST,
            ),
            "lies" => answer(
                200,
                &[("docker-content-digest", &other), ("content-type", "x/y")],
                MANIFEST,
            ),
            "bare" => answer(200, &[], MANIFEST),
            "html" => answer(
                200,
                &[("content-type", "text/html")],
                "<html>please log in</html>",
            ),
            "big" => answer(200, &[("content-type", "x/y")], vec![b' '; (4 << 20) + 1]),
            _ => answer(
                200,
                &[("docker-content-digest", &right), ("content-type", "x/y")],
                MANIFEST,
            ),
        }
    })
    .await;
    let get = async |name: &str| remote.manifest(&repository(), &name.parse().unwrap()).await;
    assert_eq!(get(&asked_for).await.unwrap_err().kind(), ErrorKind::Integrity);
    assert_eq!(get("lies").await.unwrap_err().kind(), ErrorKind::Integrity);
    assert_eq!(get("html").await.unwrap_err().kind(), ErrorKind::NotARegistry);
    assert_eq!(get("big").await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(get("bare").await.unwrap().media_type, graph::OCI_INDEX);
    let good = get("good").await.unwrap();
    assert_eq!((good.bytes.as_ref(), good.media_type.as_str()), (MANIFEST, "x/y"));
}

#[tokio::test]
async fn a_blob_is_read_on_from_an_offset_even_where_range_is_ignored() {
    let (registry, remote) = remote(|asked| {
        let ranged = asked.header("range") == Some("bytes=6-");
        match (asked.uri.split('/').nth(3).unwrap(), ranged) {
            ("good", true) => answer(206, &[("content-range", "bytes 6-10/11")], &BLOB[6..]),
            ("shifted", true) => answer(206, &[("content-range", "bytes 5-10/11")], &BLOB[5..]),
            ("longer", true) => answer(206, &[("content-range", "bytes 6-10/12")], &BLOB[6..]),
            ("longer", false) => answer(200, &[], &b"hello world!"[..]),
            _ => answer(200, &[], BLOB),
        }
    })
    .await;
    let read = async |name: &str, offset| {
        let repository = format!("lib/{name}").parse().unwrap();
        let stream = remote
            .blob(&repository, &descriptor(), offset)
            .await
            .map_err(|e| e.kind())?;
        let parts: Vec<Bytes> = stream.try_collect().await.map_err(|e| e.kind())?;
        Ok::<_, ErrorKind>(String::from_utf8(parts.concat()).unwrap())
    };
    assert_eq!(read("good", 0).await.unwrap(), "hello world");
    assert_eq!(read("good", 6).await.unwrap(), "world");
    assert_eq!(read("ignored", 6).await.unwrap(), "world");
    assert_eq!(read("shifted", 6).await, Err(ErrorKind::Integrity));
    assert_eq!(read("longer", 6).await, Err(ErrorKind::Integrity));
    assert_eq!(read("longer", 0).await, Err(ErrorKind::Integrity));
    let asked = registry.asked().len();
    assert_eq!(read("good", 11).await.unwrap(), "");
    assert_eq!(registry.asked().len(), asked, "nothing is left to ask for");
}

#[tokio::test]
async fn a_touch_finds_lost_short_and_shrunk_blobs() {
    let (registry, remote) = remote(|asked| {
        let last = asked.header("range") == Some("bytes=10-10");
        let name = asked.uri.split('/').nth(3).unwrap();
        match (asked.method.as_str(), name) {
            ("HEAD", "empty") => answer(200, &[("content-length", "0")], ""),
            ("GET", "good") if last => answer(206, &[("content-range", "bytes 10-10/11")], "d"),
            ("GET", "ignores-range") => answer(200, &[], BLOB),
            ("GET", "ignores-range-short") => answer(200, &[], &BLOB[1..]),
            // docker-registry after its garbage collection raced a push: HEAD 200, no content.
            ("GET", "lost") => answer(
                206,
                &[("content-range", "bytes 10-10/11"), ("content-length", "1")],
                broken(b""),
            ),
            ("GET", "grown") => answer(206, &[("content-range", "bytes 10-10/12")], "d"),
            ("GET", "cut") => answer(416, &[("content-range", "bytes */5")], ""),
            ("GET", "two-bytes") => answer(206, &[("content-range", "bytes 10-10/11")], "dd"),
            ("GET", "down") => answer(503, &[], ""),
            _ => answer(404, &[], ""),
        }
    })
    .await;
    let touch = async |name: &str, blob: &[u8]| {
        let repository = format!("lib/{name}").parse().unwrap();
        let blob = samples::descriptor("x", blob);
        remote.touch_blob(&repository, &blob).await.map_err(|e| e.kind())
    };
    for (name, expected) in [
        ("good", Ok(Touch::Good)),
        ("ignores-range", Ok(Touch::Good)),
        ("ignores-range-short", Ok(Touch::Damaged)),
        ("lost", Ok(Touch::Damaged)),
        ("grown", Ok(Touch::Damaged)),
        ("cut", Ok(Touch::Damaged)),
        ("two-bytes", Ok(Touch::Damaged)),
        ("absent", Ok(Touch::Missing)),
        ("down", Err(ErrorKind::ServerError)),
    ] {
        assert_eq!(touch(name, BLOB).await, expected, "{name}");
    }
    assert_eq!(touch("empty", b"").await, Ok(Touch::Good));
    assert_eq!(touch("absent", b"").await, Ok(Touch::Missing));
    let good = registry.asked().iter().filter(|a| a.uri.contains("good")).count();
    assert_eq!(good, 1, "one request and one byte");
}

#[tokio::test]
async fn a_blob_goes_in_two_requests() {
    let (registry, remote) = remote(|asked| match asked.method.as_str() {
        "POST" => answer(202, &[("location", "/up/1?state=a%2Bb")], ""),
        _ => answer(201, &[], ""),
    })
    .await;
    remote
        .put_blob(&repository(), &descriptor(), content(&[b"hello ", b"world"]))
        .await
        .unwrap();
    let empty = samples::descriptor("x", b"");
    remote
        .put_blob(&repository(), &empty, content(&[]))
        .await
        .unwrap();
    let query = |d: &Digest| d.to_string().replace(':', "%3A");
    assert_eq!(
        registry.lines(),
        [
            "POST /v2/lib/x/blobs/uploads/".to_owned(),
            format!("PUT /up/1?state=a%2Bb&digest={}", query(&descriptor().digest)),
            "POST /v2/lib/x/blobs/uploads/".to_owned(),
            format!("PUT /up/1?state=a%2Bb&digest={}", query(&empty.digest)),
        ]
    );
    let put = &registry.asked()[1];
    assert_eq!(put.body.as_deref(), Some(BLOB));
    assert_eq!(put.header("content-length"), Some("11"));
    assert_eq!(put.header("content-type"), Some("application/octet-stream"));
}

#[tokio::test]
async fn a_corrupt_source_breaks_the_upload_and_ends_the_session() {
    let (registry, remote) = remote(|asked| match asked.method.as_str() {
        "POST" => answer(202, &[("location", "/up/1")], ""),
        "DELETE" => answer(204, &[], ""),
        _ => answer(201, &[], ""),
    })
    .await;
    for parts in [
        &[b"hello ".as_slice(), b"w0rld"][..],
        &[b"hello "],
        &[b"hello world!"],
    ] {
        let error = remote
            .put_blob(&repository(), &descriptor(), content(parts))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity);
    }
    let asked = registry.asked();
    assert!(
        asked.iter().all(|a| a.method != "PUT" || a.body.is_none()),
        "no PUT came whole"
    );
    assert_eq!(asked.iter().filter(|a| a.method == "DELETE").count(), 3);
    assert!(
        asked
            .iter()
            .filter(|a| a.method == "DELETE")
            .all(|a| a.uri == "/up/1")
    );
}

#[tokio::test]
async fn a_mount_that_became_a_session_is_used_and_every_refusal_means_send_it() {
    for (status, sessions) in [
        (201, 0),
        (202, 1),
        (400, 0),
        (404, 0),
        (405, 0),
        (403, 0),
        (500, 0),
    ] {
        let (registry, remote) =
            remote(
                move |asked| match (asked.method.as_str(), asked.uri.contains("mount=")) {
                    ("POST", true) => answer(status, &[("location", "/up/mount")], ""),
                    ("POST", false) => answer(202, &[("location", "/up/own")], ""),
                    ("DELETE", _) => answer(204, &[], ""),
                    _ => answer(201, &[], ""),
                },
            )
            .await;
        let from = "lib/y".parse().unwrap();
        let mounted = remote
            .mount_blob(&repository(), &descriptor(), &from)
            .await
            .unwrap();
        assert_eq!(mounted, status == 201, "{status}");
        let line = registry.lines().remove(0);
        assert_eq!(
            line,
            format!(
                "POST /v2/lib/x/blobs/uploads/?mount={}&from=lib/y",
                descriptor().digest
            )
        );
        if status == 201 {
            continue;
        }
        remote
            .put_blob(&repository(), &descriptor(), content(&[BLOB]))
            .await
            .unwrap();
        let posts = registry.asked().iter().filter(|a| a.method == "POST").count();
        assert_eq!(posts, 2 - sessions, "{status}");
        remote
            .mount_blob(&repository(), &descriptor(), &from)
            .await
            .unwrap();
        remote.end_sessions().await;
        let deletes = registry
            .lines()
            .iter()
            .filter(|l| *l == "DELETE /up/mount")
            .count();
        assert_eq!(deletes, sessions, "{status}: an unused session is ended");
    }
}

#[tokio::test]
async fn quirks_send_in_patches() {
    for (upload, ranges) in [
        (Upload::OnePatch, vec![None]),
        (Upload::Chunked(4), vec![Some("0-3"), Some("4-7"), Some("8-10")]),
    ] {
        let end = AtomicU32::new(0);
        let (registry, mut remote) = remote(move |asked| match asked.method.as_str() {
            "PATCH" => {
                let length = u32::try_from(asked.body.as_ref().unwrap().len()).unwrap();
                let kept = end.fetch_add(length, Ordering::Relaxed) + length;
                answer(
                    202,
                    &[
                        ("location", &format!("/up/{kept}")),
                        ("range", &format!("0-{}", kept - 1)),
                    ],
                    "",
                )
            }
            "POST" => answer(202, &[("location", "/up/0")], ""),
            _ => answer(201, &[], ""),
        })
        .await;
        remote.quirks = Quirks { upload };
        remote
            .put_blob(&repository(), &descriptor(), content(&[b"hel", b"lo worl", b"d"]))
            .await
            .unwrap();
        let asked = registry.asked();
        let patches: Vec<_> = asked.iter().filter(|a| a.method == "PATCH").collect();
        let got: Vec<_> = patches.iter().map(|a| a.header("content-range")).collect();
        assert_eq!(got, ranges);
        let sent: Vec<_> = patches.iter().map(|a| a.body.clone().unwrap()).collect();
        assert_eq!(sent.concat(), BLOB);
        assert!(asked.last().unwrap().uri.starts_with("/up/11?digest="));
    }
}

#[tokio::test]
async fn an_immutable_tag_with_the_same_digest_is_fine() {
    let manifest = Manifest {
        bytes: Bytes::from_static(MANIFEST),
        media_type: graph::OCI_INDEX.to_owned(),
        digest: Digest::sha256(MANIFEST),
    };
    for same in [true, false] {
        let told = if same {
            Digest::sha256(MANIFEST)
        } else {
            Digest::sha256(b"other")
        }
        .to_string();
        let (_registry, remote) = remote(move |asked| match asked.method.as_str() {
            "PUT" => answer(405, &[], ""),
            _ => answer(200, &[("docker-content-digest", &told)], ""),
        })
        .await;
        let tag = "1".parse().unwrap();
        let put = remote.put_manifest(&repository(), &manifest, Some(&tag)).await;
        assert_eq!(
            put.map_err(|e| e.kind()),
            if same {
                Ok(())
            } else {
                Err(ErrorKind::WriteRefused)
            }
        );
    }
}

#[tokio::test]
async fn tags_come_page_by_page_and_a_circle_ends() {
    let (registry, remote) = remote(|asked| match asked.uri.as_str() {
        "/v2/lib/x/tags/list?n=1000" => answer(
            200,
            &[("link", "</v2/lib/x/tags/list?last=b>; rel=\"next\"")],
            r#"{"tags":["a","b"]}"#,
        ),
        "/v2/lib/x/tags/list?last=b" => answer(200, &[], r#"{"tags":["c","not a tag"]}"#),
        "/v2/lib/none/tags/list?n=1000" => answer(200, &[], r#"{"tags":null}"#),
        _ => answer(
            200,
            &[("link", "</v2/lib/circle/tags/list?last=a>; rel=\"next\"")],
            r#"{"tags":["a"]}"#,
        ),
    })
    .await;
    let tags = async |name: &str| remote.tags(&format!("lib/{name}").parse().unwrap()).await;
    assert_eq!(
        tags("x")
            .await
            .unwrap()
            .iter()
            .map(Tag::as_str)
            .collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
    assert_eq!(tags("none").await.unwrap(), []);
    assert_eq!(tags("circle").await.unwrap_err().kind(), ErrorKind::Malformed);
    assert_eq!(registry.asked().len(), 5);
}

//! The stores on real files and on an API of a few lines.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

const CANARY: &str = "canary-0815-last-good";

fn good(name: &str, secret: &str) -> Good {
    Good {
        name: name.to_owned(),
        host: "r.example:5000".parse().unwrap(),
        identity: "basic: bot, password in /etc/syncd/hub".to_owned(),
        username: "bot".to_owned(),
        secret: Secret::new(format!("{CANARY}-{secret}")),
        expires: Expiry::Known("2026-05-01T22:00:00Z".parse().unwrap()),
        minted: "2026-05-01T10:00:00.123456789Z".parse().unwrap(),
        proven: None,
    }
}

fn all(goods: &[Good]) -> LastGood {
    goods
        .iter()
        .map(|good| (good.name.clone(), good.clone()))
        .collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Names that no file name and no key could take as they are.
const ODD: [&str; 6] = ["[::1]:5000", "a_b", "..", ".hidden", "A.example:5000", "a--b"];

/// What every store does. `spoil` puts something else in the place of an entry's token.
async fn conforms(store: &LastGoodStore, spoil: impl Fn(&str, &str)) {
    assert_eq!(store.load().await.unwrap(), LastGood::new(), "nothing yet");
    store.save(&LastGood::new()).await.unwrap();
    store.retain(&names(&[])).await.unwrap();

    let mut odd: Vec<Good> = ODD.iter().map(|name| good(name, "odd")).collect();
    odd.push(good(&"x".repeat(253), "long"));
    odd.push(good(&format!("{}y", "x".repeat(252)), "long too"));
    odd[1].expires = Expiry::Unknown;
    odd[2].proven = Some(odd[2].minted);
    odd[3].secret = Secret::new("\"\\ \u{1f511} \u{7f}");
    store.save(&all(&odd)).await.unwrap();
    assert_eq!(store.load().await.unwrap(), all(&odd));

    // What is kept already stays, what is new goes in its place, the others are not touched.
    let newer = good("a_b", "newer");
    store
        .save(&all(&[newer.clone(), good("more", "1")]))
        .await
        .unwrap();
    odd[1] = newer;
    odd.push(good("more", "1"));
    assert_eq!(store.load().await.unwrap(), all(&odd));

    // One that is spoilt is named, and hides and harms no other.
    for spoilt in [
        "".to_owned(),
        "[]".to_owned(),
        format!("{{\"version\":1,\"secret\":\"{CANARY}\"}}"),
        format!("{{\"version\":1,\"secret\":[\"{CANARY}"),
        CANARY.to_owned(),
        whole("more").replace("\"name\":\"more\"", "\"name\":\"..\""),
        whole("more").replace("r.example", "R.example"),
        whole("more").replace(&format!("{CANARY}-x"), ""),
        whole("more").replace("\"version\":1", "\"version\":1,\"more\":1"),
    ] {
        spoil("more", &spoilt);
        let error = store.load().await.unwrap_err();
        assert_eq!(error.kind(), TokenStoreErrorKind::Malformed, "{spoilt}");
        let text = format!("{error} {error:?} {:?}", error.hint());
        assert!(text.contains("more.json") && !text.contains(CANARY), "{text}");
        let Stored { good: rest, problems } = store.read().await.unwrap();
        assert_eq!((rest.len(), problems.len()), (odd.len() - 1, 1));
        store.retain(&names(&ODD)).await.unwrap();
        assert_eq!(
            store.read().await.unwrap().problems.len(),
            1,
            "not ours to remove"
        );
        store.save(&all(&odd)).await.unwrap();
        assert_eq!(
            store.load().await.unwrap(),
            all(&odd),
            "there is a better one now"
        );
    }

    // One of a newer syncd is not written over; the others are.
    spoil("more", "{\"version\":2,\"all\":\"different\"}");
    let mut later = odd.clone();
    later[0] = good(ODD[0], "later");
    later.last_mut().unwrap().secret = Secret::new("other");
    let error = store.save(&all(&later)).await.unwrap_err();
    assert!(
        matches!(error, TokenStoreError::Newer { version: 2, .. }),
        "{error}"
    );
    let Stored { good: rest, problems } = store.read().await.unwrap();
    assert_eq!(rest[ODD[0]], later[0]);
    assert!(
        matches!(problems[..], [TokenStoreError::Newer { .. }]),
        "{problems:?}"
    );

    spoil("more", &whole("more"));
    store.retain(&names(&["more", "a_b"])).await.unwrap();
    let left: Vec<String> = store.load().await.unwrap().into_keys().collect();
    assert_eq!(left, ["a_b", "more"]);

    let mut huge = good("huge", "");
    huge.secret = Secret::new("x".repeat(300_000));
    let error = store.save(&all(&[huge])).await.unwrap_err();
    assert_eq!(error.kind(), TokenStoreErrorKind::TooLarge);
}

fn whole(name: &str) -> String {
    let bytes = form::bytes(&good(name, "x"), "here").unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_folder_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("state/tokens");
    let store = LastGoodStore::Folder(folder.clone());
    conforms(&store, |name, text| {
        let path = folder.join(format!("{name}.json"));
        fs::write(path, text).unwrap();
    })
    .await;
}

#[tokio::test]
async fn files_are_for_nobody_else_and_written_only_when_different() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("tokens");
    let store = LastGoodStore::Folder(folder.clone());
    store.save(&all(&[good("a", "1"), good("b", "1")])).await.unwrap();
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    let inode = |name: &str| {
        let metadata = fs::metadata(folder.join(name)).unwrap();
        assert_eq!(metadata.mode() & 0o777, 0o600);
        metadata.ino()
    };
    let before = (inode("a.json"), inode("b.json"));
    store.save(&all(&[good("a", "1"), good("b", "1")])).await.unwrap();
    assert_eq!((inode("a.json"), inode("b.json")), before);
    store.save(&all(&[good("a", "1"), good("b", "2")])).await.unwrap();
    assert_eq!(inode("a.json"), before.0);
    assert_ne!(inode("b.json"), before.1);
    assert_eq!(
        fs::read_dir(&folder).unwrap().count(),
        2,
        "no temporary file stays"
    );
    // The folder of somebody who made it for himself is closed to others.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    store.save(&all(&[good("a", "2")])).await.unwrap();
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn what_others_may_have_written_is_not_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("tokens");
    let store = LastGoodStore::Folder(folder.clone());
    store.save(&all(&[good("a", "1"), good("b", "1")])).await.unwrap();
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let kind = async || store.load().await.unwrap_err().kind();

    set(&folder.join("a.json"), 0o620);
    assert_eq!(kind().await, TokenStoreErrorKind::Untrusted);
    assert_eq!(store.read().await.unwrap().good.len(), 1);
    set(&folder.join("a.json"), 0o600);

    let planted = dir.path().join("planted");
    fs::write(&planted, whole("c")).unwrap();
    symlink(&planted, folder.join("c.json")).unwrap();
    assert_eq!(kind().await, TokenStoreErrorKind::Untrusted);
    // A good one takes the place of the link, not of what it leads to.
    store.save(&all(&[good("c", "mine")])).await.unwrap();
    assert_eq!(fs::read_to_string(&planted).unwrap(), whole("c"));
    assert_eq!(store.load().await.unwrap().len(), 3);

    fs::write(folder.join("d.json"), vec![b'x'; 300_000]).unwrap();
    assert_eq!(kind().await, TokenStoreErrorKind::TooLarge);
    fs::remove_file(folder.join("d.json")).unwrap();

    // A copy of a token under the name of another entry.
    fs::copy(folder.join("a.json"), folder.join("d.json")).unwrap();
    assert_eq!(kind().await, TokenStoreErrorKind::Malformed);
    fs::remove_file(folder.join("d.json")).unwrap();

    set(&folder, 0o770);
    assert_eq!(
        store.read().await.unwrap_err().kind(),
        TokenStoreErrorKind::Untrusted
    );
    let refused = store.save(&all(&[good("a", "2")])).await.unwrap_err();
    assert_eq!(refused.kind(), TokenStoreErrorKind::Untrusted);

    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = LastGoodStore::Folder(file).read().await.unwrap_err();
    assert!(error.to_string().ends_with("it is no folder"), "{error}");
}

#[test]
fn is_for_one_entry_host_and_identity() {
    let entry = crate::oci::scripted::entry(&"r.example:5000".parse().unwrap());
    let mut of_entry = good("r.example:5000", "1");
    let identity = of_entry.identity.clone();
    assert!(of_entry.is_for(&entry, &identity));
    assert!(!of_entry.is_for(&entry, "basic: admin, password in /etc/syncd/hub"));
    of_entry.host = "evil.example".parse().unwrap();
    assert!(!of_entry.is_for(&entry, &identity));
    of_entry = good("other", "1");
    assert!(!of_entry.is_for(&entry, &identity));
    let token = of_entry.token();
    assert_eq!(
        Good::of(&entry, &identity, &token, None),
        good("r.example:5000", "1")
    );
    assert!(!format!("{of_entry:?} {token:?}").contains(CANARY));
}

#[test]
fn two_names_never_become_one() {
    let long = "x".repeat(300);
    let names = [
        "a",
        "A",
        "a_b",
        "a.b",
        ".a",
        "..",
        "_",
        "_5f",
        "__",
        "a/b",
        "a:b",
        "é",
        "e",
        &long,
        &long[1..],
    ];
    let safe: BTreeSet<String> = names.iter().map(|name| form::safe(name)).collect();
    assert_eq!(safe.len(), names.len());
    for safe in safe {
        assert!(safe.len() < 245 && !safe.starts_with('.'), "{safe}");
        assert!(
            safe.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
            "{safe}"
        );
    }
}

/// One secret behind the API, with versions that count.
#[derive(Clone, Default)]
struct Api(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    data: Option<serde_json::Map<String, Value>>,
    version: u64,
    writes: u64,
    /// Writes that somebody else makes right before ours.
    races: u64,
    forbidden: bool,
}

impl Api {
    fn cluster(&self) -> Cluster {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let (status, answer) = api.answer(&parts, &body);
                let answer = Body::from(answer.to_string().into_bytes());
                Ok::<_, std::convert::Infallible>(Response::builder().status(status).body(answer).unwrap())
            }
        });
        Cluster::of_client(kube::Client::new(service, "syncd"), "syncd")
    }

    fn answer(&self, parts: &http::request::Parts, body: &[u8]) -> (StatusCode, Value) {
        let mut inside = self.0.lock().unwrap();
        let secrets = "/api/v1/namespaces/syncd/secrets";
        let failed = |code: u16, reason: &str| {
            let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
                "reason": reason, "message": format!("secrets \"syncd-state\": {reason}"), "details": {}});
            (StatusCode::from_u16(code).unwrap(), status)
        };
        if inside.forbidden {
            return failed(403, "Forbidden");
        }
        if parts.method != http::Method::GET && inside.races > 0 {
            inside.races -= 1;
            inside.version += 1;
            let theirs = BASE64_STANDARD.encode("theirs");
            inside
                .data
                .get_or_insert_default()
                .insert("foreign".to_owned(), json!(theirs));
        }
        let sent: Value = serde_json::from_slice(body).unwrap_or_default();
        if parts.method == http::Method::GET {
            assert_eq!(parts.uri.path(), format!("{secrets}/syncd-state"));
            if inside.data.is_none() {
                return failed(404, "NotFound");
            }
        } else if parts.method == http::Method::POST {
            assert_eq!(sent["type"], "syncd.dev/state");
            if inside.data.is_some() {
                return failed(409, "AlreadyExists");
            }
            inside.data = sent["data"].as_object().cloned();
            (inside.version, inside.writes) = (inside.version + 1, inside.writes + 1);
        } else {
            assert_eq!(parts.method, http::Method::PATCH);
            let named = sent[0]["value"].as_str().and_then(|version| version.parse().ok());
            if named != Some(inside.version) {
                return failed(409, "Conflict");
            }
            inside.data = sent[1]["value"].as_object().cloned();
            (inside.version, inside.writes) = (inside.version + 1, inside.writes + 1);
        }
        let metadata = json!({"name": "syncd-state", "namespace": "syncd", "uid": "u",
            "resourceVersion": inside.version.to_string()});
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "syncd.dev/state",
            "metadata": metadata, "data": inside.data});
        (StatusCode::OK, secret)
    }

    fn put(&self, key: &str, text: &str) {
        let mut inside = self.0.lock().unwrap();
        inside.version += 1;
        let value = json!(BASE64_STANDARD.encode(text));
        inside.data.get_or_insert_default().insert(key.to_owned(), value);
    }

    fn writes(&self) -> u64 {
        self.0.lock().unwrap().writes
    }
}

#[tokio::test]
async fn a_secret_conforms() {
    let api = Api::default();
    let store = LastGoodStore::Secret(api.cluster());
    conforms(&store, |name, text| api.put(&format!("{name}.json"), text)).await;
}

#[tokio::test]
async fn a_secret_is_written_only_when_different_and_from_the_version_that_was_read() {
    let api = Api::default();
    let store = LastGoodStore::Secret(api.cluster());
    store.save(&all(&[good("a", "1")])).await.unwrap();
    store.save(&all(&[good("a", "1")])).await.unwrap();
    store.retain(&names(&["a"])).await.unwrap();
    assert_eq!(api.writes(), 1);
    api.0.lock().unwrap().races = 2;
    store.save(&all(&[good("a", "2"), good("b", "1")])).await.unwrap();
    assert_eq!(api.writes(), 2);
    assert_eq!(
        store.load().await.unwrap(),
        all(&[good("a", "2"), good("b", "1")])
    );
    let inside = api.0.lock().unwrap().data.clone().unwrap();
    assert!(inside.contains_key("foreign"), "what somebody else wrote stays");
    api.0.lock().unwrap().races = 100;
    let error = store.save(&all(&[good("a", "3")])).await.unwrap_err();
    assert_eq!(error.kind(), TokenStoreErrorKind::Cluster);
    assert_eq!(api.writes(), 2);
}

#[tokio::test]
async fn a_secret_that_is_too_large_or_forbidden_says_so() {
    let api = Api::default();
    let store = LastGoodStore::Secret(api.cluster());
    let many: Vec<Good> = (0..10)
        .map(|i| {
            let mut good = good(&format!("r{i}"), "");
            good.secret = Secret::new("x".repeat(100_000));
            good
        })
        .collect();
    let error = store.save(&all(&many)).await.unwrap_err();
    assert_eq!(
        error.to_string().split(" are too large").next().unwrap(),
        "the last good tokens in secret syncd/syncd-state"
    );
    assert_eq!(api.writes(), 0);
    api.0.lock().unwrap().forbidden = true;
    for error in [
        store.load().await.unwrap_err(),
        store.save(&all(&[good("a", "1")])).await.unwrap_err(),
        store.retain(&names(&[])).await.unwrap_err(),
    ] {
        assert!(
            matches!(&error, TokenStoreError::Cluster { source, .. } if source.kind == crate::cluster::ClusterErrorKind::Forbidden),
            "{error:?}"
        );
    }
    assert_eq!(format!("{store:?}"), "Secret(\"secret syncd/syncd-state\")");
}

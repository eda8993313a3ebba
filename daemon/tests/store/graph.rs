//! Reading one manifest: what is carried, and everything that is refused.

use serde_json::{Value, json};
use syncd::oci::ErrorKind;
use syncd::oci::graph::{
    DOCKER_LIST, DOCKER_MANIFEST, GraphError, Kind, MAX_MANIFEST, OCI_ARTIFACT, OCI_INDEX, OCI_MANIFEST,
    Role, parse, sniff,
};
use syncd::oci::store::Manifest;
use syncd_config::Digest;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fn manifest(media_type: &str, text: impl Into<Vec<u8>>) -> Manifest {
    let bytes: Vec<u8> = text.into();
    Manifest {
        digest: Digest::sha256(&bytes),
        bytes: bytes.into(),
        media_type: media_type.to_owned(),
    }
}

fn pointer(media_type: &str, content: &str) -> Value {
    let digest = Digest::sha256(content.as_bytes());
    json!({"mediaType": media_type, "digest": digest, "size": content.len()})
}

fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "config": pointer(CONFIG, "config"),
        "layers": [pointer(LAYER, "one"), pointer(LAYER, "two")],
    })
}

fn index() -> Value {
    json!({"schemaVersion": 2, "manifests": [pointer(OCI_MANIFEST, "child")]})
}

fn with(mut value: Value, key: &str, field: Value) -> Value {
    value[key] = field;
    value
}

fn roles(media_type: &str, value: &Value) -> (Kind, Vec<Role>) {
    let node = parse(&manifest(media_type, value.to_string())).unwrap();
    (node.kind, node.children.iter().map(|child| child.role).collect())
}

#[test]
fn children_and_kinds() {
    use Role::{Blob, Config, Foreign, Layer, Manifest, Unknown};
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let nondistributable = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
    let layers = |types: &[&str]| json!(types.iter().map(|t| pointer(t, t)).collect::<Vec<_>>());
    let empty = pointer("application/vnd.oci.empty.v1+json", "{}");
    let attestation = with(
        pointer(OCI_MANIFEST, "att"),
        "platform",
        json!({"architecture": "unknown", "os": "unknown"}),
    );
    let typed = |value: Value, t: &str| with(value, "mediaType", json!(t));
    let rows: Vec<(&str, &str, Value, Kind, Vec<Role>)> = vec![
        (
            "image",
            OCI_MANIFEST,
            image(),
            Kind::Image,
            vec![Config, Layer(1), Layer(2)],
        ),
        (
            "docker image",
            DOCKER_MANIFEST,
            typed(
                with(
                    image(),
                    "config",
                    pointer("application/vnd.docker.container.image.v1+json", "c"),
                ),
                DOCKER_MANIFEST,
            ),
            Kind::Image,
            vec![Config, Layer(1), Layer(2)],
        ),
        (
            "no layers",
            OCI_MANIFEST,
            with(image(), "layers", json!([])),
            Kind::Image,
            vec![Config],
        ),
        (
            "null layers",
            OCI_MANIFEST,
            with(image(), "layers", Value::Null),
            Kind::Image,
            vec![Config],
        ),
        (
            "foreign layers",
            OCI_MANIFEST,
            with(image(), "layers", layers(&[foreign, LAYER, nondistributable])),
            Kind::Image,
            vec![Config, Foreign(1), Layer(2), Foreign(3)],
        ),
        (
            "artifact by its type",
            OCI_MANIFEST,
            with(image(), "artifactType", json!("application/x")),
            Kind::Artifact,
            vec![Config, Layer(1), Layer(2)],
        ),
        (
            "artifact by its config",
            OCI_MANIFEST,
            with(with(image(), "config", empty), "layers", json!([])),
            Kind::Artifact,
            vec![Config],
        ),
        ("index", OCI_INDEX, index(), Kind::Index, vec![Manifest]),
        (
            "manifest list",
            DOCKER_LIST,
            typed(index(), DOCKER_LIST),
            Kind::Index,
            vec![Manifest],
        ),
        (
            "empty index",
            OCI_INDEX,
            with(index(), "manifests", json!([])),
            Kind::Index,
            vec![],
        ),
        (
            "nested index, attestation, blobs, unknown",
            OCI_INDEX,
            with(
                index(),
                "manifests",
                json!([
                    pointer(OCI_INDEX, "nested"),
                    attestation,
                    pointer(LAYER, "layer"),
                    pointer("application/vnd.buildkit.cacheconfig.v0", "cache"),
                    pointer("application/x.new", "new"),
                ]),
            ),
            Kind::Index,
            vec![Manifest, Manifest, Blob(3), Blob(4), Unknown],
        ),
        (
            "old artifact manifest",
            OCI_ARTIFACT,
            json!({"mediaType": OCI_ARTIFACT, "blobs": [pointer("application/x", "x")]}),
            Kind::Artifact,
            vec![Layer(1)],
        ),
    ];
    for (name, media_type, value, kind, expected) in rows {
        assert_eq!(roles(media_type, &value), (kind, expected), "{name}");
    }
}

#[test]
fn subject_types_and_annotations() {
    let value = with(
        with(image(), "subject", pointer(OCI_INDEX, "subject")),
        "annotations",
        json!({"a": "b"}),
    );
    let node = parse(&manifest(OCI_MANIFEST, value.to_string())).unwrap();
    assert_eq!(node.subject.unwrap().digest, Digest::sha256(b"subject"));
    assert_eq!(node.artifact_type, None, "an image has none");
    assert_eq!(node.annotations["a"], "b");

    let typed = with(image(), "artifactType", json!("application/x"));
    let node = parse(&manifest(OCI_MANIFEST, typed.to_string())).unwrap();
    assert_eq!(node.artifact_type.as_deref(), Some("application/x"));

    let by_config = with(image(), "config", pointer("application/x.config", "c"));
    let node = parse(&manifest(OCI_MANIFEST, by_config.to_string())).unwrap();
    assert_eq!(node.artifact_type.as_deref(), Some("application/x.config"));
}

/// Go programs write `null` where nothing is.
#[test]
fn null_is_nothing() {
    let layer = with(
        with(pointer(LAYER, "x"), "urls", Value::Null),
        "annotations",
        Value::Null,
    );
    let value = with(
        with(image(), "layers", json!([layer])),
        "annotations",
        Value::Null,
    );
    assert_eq!(
        roles(OCI_MANIFEST, &value),
        (Kind::Image, vec![Role::Config, Role::Layer(1)])
    );
}

#[test]
fn inline_data_is_the_content() {
    let good = with(pointer("application/x", "hi"), "data", json!("aGk="));
    let value = |descriptor: &Value| with(image(), "layers", json!([descriptor])).to_string();
    let node = parse(&manifest(OCI_MANIFEST, value(&good))).unwrap();
    assert_eq!(node.children[1].role, Role::Layer(1), "it is a blob all the same");
    for (name, wrong) in [
        ("other content", with(good.clone(), "data", json!("aGo="))),
        ("other size", with(good.clone(), "size", json!(3))),
        ("no base64", with(good.clone(), "data", json!("%%"))),
    ] {
        let error = parse(&manifest(OCI_MANIFEST, value(&wrong))).unwrap_err();
        assert!(matches!(error, GraphError::Data(_)), "{name}: {error}");
        assert_eq!(error.kind(), ErrorKind::Integrity, "{name}");
    }
    let subject = with(image(), "subject", with(good, "data", json!("aGo=")));
    assert!(matches!(
        parse(&manifest(OCI_MANIFEST, subject.to_string())),
        Err(GraphError::Data(_))
    ));
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let both = with(image(), "manifests", json!([]));
    let with_config = with(index(), "config", pointer(CONFIG, "c"));
    let rows: Vec<(&str, &str, String)> = vec![
        ("image with manifests", OCI_MANIFEST, both.to_string()),
        ("index with layers", OCI_INDEX, both.to_string()),
        (
            "image with null manifests",
            OCI_MANIFEST,
            with(image(), "manifests", Value::Null).to_string(),
        ),
        ("index with a config", OCI_INDEX, with_config.to_string()),
        (
            "image with blobs",
            OCI_MANIFEST,
            with(image(), "blobs", json!([])).to_string(),
        ),
        (
            "came as an index",
            OCI_INDEX,
            with(index(), "mediaType", json!(OCI_MANIFEST)).to_string(),
        ),
        (
            "came as docker's",
            DOCKER_MANIFEST,
            with(image(), "mediaType", json!(OCI_MANIFEST)).to_string(),
        ),
        ("an image that came as an index", OCI_INDEX, image().to_string()),
        (
            "an index that came as an image",
            OCI_MANIFEST,
            index().to_string(),
        ),
        (
            "a key but for its case",
            OCI_MANIFEST,
            with(image(), "Layers", json!([])).to_string(),
        ),
        (
            "a key but for its case, to hide an index",
            OCI_MANIFEST,
            with(image(), "MANIFESTS", json!([])).to_string(),
        ),
    ];
    for (name, media_type, text) in rows {
        let error = parse(&manifest(media_type, text)).unwrap_err();
        assert!(matches!(error, GraphError::Confusing(_)), "{name}: {error}");
        assert_eq!(error.kind(), ErrorKind::Malformed, "{name}");
    }
    let text = image().to_string();
    let twice = text.replacen('{', "{\"layers\":[],", 1);
    let error = parse(&manifest(OCI_MANIFEST, twice)).unwrap_err();
    assert!(
        error.to_string().contains("duplicate field `layers`"),
        "the first or the last? {error}"
    );
}

#[test]
fn what_is_no_manifest_is_refused() {
    let digest = |d: &str| {
        with(
            image(),
            "layers",
            json!([{"mediaType": LAYER, "size": 1, "digest": d}]),
        )
    };
    let size = |s: Value| with(image(), "config", with(pointer(CONFIG, "c"), "size", s));
    let hex = "a".repeat(64);
    let rows: Vec<(&str, &str, String)> = vec![
        ("nothing", OCI_MANIFEST, String::new()),
        ("html", OCI_MANIFEST, "<html>".to_owned()),
        ("a list", OCI_MANIFEST, "[]".to_owned()),
        (
            "no config",
            OCI_MANIFEST,
            json!({"schemaVersion": 2, "layers": []}).to_string(),
        ),
        ("no manifests", OCI_INDEX, json!({"schemaVersion": 2}).to_string()),
        (
            "no version",
            OCI_MANIFEST,
            with(image(), "schemaVersion", Value::Null).to_string(),
        ),
        (
            "version 3",
            OCI_MANIFEST,
            with(image(), "schemaVersion", json!(3)).to_string(),
        ),
        (
            "path in a digest",
            OCI_MANIFEST,
            digest("sha256:../../../../etc/passwd").to_string(),
        ),
        (
            "upper case digest",
            OCI_MANIFEST,
            digest(&format!("sha256:{}", hex.to_uppercase())).to_string(),
        ),
        (
            "short digest",
            OCI_MANIFEST,
            digest(&format!("sha256:{}", &hex[1..])).to_string(),
        ),
        (
            "unknown algorithm",
            OCI_MANIFEST,
            digest(&format!("md5:{hex}")).to_string(),
        ),
        ("negative size", OCI_MANIFEST, size(json!(-1)).to_string()),
        ("fractional size", OCI_MANIFEST, size(json!(1.5)).to_string()),
        ("deep nesting", OCI_MANIFEST, "[".repeat(1 << 20)),
        ("trailing bytes", OCI_MANIFEST, format!("{}x", image())),
    ];
    for (name, media_type, text) in rows {
        let error = parse(&manifest(media_type, text)).unwrap_err();
        assert!(matches!(error, GraphError::Malformed(_)), "{name}: {error}");
    }
}

#[test]
fn schema_1_is_named() {
    let prettyjws = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let body = json!({"schemaVersion": 1, "fsLayers": [{"blobSum": "x"}]}).to_string();
    for media_type in [prettyjws, OCI_MANIFEST, DOCKER_MANIFEST] {
        let error = parse(&manifest(media_type, body.clone())).unwrap_err();
        assert_eq!(error, GraphError::Schema1, "{media_type}");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
    let error = parse(&manifest("text/html\u{1b}[31m", image().to_string())).unwrap_err();
    assert_eq!(error, GraphError::UnknownType("text/html\\u{1b}[31m".to_owned()));
}

#[test]
fn caps() {
    let many = |n: usize| {
        let layers: Vec<_> = (0..n).map(|i| pointer(LAYER, &i.to_string())).collect();
        manifest(OCI_MANIFEST, with(image(), "layers", json!(layers)).to_string())
    };
    assert!(parse(&many(999)).is_ok());
    assert_eq!(
        parse(&many(1_000)).unwrap_err(),
        GraphError::TooManyChildren(1_001)
    );
    let mut text = image().to_string();
    text.push_str(&" ".repeat(MAX_MANIFEST - text.len()));
    assert!(parse(&manifest(OCI_MANIFEST, text.clone())).is_ok());
    text.push(' ');
    assert_eq!(
        parse(&manifest(OCI_MANIFEST, text)).unwrap_err(),
        GraphError::TooLarge
    );
}

/// A size is only ever compared: nothing is allocated for it.
#[test]
fn declared_sizes_are_not_believed() {
    let huge = with(pointer(LAYER, "x"), "size", json!(u64::MAX));
    let value = with(image(), "layers", json!([huge]));
    let node = parse(&manifest(OCI_MANIFEST, value.to_string())).unwrap();
    assert_eq!(node.children[1].descriptor.size, u64::MAX);
}

#[test]
fn media_types_are_told_by_the_bytes() {
    let typed = with(image(), "mediaType", json!(DOCKER_MANIFEST));
    let foreign = with(image(), "mediaType", json!("application/x"));
    let both = with(image(), "manifests", json!([]));
    for (value, expected) in [
        (image(), Some(OCI_MANIFEST)),
        (index(), Some(OCI_INDEX)),
        (typed, Some(DOCKER_MANIFEST)),
        (foreign, None),
        (both, None),
        (
            json!({"architecture": "amd64", "os": "linux", "rootfs": {}}),
            None,
        ),
        (json!([]), None),
    ] {
        assert_eq!(
            sniff(value.to_string().as_bytes()).as_deref(),
            expected,
            "{value}"
        );
    }
}

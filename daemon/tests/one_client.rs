//! One client type for all requests: whatever else opened a connection would not be judged by the
//! origin policy. This test reads the sources; the one place allowed is `providers/src/http`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_in_result
)]

use std::path::{Path, PathBuf};

/// What makes an HTTP client or switches verification off, and what may name it: a file whose path
/// starts with one of these.
const BANNED: &[(&str, &[&str])] = &[
    ("client::legacy", &["providers/src/http/"]),
    // The control socket speaks HTTP over a Unix socket.
    ("hyper::client", &["daemon/src/control/"]),
    ("reqwest", &[]),
    ("HttpConnector", &["providers/src/http/"]),
    // diagnose tries TCP and the TLS handshake one by one, and sends nothing over them.
    (
        "TlsConnector",
        &["providers/src/http/", "daemon/src/diagnose/network.rs"],
    ),
    (
        "ClientConfig",
        &[
            "providers/src/http/",
            "daemon/src/diagnose/network.rs",
            "daemon/src/oci/look.rs",
        ],
    ),
    ("TcpStream::connect", &["daemon/src/diagnose/network.rs"]),
    ("oci_client::client", &[]),
    ("oci_client::Client", &[]),
    ("danger", &[]),
    ("ServerCertVerifier", &[]),
    // `get --server` asks another syncd for its report, without any credential; the issuers of
    // tokens are no registries, and are asked through the outfit of the providers.
    (
        "HttpClient::new",
        &[
            "providers/src/http/",
            "providers/src/outfit/",
            "daemon/src/oci/wire.rs",
            "daemon/src/cli/server.rs",
        ],
    ),
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// A source without its comments and its tests (which come last in a file here).
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("_tests.rs") || path.ends_with("/tests.rs")
}

#[test]
fn only_the_base_client_opens_connections() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for crate_name in ["config", "providers", "daemon"] {
        sources(&root.join(crate_name).join("src"), &mut files);
    }
    let mut problems = Vec::new();
    let mut allowed = 0;
    for file in &files {
        let path = file.strip_prefix(root).unwrap().to_str().unwrap();
        if is_test_file(path) {
            continue;
        }
        let text = code(&std::fs::read_to_string(file).unwrap());
        for (word, places) in BANNED.iter().filter(|(word, _)| text.contains(word)) {
            if places.iter().any(|place| path.starts_with(place)) {
                allowed += 1;
            } else {
                problems.push(format!("{path}: {word}"));
            }
        }
    }
    assert!(
        problems.is_empty(),
        "requests go through syncd::oci::RegistryClient only: {problems:#?}"
    );
    assert!(
        allowed >= 4,
        "the words are not found where they are known to be: is this test blind?"
    );
}

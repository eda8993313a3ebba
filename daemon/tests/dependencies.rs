//! One TLS stack, one hyper: what the shipped binary is built from, read from `cargo tree`.

use std::process::Command;

/// Crates that must not be in the program, with the reason.
const REFUSED: &[(&str, &str)] = &[
    ("ring v", "aws-lc-rs is the only cryptography"),
    ("openssl-sys v", "rustls is the only TLS"),
    ("native-tls v", "rustls is the only TLS"),
    ("hyper v0.14", "one hyper"),
    ("rustls v0.21", "one rustls"),
    ("rustls v0.22", "one rustls"),
];

#[test]
fn the_program_has_one_tls_stack_and_one_hyper() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--package",
            "syncd",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--locked",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo tree starts");
    assert!(
        output.status.success(),
        "cargo tree failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tree = String::from_utf8(output.stdout).expect("cargo tree prints text");
    assert!(
        tree.contains("hyper v1."),
        "the tree does not look like ours: {tree}"
    );
    for (krate, reason) in REFUSED {
        assert!(
            !tree.lines().any(|line| line.starts_with(krate)),
            "{krate} is in the tree: {reason}"
        );
    }
}

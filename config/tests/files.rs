//! Whole configuration files: what is said about wrong ones, and what right ones mean.
//!
//! `UPDATE=1 cargo test -p syncd-config --test files` writes the expected texts anew; read the
//! difference before it is committed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests stop at the first surprise"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "UPDATE is for people, not for the program"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use syncd_config::{EXAMPLE, LoadError, load, parse, show};

/// Stands in every secret of the files, and must stand in no message.
const SECRET: &str = "hunter2";

/// The files of a folder, by name.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "yaml"))
        .collect();
    files.sort();
    files
}

/// Compares a text with the file that holds the expected one.
fn check(expected: &Path, text: &str, wrong: &mut String) {
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(expected, text).unwrap();
    }
    let wanted = std::fs::read_to_string(expected).unwrap_or_default();
    if wanted != text {
        write!(
            wrong,
            "\n== {}\n-- expected\n{wanted}-- got\n{text}",
            expected.display()
        )
        .unwrap();
    }
}

fn complaint(name: &Path, bytes: &[u8]) -> String {
    let problems = parse(bytes, "config.yaml", Path::new("")).expect_err(&name.display().to_string());
    assert!(!problems.0.is_empty(), "{}", name.display());
    let text = format!("{problems}\n");
    assert!(
        !text.to_lowercase().contains(SECRET),
        "{}: a secret in\n{text}",
        name.display()
    );
    let debug = format!("{problems:?}").to_lowercase();
    assert!(
        !debug.contains(SECRET),
        "{}: a secret in the debug form",
        name.display()
    );
    for line in text.lines().filter(|_| std::env::var("UPDATE").is_err()) {
        assert!(
            line.chars().count() <= 100,
            "{}: a long line\n{line}",
            name.display()
        );
        assert!(
            !line.contains(|c: char| c.is_control()),
            "{}: {line:?}",
            name.display()
        );
    }
    let places: Vec<_> = problems.0.iter().map(|p| (p.line, p.column)).collect();
    assert!(
        places.is_sorted(),
        "{}: not in the order of the places",
        name.display()
    );
    text
}

#[test]
fn says_what_is_wrong() {
    let cases = files("tests/cases");
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let mut wrong = String::new();
    for path in cases {
        let text = complaint(&path, &std::fs::read(&path).unwrap());
        check(&path.with_extension("txt"), &text, &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Files too large to be kept.
fn large() -> Vec<(&'static str, Vec<u8>)> {
    const HEAD: &str = "apiVersion: syncd.dev/v1alpha1\nkind: Config\n";
    const MIB: usize = 1 << 20;
    let fill = |unit: &str| unit.repeat((MIB - HEAD.len() - 64) / unit.len());
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for i in 1..10 {
        let items = vec![format!("*a{}", i - 1); 9].join(", ");
        writeln!(laughs, "a{i}: &a{i} [{items}]").unwrap();
    }
    let steps: String = (0..1000).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    let keys: String = (0..200)
        .map(|i| {
            format!(
                "wrong{}: 1\n",
                char::from(b'a' + i % 26)
                    .to_string()
                    .repeat(1 + usize::from(i) / 26)
            )
        })
        .collect();
    [
        ("large-lists-in-a-line", format!("{HEAD}x: {}", fill("["))),
        ("large-mappings-in-a-line", format!("{HEAD}x: {}", fill("{a: "))),
        ("large-dashes", format!("{HEAD}x:\n {}", fill("- "))),
        ("large-question-marks", fill("? ")),
        ("large-steps", format!("{HEAD}{steps}")),
        ("large-anchors-that-explode", format!("{HEAD}{laughs}")),
        ("large-many-anchors", format!("{HEAD}x: [{}]", fill("&a b, "))),
        ("large-many-nodes", format!("{HEAD}x: [{}]", fill("a, "))),
        (
            "large-one-text",
            format!("{HEAD}stateDir: [\"{}\"]", fill("hunter2 ")),
        ),
        ("large-one-line-key", format!("{}: 1\n{HEAD}", fill("hunter2"))),
        (
            "large-open-quote",
            format!("{HEAD}stateDir: \"{}", fill("hunter2 ")),
        ),
        ("large-comment", format!("{HEAD}#{}\nx: 1", fill("#"))),
        ("large-too-large", format!("{HEAD}#{}", "#".repeat(MIB))),
        ("large-many-problems", format!("{HEAD}{keys}")),
        ("large-same-key", format!("{HEAD}{}", "x: 1\n".repeat(20_000))),
    ]
    .map(|(name, text)| (name, text.into_bytes()))
    .into()
}

#[test]
fn survives_large_files() {
    let mut wrong = String::new();
    for (name, bytes) in large() {
        let path = Path::new("tests/cases").join(name);
        let text = complaint(&path, &bytes);
        check(&path.with_extension("txt"), &text, &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn means_what_it_says() {
    let mut wrong = String::new();
    for path in files("tests/valid")
        .into_iter()
        .chain(["examples/full.yaml".into()])
    {
        let loaded = match load(&path) {
            Ok(loaded) => loaded,
            Err(error) => panic!("{}: {error}", path.display()),
        };
        let shown = show(&loaded.config);
        let again = parse(shown.as_bytes(), "shown.yaml", Path::new("")).unwrap();
        assert_eq!(again, loaded.config, "{}", path.display());
        assert_eq!(show(&again), shown, "{}", path.display());
        let mut text = String::new();
        for warning in &loaded.warnings {
            writeln!(text, "{warning}").unwrap();
        }
        text.push_str(&shown);
        let expected = Path::new("tests/valid")
            .join(path.file_name().unwrap())
            .with_extension("txt");
        check(&expected, &text, &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_example_loads_and_shows_as_itself() {
    let config = parse(EXAMPLE.as_bytes(), "full.yaml", Path::new("")).unwrap();
    let shown = show(&config);
    let again = parse(shown.as_bytes(), "shown.yaml", Path::new("")).unwrap();
    assert_eq!(config, again, "{shown}");
}

#[test]
fn all_examples_load() {
    let examples = files("examples");
    assert!(examples.len() >= 2);
    for path in examples {
        let loaded = load(&path).unwrap();
        let quickstart = path.ends_with("quickstart.yaml");
        assert!(!quickstart || loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    }
}

#[test]
fn a_named_file_is_part_of_the_hash() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.yaml");
    let text = "apiVersion: syncd.dev/v1alpha1\nkind: Config\nregistries:\n  - host: quay.io\n    basic: {username: bot, passwordFile: pass}\n";
    std::fs::write(&config, text).unwrap();
    let missing = load(&config).unwrap();
    assert_eq!(missing.files, [dir.path().join("pass")]);
    assert_eq!(missing.warnings.len(), 1);

    std::fs::write(dir.path().join("pass"), "").unwrap();
    let empty = load(&config).unwrap();
    assert!(empty.warnings.is_empty());
    std::fs::write(dir.path().join("pass"), SECRET).unwrap();
    let there = load(&config).unwrap();
    assert_eq!(there.hash, load(&config).unwrap().hash);
    std::fs::write(&config, format!("{text}# a comment\n")).unwrap();
    let comment = load(&config).unwrap();
    assert_eq!(comment.config, there.config);

    let hashes = [missing, empty, there, comment].map(|loaded| loaded.hash);
    for (i, hash) in hashes.iter().enumerate() {
        assert!(!hashes[..i].contains(hash), "{i}");
    }
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let error = load(&dir.path().join("none.yaml")).unwrap_err();
    assert_eq!(error.kind().as_str(), "not_found");
    assert!(error.hint().is_some());
    let error = load(dir.path()).unwrap_err();
    assert!(matches!(error, LoadError::Read { .. }), "{error}");
}

#[test]
fn the_schema_is_as_it_was() {
    let schema = serde_json::to_string_pretty(&syncd_config::schema()).unwrap() + "\n";
    let mut wrong = String::new();
    check(Path::new("tests/schema.json"), &schema, &mut wrong);
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_reference_page_is_up_to_date() {
    let mut wrong = String::new();
    check(
        Path::new("../docs/src/reference/config.md"),
        &syncd_config::reference_page(),
        &mut wrong,
    );
    assert!(
        wrong.is_empty(),
        "run UPDATE=1 cargo test -p syncd-config --test files\n{wrong}"
    );
}

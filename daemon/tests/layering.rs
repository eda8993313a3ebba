//! The direction of the modules: reads every `crate::…` path of the daemon and fails on one that
//! does not point down the list in `docs/src/develop/architecture.md`.
#![allow(clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// What each module may name besides itself. Jobs (credentials, mirror, registry, diagnose) never name each other.
const ALLOWED: &[(&str, &[&str])] = &[
    ("report", &[]),
    ("telemetry", &[]),
    ("oci", &[]),
    ("cluster", &["report"]),
    ("tokens", &["cluster", "oci", "report"]),
    ("images", &["oci", "report"]),
    ("credentials", &["cluster", "oci", "report", "tokens"]),
    ("mirror", &["images", "oci", "report"]),
    ("registry", &["images", "oci", "report"]),
    ("diagnose", &["cluster", "images", "oci", "report", "tokens"]),
    ("schedule", &["report"]),
    ("status", &["report", "schedule"]),
    ("control", &["report", "schedule", "status"]),
    (
        "context",
        &[
            "cluster",
            "credentials",
            "diagnose",
            "images",
            "mirror",
            "oci",
            "registry",
            "report",
            "tokens",
        ],
    ),
    (
        "app",
        &[
            "cluster",
            "context",
            "control",
            "credentials",
            "mirror",
            "oci",
            "registry",
            "report",
            "schedule",
            "status",
            "telemetry",
            "tokens",
        ],
    ),
    (
        "cli",
        &[
            "app",
            "cluster",
            "context",
            "control",
            "credentials",
            "diagnose",
            "mirror",
            "oci",
            "registry",
            "report",
            "schedule",
            "telemetry",
        ],
    ),
    (
        "main",
        &["cli", "app", "context", "control", "report", "telemetry"],
    ),
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("the folder reads") {
        let path = entry.expect("the entry reads").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file: comments left out, and the unit tests, which may use whatever they need.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The first module names after each `crate::` (or `syncd::` in main.rs), groups `{a, b::c}` included.
fn named_modules(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for marker in ["crate::", "syncd::"] {
        for (at, _) in code.match_indices(marker) {
            let before = code[..at].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                names.extend(first_names(&code[at + marker.len()..]));
            }
        }
    }
    names
}

fn first_names(rest: &str) -> Vec<String> {
    let word = |s: &str| {
        s.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let Some(group) = rest.strip_prefix('{') else {
        return vec![word(rest)];
    };
    let mut depth = 1;
    let mut names = vec![word(group)];
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(word(&group[i + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn no_module_names_one_above_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut wrong = Vec::new();
    for file in &files {
        let inner = file.strip_prefix(&src).expect("below src");
        let first = inner
            .components()
            .next()
            .expect("a name")
            .as_os_str()
            .to_string_lossy()
            .into_owned();
        let module = first.trim_end_matches(".rs").to_owned();
        if module == "lib"
            || inner
                .file_stem()
                .is_some_and(|s| s == "tests" || s == "testing" || s.to_string_lossy().ends_with("_tests"))
        {
            continue;
        }
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!(
                "{}: module `{module}` is not in the list of this test",
                inner.display()
            ));
            continue;
        };
        let text = fs::read_to_string(file).expect("the file reads");
        for name in named_modules(&code(&text)) {
            let known = ALLOWED.iter().any(|(m, _)| *m == name);
            if known && name != module && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{}: `{module}` must not name `{name}`", inner.display()));
            }
        }
    }
    assert!(files.len() > 5, "the source files were not found");
    assert!(wrong.is_empty(), "forbidden imports:\n{}", wrong.join("\n"));
}

#[test]
fn the_reader_sees_groups_paths_and_no_comments() {
    let text = "use crate::{\n    oci::{a, b},\n    report,\n};\nlet x = crate::mirror::pass();\n// crate::cli\nmycrate::app";
    assert_eq!(named_modules(&code(text)), ["oci", "report", "mirror"]);
}

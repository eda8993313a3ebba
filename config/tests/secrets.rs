//! Whatever a file looks like, reading it ends soon, and what is said holds no secret.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests stop at the first surprise"
)]

use std::path::Path;

use proptest::prelude::*;
use syncd_config::{EXAMPLE, parse, show};

/// Stands for a secret; parts of it that survive a cut count too.
const SECRET: &str = "hunter2";

/// Lines as people write them when they put a secret into the file.
const LINES: [&str; 16] = [
    "password: hunter2",
    "    password: \"hunter2\"",
    "      passwordFile: hunter2",
    "      passwordFile: [hunter2, 'hunter2']",
    "    basic: bot:hunter2",
    "    basic: {username: bot, password: hunter2}",
    "    proxy: http://bot:hunter2@proxy.example:3128",
    "    token: |\n      hunter2\n      hunter2",
    "    secret: >-\n      hunter2",
    "    key: \"hunter2",
    "  images: [nginx:1, {token: hunter2}",
    "  names: [quay.io, password: hunter2, \"",
    "    # hunter2",
    "    - bot:hunter2@quay.io/a/b:1",
    "  password: &hunter2 hunter2",
    "  password: !hunter2 *hunter2",
];

#[derive(Clone, Debug)]
enum Edit {
    Insert(usize, usize),
    Remove(usize),
    Copy(usize, usize),
    Indent(usize, usize),
    Cut(usize, usize),
    Put(usize, usize, char),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let at = 0..1000_usize;
    let mark = prop::sample::select(vec![
        '"', '\'', ':', '-', '{', '}', '[', ']', '#', '|', '&', '*', '!', '\t', ' ', '?', ',', 'é',
    ]);
    let edit = prop_oneof![
        4 => (at.clone(), 0..LINES.len()).prop_map(|(at, line)| Edit::Insert(at, line)),
        1 => at.clone().prop_map(Edit::Remove),
        1 => (at.clone(), at.clone()).prop_map(|(from, to)| Edit::Copy(from, to)),
        1 => (at.clone(), 0..8_usize).prop_map(|(at, by)| Edit::Indent(at, by)),
        1 => (at.clone(), at.clone()).prop_map(|(at, column)| Edit::Cut(at, column)),
        1 => (at.clone(), at, mark).prop_map(|(at, column, c)| Edit::Put(at, column, c)),
    ];
    proptest::collection::vec(edit, 1..6)
}

/// Edits never take a mark of a secret apart: lines with one are left whole.
fn apply(edits: &[Edit]) -> String {
    let mut lines: Vec<String> = EXAMPLE.lines().map(str::to_owned).collect();
    for edit in edits {
        let len = lines.len();
        match *edit {
            Edit::Insert(at, line) => lines.insert(at % (len + 1), LINES[line].to_owned()),
            Edit::Remove(at) => drop(lines.remove(at % len)),
            Edit::Copy(from, to) => {
                let line = lines[from % len].clone();
                lines.insert(to % len, line);
            }
            Edit::Indent(at, by) => {
                let line = &mut lines[at % len];
                *line = format!("{}{}", " ".repeat(by), line.trim_start());
            }
            Edit::Cut(at, column) => {
                let line = &mut lines[at % len];
                let chars = line.chars().count().max(1);
                if !line.contains(SECRET) {
                    *line = line.chars().take(column % chars).collect();
                }
            }
            Edit::Put(at, column, c) => {
                let line = &mut lines[at % len];
                let chars = line.chars().count();
                if !line.contains(SECRET) {
                    let place = line
                        .char_indices()
                        .nth(column % (chars + 1))
                        .map_or(line.len(), |(i, _)| i);
                    line.insert(place, c);
                }
            }
        }
    }
    lines.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn no_secret_is_echoed(edits in edits()) {
        let text = apply(&edits);
        if let Err(problems) = parse(text.as_bytes(), "config.yaml", Path::new("")) {
            let said = format!("{problems}\n{problems:?}");
            prop_assert!(!said.contains(SECRET), "{said}\n---\n{text}");
            for line in problems.to_string().lines() {
                prop_assert!(line.chars().count() <= 120 && !line.contains(char::is_control), "{line}");
            }
        }
    }

    #[test]
    fn any_bytes_are_read(bytes in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "[a-z:\\-\\[\\]{}\"'#&*!|>? \n\t]{0,200}".prop_map(String::into_bytes),
        "\\PC{0,200}".prop_map(String::into_bytes),
    ]) {
        match parse(&bytes, "config.yaml", Path::new("")) {
            Ok(config) => prop_assert_eq!(parse(show(&config).as_bytes(), "shown", Path::new("")).unwrap(), config),
            Err(problems) => prop_assert!(!problems.0.is_empty()),
        }
    }

    #[test]
    fn what_is_shown_loads_again(edits in edits()) {
        if let Ok(config) = parse(apply(&edits).as_bytes(), "config.yaml", Path::new("/etc/syncd")) {
            let shown = show(&config);
            let again = parse(shown.as_bytes(), "shown", Path::new(""));
            prop_assert_eq!(again.as_ref(), Ok(&config), "{}", shown);
        }
    }
}

//! The cases of `keyring-cases.jsonl`, whose expected orders were compared with kubelet's own code, and
//! properties over generated keys whose meaning is known because they are built from their parts.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::oci::docker_config::{CONFIG_JSON_KEY, CONFIG_JSON_TYPE};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    image: String,
    secrets: Vec<CaseSecret>,
    /// Secret, key, and `empty` for an entry without a user.
    tries: Vec<Vec<String>>,
    /// Secret, key, kind, and the key to write instead.
    others: Vec<Vec<String>>,
    unused: Vec<(String, String)>,
    broken: Vec<(String, String)>,
    /// kubelet's own order changes between keys of one secret.
    #[serde(default)]
    tie: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseSecret {
    name: String,
    /// Short for a secret with these keys under `auths`, the user of each being `NAME KEY`.
    keys: Option<Vec<String>>,
    #[serde(rename = "type", default)]
    type_: String,
    #[serde(default)]
    data: BTreeMap<String, String>,
    state: Option<String>,
    source: Option<String>,
}

impl CaseSecret {
    fn secret(&self) -> PodSecret {
        let state = match (self.state.as_deref(), &self.keys) {
            (Some("missing"), _) => SecretState::Missing,
            (Some("forbidden"), _) => SecretState::Forbidden {
                why: "secrets is forbidden".to_owned(),
            },
            (None, Some(keys)) => with_keys(&self.name, keys),
            (None, None) => SecretState::Present {
                type_: self.type_.clone(),
                data: self
                    .data
                    .iter()
                    .map(|(k, v)| (k.clone(), Secret::new(v.as_str())))
                    .collect(),
            },
            (Some(other), _) => panic!("unknown state {other}"),
        };
        PodSecret {
            namespace: "team".to_owned(),
            name: self.name.clone(),
            source: match self.source.as_deref() {
                None => SecretSource::Pod,
                Some("account") => SecretSource::Account,
                Some(other) => panic!("unknown source {other}"),
            },
            state,
        }
    }
}

fn with_keys(name: &str, keys: &[String]) -> SecretState {
    let entry = |key: &String| {
        let user = serde_json::json!({"username": format!("{name} {key}"), "password": "hunter2"});
        (key.clone(), user)
    };
    let auths: serde_json::Map<_, _> = keys.iter().map(entry).collect();
    let text = serde_json::json!({ "auths": auths }).to_string();
    SecretState::Present {
        type_: CONFIG_JSON_TYPE.to_owned(),
        data: BTreeMap::from([(CONFIG_JSON_KEY.to_owned(), Secret::new(text))]),
    }
}

fn pod_secret(name: &str, keys: &[String]) -> PodSecret {
    PodSecret {
        namespace: "team".to_owned(),
        name: name.to_owned(),
        source: SecretSource::Pod,
        state: with_keys(name, keys),
    }
}

fn cases() -> Vec<Case> {
    let text = include_str!("keyring-cases.jsonl");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn of(case: &Case) -> Chain {
    let secrets: Vec<PodSecret> = case.secrets.iter().map(CaseSecret::secret).collect();
    chain(&case.image.parse().unwrap(), &secrets)
}

/// What is shown of a key in place of the key.
fn pair(secret: &str, key: &str) -> (String, String) {
    (secret.to_owned(), shown(key))
}

#[test]
fn every_case_has_its_order_and_its_reasons() {
    let cases = cases();
    assert!(cases.len() >= 100);
    for (at, case) in cases.iter().enumerate() {
        let found = of(case);
        let at = format!("case {}: {}", at + 1, case.image);
        let tries: Vec<_> = found.tries.iter().map(|t| pair(&t.secret, &t.key)).collect();
        let want: Vec<_> = case.tries.iter().map(|t| pair(&t[0], &t[1])).collect();
        assert_eq!(tries, want, "{at}");
        for (tried, want) in found.tries.iter().zip(&case.tries) {
            let is_empty = want.get(2).is_some_and(|flag| flag == "empty");
            assert_eq!(tried.is_empty(), is_empty, "{at}");
            if !is_empty {
                assert_eq!(
                    tried.credential.username,
                    format!("{} {}", want[0], want[1]),
                    "{at}"
                );
            }
            let is_tied = tried
                .notes
                .iter()
                .any(|note| note.contains("changes from pull to pull"));
            assert_eq!(is_tied, case.tie, "{at}");
        }
        let others: Vec<_> = found
            .unmatched
            .iter()
            .map(|u| {
                (
                    u.secret.clone(),
                    u.key.clone(),
                    u.kind.as_str().to_owned(),
                    u.fix.clone(),
                )
            })
            .collect();
        let mut want: Vec<_> = case
            .others
            .iter()
            .map(|o| (o[0].clone(), shown(&o[1]), o[2].clone(), o.get(3).cloned()))
            .collect();
        want.sort_by_key(|(secret, key, ..)| others.iter().position(|o| (&o.0, &o.1) == (secret, key)));
        assert_eq!(others, want, "{at}");
        let unused: Vec<_> = found
            .unused
            .iter()
            .map(|u| (u.secret.clone(), u.kind.as_str().to_owned()))
            .collect();
        assert_eq!(unused, case.unused, "{at}");
        let broken: Vec<_> = found
            .broken
            .iter()
            .map(|b| (b.secret.clone(), b.error.kind.as_str().to_owned()))
            .collect();
        assert_eq!(broken, case.broken, "{at}");
        let has_unread = case.unused.iter().any(|(_, kind)| kind == "unread");
        assert_eq!(found.is_complete, !has_unread, "{at}");
        let nothing = case.tries.is_empty() && case.broken.is_empty() && !has_unread;
        assert_eq!(found.anonymous, nothing, "{at}");
    }
}

#[test]
fn every_kind_of_reason_is_in_the_cases() {
    let cases = cases();
    let seen = |wanted: &dyn Fn(&Case) -> bool| cases.iter().filter(|case| wanted(case)).count();
    for kind in MismatchKind::ALL {
        let name = kind.as_str();
        assert!(
            seen(&|case| case.others.iter().any(|o| o[2] == name)) > 0,
            "{name}"
        );
    }
    for kind in UnusedKind::ALL {
        let name = kind.as_str();
        assert!(
            seen(&|case| case.unused.iter().any(|(_, kind)| kind == name)) > 0,
            "{name}"
        );
    }
}

#[test]
fn the_words_are_these() {
    let mut words = String::new();
    for case in cases() {
        let found = of(&case);
        writeln!(words, "{}", case.image).unwrap();
        for t in &found.tries {
            writeln!(words, "  try   {} `{}` as {}", t.secret, t.key, t.username).unwrap();
            for note in &t.notes {
                writeln!(words, "        {note}").unwrap();
            }
        }
        for u in &found.unmatched {
            writeln!(words, "  no    {} `{}`: {}", u.secret, u.key, u.reason).unwrap();
            if let Some(fix) = &u.fix {
                writeln!(words, "        write `{fix}`").unwrap();
            }
        }
        for u in &found.unused {
            writeln!(words, "  skip  {}: {}", u.secret, u.reason).unwrap();
        }
        for b in &found.broken {
            writeln!(words, "  fail  {}: {}", b.secret, b.error).unwrap();
        }
    }
    assert!(!words.contains("hunter2"));
    insta::assert_snapshot!(words);
}

#[test]
fn no_secret_is_printed() {
    let mut secret = pod_secret("a", &["reg.example".to_owned()]);
    let image: ImageName = "reg.example/app".parse().unwrap();
    let found = chain(&image, std::slice::from_ref(&secret));
    assert_eq!(found.tries[0].credential.secret.expose(), "hunter2");
    assert!(!format!("{found:?} {secret:?}").contains("hunter2"));
    let token = "t".repeat(65);
    secret.state = SecretState::Present {
        type_: CONFIG_JSON_TYPE.to_owned(),
        data: BTreeMap::from([(
            CONFIG_JSON_KEY.to_owned(),
            Secret::new(format!(
                r#"{{"auths":{{"reg.example":{{"username":"{token}"}}}}}}"#
            )),
        )]),
    };
    let found = chain(&image, &[secret]);
    assert_eq!(found.tries[0].username, "(a name of 65 characters)");
    assert!(!format!("{found:?}").contains(&token));
}

/// A key that is built from its parts, so that its meaning needs no parser.
#[derive(Clone, Debug)]
struct Built {
    scheme: &'static str,
    labels: Vec<&'static str>,
    port: Option<&'static str>,
    version: &'static str,
    path: Vec<&'static str>,
    slash: &'static str,
}

impl Built {
    fn text(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let path: String = self.path.iter().map(|part| format!("/{part}")).collect();
        format!(
            "{}{}{port}{}{path}{}",
            self.scheme,
            self.labels.join("."),
            self.version,
            self.slash
        )
    }

    fn host(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", self.labels.join("."))
    }

    /// The path that kubelet keeps: a first part `v1` or `v2` goes when anything follows it.
    fn kept_path(&self) -> String {
        let version = self.version.trim_start_matches('/');
        let mut parts: Vec<&str> = std::iter::once(version).filter(|v| !v.is_empty()).collect();
        parts.extend(&self.path);
        let is_followed = parts.len() > 1 || !self.slash.is_empty();
        if is_followed && matches!(parts.first(), Some(&("v1" | "v2"))) {
            parts.remove(0);
        }
        let path: String = parts.iter().map(|part| format!("/{part}")).collect();
        let kept = format!("{path}{}", self.slash);
        if kept == "/" { String::new() } else { kept }
    }

    fn is_for(&self, labels: &[&str], port: Option<&str>, path: &str) -> bool {
        let fits = |pattern: &str, label: &str| match pattern.split_once('*') {
            None => pattern == label,
            Some((before, after)) => {
                label.len() >= before.len() + after.len()
                    && label.starts_with(before)
                    && label.ends_with(after)
            }
        };
        self.port == port
            && self.labels.len() == labels.len()
            && self
                .labels
                .iter()
                .zip(labels)
                .all(|(pattern, label)| fits(pattern, label))
            && path.starts_with(&self.kept_path())
    }
}

fn built() -> impl Strategy<Value = Built> {
    let label = prop::sample::select(vec!["a", "ab", "b", "io", "*", "a*", "*b", "docker", "index"]);
    let part = prop::sample::select(vec!["t", "te", "team", "app", "v1", "v2"]);
    (
        prop::sample::select(vec!["", "https://", "http://"]),
        prop::collection::vec(label, 1..4),
        prop::option::of(prop::sample::select(vec!["443", "5000"])),
        prop::sample::select(vec!["", "/v1", "/v2"]),
        prop::collection::vec(part, 0..3),
        prop::sample::select(vec!["", "/"]),
    )
        .prop_map(|(scheme, labels, port, version, path, slash)| Built {
            scheme,
            labels,
            port,
            version,
            path,
            slash,
        })
}

/// Host labels, port and path of an image.
type BuiltImage = (Vec<&'static str>, Option<&'static str>, Vec<&'static str>);

fn image() -> impl Strategy<Value = BuiltImage> {
    let label = prop::sample::select(vec!["a", "ab", "b", "io", "docker"]);
    let part = prop::sample::select(vec!["t", "te", "team", "app", "v1", "v2"]);
    (
        prop::collection::vec(label, 2..4),
        prop::option::of(prop::sample::select(vec!["443", "5000"])),
        prop::collection::vec(part, 2..4),
    )
}

fn name((labels, port, path): &BuiltImage) -> String {
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}/{}", labels.join("."), path.join("/"))
}

/// What kubelet tries, by taking the greatest remaining key again and again.
fn brute(image: &BuiltImage, secrets: &[Vec<Built>]) -> Vec<(usize, String)> {
    let path = format!("/{}", image.2.join("/"));
    let all = || {
        secrets
            .iter()
            .enumerate()
            .flat_map(|(at, keys)| keys.iter().map(move |key| (at, key)))
    };
    let mut left: Vec<(usize, &Built)> = all()
        .filter(|(_, k)| k.is_for(&image.0, image.1, &path))
        .collect();
    if left.is_empty() && image.0 == ["docker", "io"] && image.1.is_none() {
        left = all()
            .filter(|(_, k)| k.host() == "index.docker.io" && k.kept_path().is_empty())
            .collect();
    }
    let mut tried = Vec::new();
    while !left.is_empty() {
        let sort_key = |key: &Built| format!("{}{}", key.host(), key.kept_path());
        let mut best = 0;
        for at in 1..left.len() {
            if sort_key(left[at].1) > sort_key(left[best].1) {
                best = at;
            }
        }
        let (at, key) = left.remove(best);
        tried.push((at, key.text()));
    }
    tried
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_keys_whose_meaning_is_known(
        image in image(),
        secrets in prop::collection::vec(prop::collection::vec(built(), 0..4), 0..4),
    ) {
        // Within a secret the texts are sorted, as the map that is read is here.
        let secrets: Vec<Vec<Built>> = secrets
            .into_iter()
            .map(|mut keys| {
                keys.sort_by_key(Built::text);
                keys.dedup_by_key(|key| key.text());
                keys
            })
            .collect();
        let given: Vec<PodSecret> = secrets
            .iter()
            .enumerate()
            .map(|(at, keys)| pod_secret(&at.to_string(), &keys.iter().map(Built::text).collect::<Vec<_>>()))
            .collect();
        let parsed: ImageName = name(&image).parse().unwrap();
        let found = chain(&parsed, &given);
        let tried: Vec<(usize, String)> = found
            .tries
            .iter()
            .map(|t| {
                let (secret, key) = t.credential.username.split_once(' ').unwrap();
                (secret.parse().unwrap(), key.to_owned())
            })
            .collect();
        prop_assert_eq!(&tried, &brute(&image, &secrets));
        prop_assert_eq!(found.anonymous, tried.is_empty());
        let keys: usize = secrets.iter().map(Vec::len).sum();
        prop_assert_eq!(found.tries.len() + found.unmatched.len(), keys, "every key has a place");
        for fix in found.unmatched.iter().filter_map(|u| u.fix.clone()) {
            let fixed = chain(&parsed, &[pod_secret("fixed", &[fix])]);
            prop_assert_eq!(fixed.tries.len(), 1);
        }
    }

    #[test]
    fn any_text_is_judged(key in "\\PC{0,20}", other in ".{0,20}", image in image()) {
        let parsed: ImageName = name(&image).parse().unwrap();
        let found = chain(&parsed, &[pod_secret("a", &[key, other])]);
        for u in &found.unmatched {
            prop_assert!(!u.reason.is_empty());
            prop_assert!(!u.reason.chars().chain(u.key.chars()).any(char::is_control));
        }
    }

    #[test]
    fn any_content_is_read_without_being_shown(text in "\\PC{0,60}", tail in "[^h]{0,10}") {
        let text = format!("{text}hunter2{tail}");
        let mut secret = pod_secret("a", &[]);
        secret.state = SecretState::Present {
            type_: CONFIG_JSON_TYPE.to_owned(),
            data: BTreeMap::from([(CONFIG_JSON_KEY.to_owned(), Secret::new(text))]),
        };
        let found = chain(&"reg.example/app".parse().unwrap(), &[secret]);
        prop_assert_eq!(found.broken.len(), 1);
        let shown = format!("{:?} {}", found, found.broken[0].error);
        prop_assert!(!shown.contains("hunter2"));
    }
}

//! `credentials`: which of them are kept where. What spans several targets, or targets and
//! `registries`, is checked in `targets.rs`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Credentials, KubernetesTarget, NamespaceSelector, RegistryEntry, TargetPlace};
use crate::duration;
use crate::glob::Glob;
use crate::keys::CREDENTIAL_TARGET;
use crate::kubernetes;
use crate::mask;
use crate::tree::{Span, Value};

use super::fields::{Fields, Read, Walk};
use super::targets;

/// A shorter age would log in at every registry all the time.
const SHORTEST_AGE: Duration = Duration::from_secs(5 * 60);
/// The secret in which syncd keeps the tokens that last were good.
const OWN_SECRET: &str = "syncd-state";

/// One target, and the places that checks across targets point at.
pub(super) struct TargetRead<'n> {
    /// There when it could be read.
    pub(super) place: Option<TargetPlace>,
    /// Where `file.path` stands, or `kubernetes`.
    pub(super) at: Read<()>,
    /// The patterns of `names`, with their places.
    pub(super) names: Vec<Read<Glob>>,
    /// `registries`, and what is written there.
    pub(super) list: Read<()>,
    pub(super) registries: Vec<Read<&'n str>>,
}

pub(super) fn read(walk: &mut Walk<'_>, fields: &Fields<'_>, entries: &[RegistryEntry]) -> CredentialsRead {
    let max_age = max_age(walk, fields);
    let schedule = super::schedule::read(walk, fields);
    let items = fields.list(walk, "targets");
    if items.as_ref().is_some_and(Vec::is_empty)
        && let Some(targets) = fields.take(walk, "targets")
    {
        walk.diagnostics.warn(
            targets.span,
            &targets.path,
            "no credential is kept anywhere: the list is empty",
        );
    }
    let mut read = Vec::new();
    for item in items.unwrap_or_default() {
        if let Some(fields) = walk.open(&CREDENTIAL_TARGET, item.value, &item.path, item.span) {
            read.push(target(walk, &fields));
        }
    }
    let targets = targets::check(walk, &read, entries);
    let files = read
        .into_iter()
        .filter_map(|target| match target.place? {
            TargetPlace::File { path } => Some(target.at.map(|()| path)),
            TargetPlace::Kubernetes(_) => None,
        })
        .collect();
    CredentialsRead {
        files,
        credentials: Credentials {
            max_age,
            schedule,
            targets,
        },
    }
}

/// The section, and the files that it writes.
pub(super) struct CredentialsRead {
    pub(super) credentials: Credentials,
    pub(super) files: Vec<Read<PathBuf>>,
}

fn max_age(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<Duration> {
    let text = fields.text(walk, "maxAge")?;
    let (message, hint) = match duration::parse(text.value) {
        Ok(age) if age >= SHORTEST_AGE => return Some(age),
        Ok(_) => (
            "`maxAge` is at least 5m".to_owned(),
            "each time, every registry is asked for a new credential".to_owned(),
        ),
        Err(error) => (format!("`maxAge`: {error}"), error.hint()),
    };
    walk.diagnostics.error(text.span, &text.path, message).hint(hint);
    None
}

fn target<'n>(walk: &mut Walk<'_>, fields: &Fields<'n>) -> TargetRead<'n> {
    let mut read = TargetRead {
        place: None,
        at: at(fields.span, &fields.path),
        names: Vec::new(),
        list: at(fields.span, &fields.path),
        registries: Vec::new(),
    };
    if let Some(section) = fields.section(walk, "kubernetes") {
        read.at = at(section.span, &section.path);
        let kubernetes = kubernetes(walk, &section, &mut read.names);
        read.place = kubernetes.map(TargetPlace::Kubernetes);
    }
    if let Some(section) = fields.section(walk, "file")
        && let Some(text) = section.text(walk, "path")
    {
        read.place = file(walk, &text).map(|path| TargetPlace::File { path });
        read.at = text.map(|_| ());
    }
    if let Some(node) = fields.take(walk, "registries") {
        read.list = node.map(|_| ());
    }
    for item in fields.list(walk, "registries").unwrap_or_default() {
        if let Some(text) = item.value.text() {
            read.registries.push(item.map(|_| text));
        }
    }
    read
}

fn at(span: Span, path: &str) -> Read<()> {
    Read {
        value: (),
        span,
        path: path.to_owned(),
    }
}

fn file(walk: &mut Walk<'_>, text: &Read<&str>) -> Option<PathBuf> {
    if !text.value.ends_with('/') {
        return Some(walk.joined(text.value));
    }
    walk.diagnostics
        .error(text.span, &text.path, "`path` must name a file, not a folder")
        .hint(format!("such as {}config.json", text.value));
    None
}

fn kubernetes(
    walk: &mut Walk<'_>,
    fields: &Fields<'_>,
    places: &mut Vec<Read<Glob>>,
) -> Option<KubernetesTarget> {
    let secret = secret(walk, fields);
    let section = fields.section(walk, "namespaces")?;
    let namespaces = namespaces(walk, &section, places);
    Some(KubernetesTarget {
        secret: secret?,
        namespaces: namespaces?,
    })
}

fn secret(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<String> {
    let text = fields.text(walk, "secret")?;
    let (message, hint) = match kubernetes::subdomain(text.value) {
        Ok(()) if text.value == OWN_SECRET => (
            "`secret`: this is the name of the secret that syncd keeps for itself".to_owned(),
            "such as syncd-pull",
        ),
        Ok(()) => return Some(text.value.to_owned()),
        Err(form) => (
            "`secret`: this cannot be the name of a Kubernetes secret".to_owned(),
            form,
        ),
    };
    walk.diagnostics.error(text.span, &text.path, message).hint(hint);
    None
}

/// `None` when the selection could not be read, or would select by nothing.
fn namespaces(
    walk: &mut Walk<'_>,
    fields: &Fields<'_>,
    places: &mut Vec<Read<Glob>>,
) -> Option<NamespaceSelector> {
    let names = patterns(walk, fields, "names");
    let labels = labels(walk, fields);
    let exclude = patterns(walk, fields, "exclude").unwrap_or_default();
    let labelled = fields.take(walk, "matchLabels").is_some();
    match (&names, fields.take(walk, "names")) {
        (Some(names), Some(node)) if names.is_empty() => {
            if matches!(&node.value.value, Value::List(items) if items.is_empty()) {
                walk.diagnostics
                    .error(node.span, &node.path, "`names` is empty")
                    .hint("leave it out to select by labels alone; `\"*\"` is every namespace");
            }
            return None;
        }
        // A key that was meant as one of them is told already.
        (None, None) if !labelled => {
            if walk.diagnostics.has_errors_at(&fields.path) {
                return None;
            }
            walk.diagnostics
                .error(fields.span, &fields.path, "`names` or `matchLabels` is missing")
                .hint("such as `names: [team-a, team-b]`; `names: [\"*\"]` is every namespace");
            return None;
        }
        _ => {}
    }
    let names = names.unwrap_or_default();
    warn_excluded(walk, &names, &exclude);
    let globs = |read: &[Read<Glob>]| read.iter().map(|glob| glob.value.clone()).collect();
    let selector = NamespaceSelector {
        names: globs(&names),
        match_labels: labels?,
        exclude: globs(&exclude),
    };
    *places = names;
    Some(selector)
}

/// A name that is written out and left out again.
fn warn_excluded(walk: &mut Walk<'_>, names: &[Read<Glob>], exclude: &[Read<Glob>]) {
    for name in names.iter().filter(|name| name.value.is_literal()) {
        let fits = exclude.iter().find(|out| out.value.matches(name.value.as_str()));
        if let Some(out) = fits {
            walk.diagnostics
                .warn(
                    name.span,
                    &name.path,
                    "this namespace is never selected: `exclude` fits it too",
                )
                .hint(format!("the pattern is on line {}", out.span.start.line));
        }
    }
}

/// The patterns of a list; one that is there twice is told.
fn patterns(walk: &mut Walk<'_>, fields: &Fields<'_>, name: &'static str) -> Option<Vec<Read<Glob>>> {
    let mut globs: Vec<Read<Glob>> = Vec::new();
    for item in fields.list(walk, name)? {
        let Some(text) = item.value.text() else { continue };
        let glob = match parse_pattern(text) {
            Ok(glob) => glob,
            Err((message, hint)) => {
                walk.diagnostics
                    .error(item.span, &item.path, message)
                    .hint_opt(hint);
                continue;
            }
        };
        if let Some(first) = globs.iter().find(|read| read.value == glob) {
            let message = format!("this is there already, on line {}", first.span.start.line);
            walk.diagnostics.warn(item.span, &item.path, message);
        }
        globs.push(item.map(|_| glob));
    }
    Some(globs)
}

fn parse_pattern(text: &str) -> Result<Glob, (String, Option<String>)> {
    let lower = text.to_ascii_lowercase();
    let meant =
        || (lower != text && lower.parse::<Glob>().is_ok()).then(|| format!("did you mean `{lower}`?"));
    let glob = text.parse::<Glob>().map_err(|error| {
        let regex = text.contains(".*") || text.starts_with('^');
        let hint = meant().or_else(|| regex.then(|| "a pattern is no regular expression: team-*".to_owned()));
        (error.to_string(), hint)
    })?;
    // A pattern has to leave room for a name: what it says literally is part of one.
    let least: String = text.chars().filter(|c| *c != '*').collect();
    let ends = text.starts_with('-') || text.ends_with('-');
    if glob.is_literal()
        && let Err(form) = kubernetes::label(text)
    {
        return Err((
            "this cannot be the name of a namespace".to_owned(),
            Some(form.to_owned()),
        ));
    }
    if ends || least.len() > 63 {
        let form = "their names have at most 63 characters, and no `-` at the ends".to_owned();
        return Err(("this fits no namespace".to_owned(), Some(form)));
    }
    Ok(glob)
}

/// The labels; `None` when one of them could not be read.
fn labels(walk: &mut Walk<'_>, fields: &Fields<'_>) -> Option<BTreeMap<String, String>> {
    let Some(node) = fields.take(walk, "matchLabels") else {
        return Some(BTreeMap::new());
    };
    let pairs = fields.pairs(walk, "matchLabels")?;
    if pairs.is_empty() {
        walk.diagnostics
            .error(node.span, &node.path, "`matchLabels` is empty")
            .hint("leave it out, or name a label that the namespaces have");
        return None;
    }
    let mut labels = BTreeMap::new();
    let mut good = true;
    for (key, value) in pairs {
        if let Err(form) = kubernetes::label_key(key.value) {
            walk.diagnostics
                .error(key.span, &key.path, "this cannot be the key of a label")
                .hint(form);
            good = false;
        } else if key.value.split('/').all(|part| mask::key(part) == part) {
            walk.diagnostics.show(key.span);
        }
        let Some(value) = value else {
            good = false;
            continue;
        };
        if let Err(form) = kubernetes::label_value(value.value) {
            walk.diagnostics
                .error(value.span, &value.path, "this cannot be the value of a label")
                .hint(form);
            good = false;
        }
        labels.insert(key.value.to_owned(), value.value.to_owned());
    }
    good.then_some(labels)
}

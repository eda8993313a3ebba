//! What must hold between the targets of `credentials`, and between them and `registries`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::{CredentialTarget, KubernetesTarget, RegistryEntry, TargetPlace};
use crate::host::RegistryHost;
use crate::suggest;

use super::credentials::TargetRead;
use super::fields::{Read, Walk};

/// Stands for every entry with an identity.
const ALL: &str = "*";
/// What syncd keeps in its own folder.
const OWN: [&str; 5] = ["store", "receipts", "tokens", "inventory.json", "syncd.sock"];

/// The targets with the entries that they name.
pub(super) fn check(
    walk: &mut Walk<'_>,
    targets: &[TargetRead<'_>],
    entries: &[RegistryEntry],
) -> Vec<CredentialTarget> {
    // What is wrong within an entry is told there; its name and identity are then not known here.
    let known = Known {
        entries,
        sound: !walk.diagnostics.has_errors_at("registries"),
    };
    let mut unproven = Vec::new();
    let mut checked = Vec::new();
    for target in targets {
        let named = known.named(walk, target, &mut unproven);
        // In the order of `registries`, whatever the order here.
        let in_order = entries
            .iter()
            .map(|entry| &entry.name)
            .filter(|name| named.contains(name));
        let registries = in_order.cloned().collect();
        if let Some(place) = target.place.clone() {
            checked.push(CredentialTarget { place, registries });
        }
    }
    same_files(walk, targets);
    same_secrets(walk, targets);
    checked
}

struct Known<'e> {
    entries: &'e [RegistryEntry],
    /// Whether they all could be read.
    sound: bool,
}

impl<'e> Known<'e> {
    /// The names of the entries whose credentials a target holds.
    fn named(
        &self,
        walk: &mut Walk<'_>,
        target: &TargetRead<'_>,
        unproven: &mut Vec<&'e str>,
    ) -> Vec<&'e String> {
        let mut found: Vec<(&RegistryEntry, &Read<&str>)> = Vec::new();
        for name in &target.registries {
            if name.value == ALL {
                found.extend(self.all(walk, target, name));
            } else if let Some(entry) = self.find(walk, name) {
                if let Some((_, first)) = found.iter().find(|(other, _)| other.name == entry.name) {
                    let message = format!("this is there already, on line {}", first.span.start.line);
                    walk.diagnostics.error(name.span, &name.path, message);
                    continue;
                }
                found.push((entry, name));
            }
        }
        if target.registries.is_empty() && !walk.diagnostics.has_errors_at(&target.list.path) {
            walk.diagnostics
                .error(target.list.span, &target.list.path, "`registries` is empty")
                .hint("name the entries of the top-level `registries` whose credentials belong here");
        }
        one_a_host(walk, &found);
        warn_unproven(walk, &found, unproven);
        found.into_iter().map(|(entry, _)| &entry.name).collect()
    }

    /// Every entry with an identity.
    fn all<'r, 'n>(
        &self,
        walk: &mut Walk<'_>,
        target: &TargetRead<'_>,
        star: &'r Read<&'n str>,
    ) -> Vec<(&'e RegistryEntry, &'r Read<&'n str>)> {
        if target.registries.len() > 1 {
            walk.diagnostics
                .error(star.span, &star.path, "`\"*\"` stands for all entries")
                .hint("leave it out, or the others");
            return Vec::new();
        }
        let with_identity = self.entries.iter().filter(|entry| entry.identity.is_some());
        let all: Vec<_> = with_identity.map(|entry| (entry, star)).collect();
        if all.is_empty() && self.sound {
            walk.diagnostics
                .error(star.span, &star.path, "no entry of `registries` has an identity")
                .hint("add `basic` to an entry of the top-level `registries`");
        } else if matches!(target.place, Some(TargetPlace::Kubernetes(_))) {
            walk.diagnostics
                .warn(
                    star.span,
                    &star.path,
                    "every selected namespace gets every credential, later ones too",
                )
                .hint("name the entries that these namespaces need");
        }
        all
    }

    fn find(&self, walk: &mut Walk<'_>, name: &Read<&str>) -> Option<&'e RegistryEntry> {
        let entry = self.entries.iter().find(|entry| entry.name == name.value);
        let (message, hint) = match entry {
            Some(entry) if entry.identity.is_some() => return Some(entry),
            _ if !self.sound => return None,
            Some(_) => (
                "this entry has no identity, so there is no credential to keep",
                "add `basic` to it under the top-level `registries`".to_owned(),
            ),
            None => ("no entry of `registries` has this name", self.meant(name.value)),
        };
        walk.diagnostics.error(name.span, &name.path, message).hint(hint);
        None
    }

    /// The entries of a host, or the name that is written nearly so.
    fn meant(&self, text: &str) -> String {
        let host = text.parse::<RegistryHost>().ok();
        let of_host = self
            .entries
            .iter()
            .filter(|entry| Some(&entry.host) == host.as_ref());
        let of_host: Vec<&str> = of_host.map(|entry| entry.name.as_str()).collect();
        match of_host.as_slice() {
            [] => match suggest::nearest(text, self.entries.iter().map(|entry| entry.name.as_str())) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "add it to the top-level `registries`".to_owned(),
            },
            [only] => format!("this host's entry is named `{only}`"),
            several => format!("this host has several entries: {}", several.join(", ")),
        }
    }
}

/// A docker config has one credential for a host.
fn one_a_host(walk: &mut Walk<'_>, found: &[(&RegistryEntry, &Read<&str>)]) {
    let mut hosts: BTreeMap<&RegistryHost, &str> = BTreeMap::new();
    for (entry, at) in found {
        let Some(first) = hosts.insert(&entry.host, &entry.name) else {
            continue;
        };
        let message = if at.value == ALL {
            format!(
                "two entries have an identity for one host: `{first}` and `{}`",
                entry.name
            )
        } else {
            format!("`{first}` is for the same host, and a target holds one credential for a host")
        };
        walk.diagnostics
            .error(at.span, &at.path, message)
            .hint("name one of them here; another target may hold the other");
    }
}

/// Each entry is told once, however many targets name it.
fn warn_unproven<'e>(
    walk: &mut Walk<'_>,
    found: &[(&'e RegistryEntry, &Read<&str>)],
    told: &mut Vec<&'e str>,
) {
    for (entry, at) in found {
        if entry.probe.is_none() && !told.contains(&entry.name.as_str()) {
            told.push(&entry.name);
            walk.diagnostics
                .warn(
                    at.span,
                    &at.path,
                    format!(
                        "`{}` has no `probe`: its credential is kept here unproven",
                        entry.name
                    ),
                )
                .hint("add an image that it may pull, such as `probe: team/app:1.0`");
        }
    }
}

fn same_files(walk: &mut Walk<'_>, targets: &[TargetRead<'_>]) {
    let mut files: BTreeMap<&Path, u32> = BTreeMap::new();
    for target in targets {
        let Some(TargetPlace::File { path }) = &target.place else {
            continue;
        };
        if let Some(line) = files.get(path.as_path()) {
            walk.diagnostics
                .error(
                    target.at.span,
                    &target.at.path,
                    format!("this file is another target already, on line {line}"),
                )
                .hint("name all its registries in one target");
        } else {
            files.insert(path, target.at.span.start.line);
        }
    }
}

/// One secret cannot hold what two targets want. Patterns may meet too: only the cluster knows.
fn same_secrets(walk: &mut Walk<'_>, targets: &[TargetRead<'_>]) {
    let targets: Vec<(&TargetRead<'_>, &KubernetesTarget)> = targets
        .iter()
        .filter_map(|target| match &target.place {
            Some(TargetPlace::Kubernetes(kubernetes)) => Some((target, kubernetes)),
            _ => None,
        })
        .collect();
    for (i, (later, place)) in targets.iter().enumerate() {
        let earlier = targets[..i]
            .iter()
            .filter(|(_, other)| other.secret == place.secret);
        for (other, other_place) in earlier {
            let shared = later.names.iter().find(|name| {
                name.value.is_literal()
                    && certainly(place, &name.value.to_string())
                    && certainly(other_place, &name.value.to_string())
            });
            if let Some(name) = shared {
                walk.diagnostics
                    .error(
                        name.span,
                        &name.path,
                        format!(
                            "the target on line {} writes a secret of the same name here",
                            other.at.span.start.line
                        ),
                    )
                    .hint("give one of them another `secret`, or name all registries in one target");
                break;
            }
        }
    }
}

/// Whether a namespace of that name is selected whatever its labels are.
fn certainly(place: &KubernetesTarget, name: &str) -> bool {
    place.namespaces.match_labels.is_empty() && place.namespaces.selects(name, &BTreeMap::new())
}

/// A file of syncd's own is no target.
pub(super) fn own_files(walk: &mut Walk<'_>, state_dir: &Path, files: &[Read<PathBuf>]) {
    for file in files {
        let Ok(within) = file.value.strip_prefix(state_dir) else {
            continue;
        };
        let first = within.components().next();
        let own = first.is_none_or(|first| OWN.iter().any(|own| first.as_os_str() == *own));
        if own {
            walk.diagnostics
                .error(
                    file.span,
                    &file.path,
                    "this is a file of syncd's own, in `stateDir`",
                )
                .hint("name another file");
        }
    }
}

//! What has to hold of a store after anything has happened.

use std::collections::HashMap;
use std::path::Path;

use syncd::oci::conformance::Sample;
use syncd::oci::layout::Layout;
use syncd::oci::walk::walk;
use syncd_config::digest::Hasher;
use syncd_config::reference::Target;
use syncd_config::{Digest, Repository, Tag};

/// The values a tag goes through, in order; `None` is absent.
struct Course {
    repository: &'static str,
    tag: &'static str,
    values: Vec<Option<Digest>>,
}

fn courses() -> Vec<Course> {
    let index = |salt| {
        let sample = Sample::sized(salt, 100_000).unwrap();
        Some(sample.index().unwrap().digest.clone())
    };
    let (first, second) = (index("first"), index("second"));
    vec![
        Course {
            repository: "team/app",
            tag: "v1",
            values: vec![None, first.clone(), second],
        },
        Course {
            repository: "team/app",
            tag: "old",
            values: vec![None, first.clone(), None],
        },
        Course {
            repository: "other/app",
            tag: "v1",
            values: vec![None, first],
        },
    ]
}

/// Opens the store as a new process would and gives everything that is wrong with it, told that
/// the writer has said `acknowledged`.
pub(crate) fn damage(dir: &Path, acknowledged: &str) -> Vec<String> {
    let mut found = Vec::new();
    let store = match Layout::own(dir) {
        Ok(store) => store,
        Err(error) => return vec![format!("the store does not open: {error}")],
    };
    if std::fs::read_dir(dir.join("tmp")).unwrap().next().is_some() {
        found.push("tmp is not swept".to_owned());
    }
    match store.repositories(None, 100) {
        Ok(names) => names
            .iter()
            .for_each(|name| repository(&store, dir, name, &mut found)),
        Err(error) => found.push(format!("the repositories cannot be listed: {error}")),
    }
    let said: Vec<&str> = acknowledged
        .lines()
        .filter_map(|line| line.strip_prefix("ack "))
        .collect();
    for course in courses() {
        kept(&store, &course, &said, &mut found);
    }
    let app: Repository = "team/app".parse().unwrap();
    if said.contains(&"public") && !store.is_public(&app) {
        found.push("team/app was public and is not".to_owned());
    }
    for (name, digest) in said.iter().filter_map(|line| line.split_once(' ')) {
        if let (Ok(name), Ok(digest)) = (name.parse::<Repository>(), digest.parse::<Digest>()) {
            let gone = said.contains(&"team/app old -") || name.as_str() == "other/app";
            let there = store.manifest_sync(&name, &Target::Digest(digest.clone()));
            if !gone && !matches!(there, Ok(Some(_))) {
                found.push(format!("{name}@{digest} was acknowledged and is not there"));
            }
        }
    }
    found
}

/// The last acknowledged value of a tag or a later one.
fn kept(store: &Layout, course: &Course, said: &[&str], found: &mut Vec<String>) {
    let (repository, tag) = (course.repository, course.tag);
    let lead = format!("{repository} {tag} ");
    let acknowledged = said.iter().filter(|line| line.starts_with(&lead)).count();
    let target = Target::Tag(tag.parse().unwrap());
    let now = match store.head_sync(&repository.parse().unwrap(), &target) {
        Ok(head) => head.map(|head| head.digest),
        Err(error) => return found.push(format!("{lead}: {error}")),
    };
    if !course.values[acknowledged.min(course.values.len() - 1)..].contains(&now) {
        found.push(format!(
            "{lead} is {now:?} after {acknowledged} acknowledged values"
        ));
    }
}

fn repository(store: &Layout, dir: &Path, name: &Repository, found: &mut Vec<String>) {
    let folder = dir.join("repositories").join(name.as_str());
    let mut targets: Vec<Target> = Vec::new();
    for file in std::fs::read_dir(folder.join("_manifests")).into_iter().flatten() {
        let file = file.unwrap().file_name();
        let digest = file.to_str().unwrap().replacen('-', ":", 1);
        targets.push(Target::Digest(digest.parse().unwrap()));
    }
    let tags: Vec<Tag> = store.tags(name, None, 1000).unwrap();
    targets.extend(tags.into_iter().map(Target::Tag));
    let mut read = HashMap::new();
    for target in targets {
        if let Err(wrong) = whole(store, name, &target, &mut read) {
            found.push(format!("{name} {target} is damaged: {wrong}"));
        }
    }
    let layout = folder.join("_layout");
    if layout.join("index.json").exists()
        && let Err(error) = Layout::open_read(&layout).and_then(|folder| folder.top_level())
    {
        found.push(format!("index.json of {name} is damaged: {error}"));
    }
}

fn whole(
    store: &Layout,
    name: &Repository,
    target: &Target,
    read: &mut HashMap<Digest, bool>,
) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| error.to_string())?;
    let closure = runtime
        .block_on(walk(store, name, target))
        .map_err(|error| chain(&error))?;
    for blob in closure.blobs {
        let digest = &blob.descriptor.digest;
        let good = match read.get(digest) {
            Some(good) => *good,
            None => {
                let good = blob_is_whole(store, name, digest);
                read.insert(digest.clone(), good);
                good
            }
        };
        if !good {
            return Err(format!("{} ({digest})", blob.path));
        }
    }
    Ok(())
}

fn blob_is_whole(store: &Layout, name: &Repository, digest: &Digest) -> bool {
    let Ok(Some((mut file, _))) = store.blob_file(name, digest) else {
        return false;
    };
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
    let mut hasher = Hasher::new(digest.algorithm());
    hasher.update(&bytes);
    hasher.finish() == *digest
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

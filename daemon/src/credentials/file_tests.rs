//! The file of somebody else stays whole, whatever happens.

use std::os::unix::fs::symlink;

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

const OLD: &str = "{\"auths\":{\"other.example\":{\"auth\":\"eDp5\"}},\"psFormat\":\"x\"}";

struct Place {
    dir: tempfile::TempDir,
    path: PathBuf,
}

fn place(content: Option<&str>) -> Place {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    if let Some(content) = content {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    Place { dir, path }
}

impl Place {
    fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<_> = names
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    async fn put(&self, password: &str, formerly: &[&str]) -> Result<FileOutcome, FileError> {
        put(&self.path, password, formerly, false).await
    }
}

async fn put(
    path: &Path,
    password: &str,
    formerly: &[&str],
    dry_run: bool,
) -> Result<FileOutcome, FileError> {
    let secret = Secret::new(password);
    let formerly: Vec<String> = formerly.iter().map(|host| (*host).to_owned()).collect();
    write(
        path,
        &[("reg.example".parse().unwrap(), "bot", &secret)],
        &formerly,
        dry_run,
    )
    .await
}

fn user_of(text: &str, key: &str) -> String {
    use base64::Engine as _;
    let value: Value = serde_json::from_str(text).unwrap();
    let auth = value["auths"][key]["auth"].as_str().unwrap();
    String::from_utf8(base64::prelude::BASE64_STANDARD.decode(auth).unwrap()).unwrap()
}

fn inode(path: &Path) -> (u64, i64, i64) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
}

#[tokio::test]
async fn is_made_kept_and_rotated() {
    let place = place(None);
    assert_eq!(place.put("one", &[]).await.unwrap().change, FileChange::Created);
    assert_eq!(fs::metadata(&place.path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(user_of(&place.text(), "reg.example"), "bot:one");
    let before = inode(&place.path);
    assert_eq!(
        place.put("one", &["reg.example"]).await.unwrap().change,
        FileChange::Unchanged
    );
    assert_eq!(
        inode(&place.path),
        before,
        "nothing is written when nothing changes"
    );
    assert_eq!(
        place.put("two", &["reg.example"]).await.unwrap().change,
        FileChange::Updated
    );
    assert_eq!(user_of(&place.text(), "reg.example"), "bot:two");
    let outcome = write(&place.path, &[], &["reg.example".to_owned()], false)
        .await
        .unwrap();
    assert_eq!(outcome.change, FileChange::Updated);
    assert!(!place.text().contains("reg.example"));
    assert_eq!(place.names(), ["config.json"]);
}

#[tokio::test]
async fn nothing_to_put_makes_no_file() {
    let place = place(None);
    let outcome = write(&place.path, &[], &["reg.example".to_owned()], false)
        .await
        .unwrap();
    assert_eq!(outcome.change, FileChange::Unchanged);
    assert!(place.names().is_empty());
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let fresh = place(None);
    assert_eq!(
        put(&fresh.path, "one", &[], true).await.unwrap().change,
        FileChange::Created
    );
    assert!(fresh.names().is_empty());
    let old = place(Some(OLD));
    assert_eq!(
        put(&old.path, "one", &[], true).await.unwrap().change,
        FileChange::Updated
    );
    assert_eq!(old.text(), OLD);
}

#[tokio::test]
async fn mode_and_owner_stay() {
    let place = place(Some(OLD));
    fs::set_permissions(&place.path, Permissions::from_mode(0o640)).unwrap();
    // Only root may give a file away; the group of another user is enough to see that it is kept.
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(&place.path, Some(12345), Some(23456)).unwrap();
    }
    let old = fs::metadata(&place.path).unwrap();
    let outcome = place.put("one", &[]).await.unwrap();
    let new = fs::metadata(&place.path).unwrap();
    assert_ne!(old.ino(), new.ino());
    assert_eq!(
        (old.mode(), old.uid(), old.gid()),
        (new.mode(), new.uid(), new.gid())
    );
    assert!(outcome.warnings[0].contains("0640"), "{:?}", outcome.warnings);
}

#[tokio::test]
async fn a_file_that_is_no_docker_config_is_left_alone() {
    for (content, where_) in [
        ("{\n  \"auths\": {\"hunter2\": }\n}", "line 2, column 24"),
        ("[]", "line 1, column 1"),
        ("{\"auths\":\"hunter2\"}", "line 1, column 10"),
    ] {
        let place = place(Some(content));
        let error = place.put("one", &["reg.example"]).await.unwrap_err();
        assert_eq!(error.kind(), FileErrorKind::Malformed);
        assert!(error.kind().is_refusal() && error.hint().is_some());
        let source = error.source().unwrap().to_string();
        assert!(source.contains(where_), "{source}");
        assert!(!format!("{error} {source} {error:?}").contains("hunter2"));
        assert_eq!(place.text(), content);
        assert_eq!(place.names(), ["config.json"]);
    }
    for content in [
        format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_SIZE)),
        " ".repeat(MAX_SIZE + 1),
    ] {
        let large = place(Some(&content));
        let error = large.put("one", &[]).await.unwrap_err();
        assert_eq!(error.kind(), FileErrorKind::TooLarge);
        assert_eq!(large.text().len(), content.len());
    }
    let full = place(Some(&format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_SIZE - 20))));
    assert_eq!(
        full.put("one", &[]).await.unwrap_err().kind(),
        FileErrorKind::TooLarge
    );
    assert_eq!(full.names(), ["config.json"]);
}

#[tokio::test]
async fn an_entry_of_somebody_else_is_refused_with_the_way_out() {
    let content = "{\"auths\":{\"https://reg.example\":{\"auth\":\"eDp5\"}}}";
    let place = place(Some(content));
    let outcome = place.put("one", &[]).await.unwrap();
    assert_eq!(outcome.change, FileChange::Unchanged);
    assert_eq!(outcome.foreign.len(), 1);
    assert_eq!(
        outcome.hint().unwrap(),
        "remove the entry `https://reg.example` from the file (docker logout reg.example), or take reg.example out of this target's registries"
    );
    assert_eq!(place.text(), content);
}

#[tokio::test]
async fn a_link_is_followed_within_its_folder_only() {
    let near = place(None);
    let real = near.dir.path().join("real.json");
    fs::write(&real, OLD).unwrap();
    symlink("real.json", &near.path).unwrap();
    near.put("one", &[]).await.unwrap();
    assert!(fs::symlink_metadata(&near.path).unwrap().is_symlink());
    assert_eq!(
        user_of(&fs::read_to_string(&real).unwrap(), "reg.example"),
        "bot:one"
    );

    let elsewhere = place(Some(OLD));
    for to in [elsewhere.path.clone(), PathBuf::from("missing.json")] {
        let far = place(None);
        symlink(&to, &far.path).unwrap();
        assert_eq!(far.put("one", &[]).await.unwrap_err().kind(), FileErrorKind::Link);
        assert_eq!(far.names(), ["config.json"]);
    }
    assert_eq!(elsewhere.text(), OLD);
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let folder = place(None);
    fs::create_dir(&folder.path).unwrap();
    assert_eq!(
        folder.put("one", &[]).await.unwrap_err().kind(),
        FileErrorKind::NotAFile
    );
    let pipe = place(None);
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe.path)
        .status()
        .unwrap();
    assert!(made.success());
    assert_eq!(
        pipe.put("one", &[]).await.unwrap_err().kind(),
        FileErrorKind::NotAFile
    );
}

#[tokio::test]
async fn one_missing_folder_is_made_and_two_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(".docker/config.json");
    assert_eq!(
        put(&path, "one", &[], false).await.unwrap().change,
        FileChange::Created
    );
    let mode = fs::metadata(path.parent().unwrap()).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o700);
    let error = put(&dir.path().join("a/b/config.json"), "one", &[], false)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), FileErrorKind::NoFolder);
    assert!(!dir.path().join("a").exists());
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    let place = place(Some(OLD));
    let found = read(&place.path).unwrap();
    let error = replace(&place.path, found.as_ref(), |file| {
        file.write_all(b"{\"auths\"")?;
        Err(io::Error::from(IoKind::StorageFull))
    })
    .unwrap_err();
    assert_eq!(error.kind(), FileErrorKind::DiskFull);
    assert_eq!(place.text(), OLD);
    assert_eq!(place.names(), ["config.json"]);
}

#[test]
fn what_somebody_else_writes_meanwhile_is_not_lost() {
    let changed = place(Some(OLD));
    let found = read(&changed.path).unwrap();
    let theirs = OLD.replace("eDp5", "eDp6");
    let done = replace(&changed.path, found.as_ref(), |file| {
        fs::write(&changed.path, &theirs)?;
        file.write_all(b"{}")
    });
    assert!(!done.unwrap());
    assert_eq!(changed.text(), theirs);
    let appeared = place(None);
    let done = replace(&appeared.path, None, |file| {
        fs::write(&appeared.path, OLD)?;
        file.write_all(b"{}")
    });
    assert!(!done.unwrap());
    assert_eq!(appeared.text(), OLD);
    assert_eq!(appeared.names(), ["config.json"]);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map(".{0,6}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn foreign_keys_and_entries_survive(
        keys in prop::collection::hash_map("[^aA].{0,8}", any_json(), 0..4),
        entries in prop::collection::hash_map("[^r].{0,8}", any_json(), 0..4),
        pretty in any::<bool>(),
    ) {
        let mut file: Map<String, Value> = keys.into_iter().collect();
        file.insert("auths".to_owned(), Value::Object(entries.into_iter().collect()));
        let before = Value::Object(file);
        let text = if pretty {
            serde_json::to_string_pretty(&before).unwrap()
        } else {
            before.to_string()
        };
        // U+FFFD in a key is refused, because half a surrogate pair would become one.
        prop_assume!(!text.contains('\u{fffd}'));
        let place = place(Some(&text));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(place.put("one", &[])).unwrap();
        let mut after: Value = serde_json::from_str(&place.text()).unwrap();
        prop_assert_eq!(user_of(&place.text(), "reg.example"), "bot:one");
        after["auths"].as_object_mut().unwrap().remove("reg.example");
        prop_assert_eq!(after, before.clone());
        let removed = runtime.block_on(write(&place.path, &[], &["reg.example".to_owned()], false)).unwrap();
        prop_assert_eq!(removed.change, FileChange::Updated);
        let end: Value = serde_json::from_str(&place.text()).unwrap();
        prop_assert_eq!(end, before);
        prop_assert_eq!(place.names(), ["config.json"]);
    }
}

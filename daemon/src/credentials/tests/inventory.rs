//! The list of what was written.

use std::path::PathBuf;

use crate::credentials::inventory::{Inventory, Item, Stored, fingerprint, in_folder};

use super::*;

fn item(uid: Option<&str>) -> Item {
    Item {
        target: "0123456789ab".to_owned(),
        uid: uid.map(str::to_owned),
    }
}

fn inventory() -> Inventory {
    let other = Key {
        namespace: "team-a".to_owned(),
        secret: "other".to_owned(),
    };
    Inventory {
        secrets: [
            (key("team-a"), item(Some("u1"))),
            (key("team-b"), item(None)),
            (other, item(Some("u2"))),
        ]
        .into(),
        files: [(
            PathBuf::from("/root/.docker/config.json"),
            vec!["a.example".to_owned()],
        )]
        .into(),
    }
}

fn put(inventory: &mut Inventory, namespace: &str) {
    inventory.secrets.insert(key(namespace), item(None));
}

#[tokio::test]
async fn a_file_keeps_all_of_it_and_is_written_when_it_differs() {
    let dir = tempfile::tempdir().unwrap();
    let store = in_folder(dir.path());
    let mut stored = store.reload(None).await.unwrap();
    store.save(&mut stored).await.unwrap();
    let file = dir.path().join("inventory.json");
    assert!(!file.exists(), "an empty inventory is not written");
    stored.inventory = inventory();
    store.save(&mut stored).await.unwrap();
    let again = store.reload(None).await.unwrap();
    assert_eq!(again.inventory, inventory());
    let before = std::fs::metadata(&file).unwrap();
    store.save(&mut stored).await.unwrap();
    let after = std::fs::metadata(&file).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(before.ino(), after.ino(), "nothing differs: nothing is written");
}

#[tokio::test]
async fn one_that_was_not_read_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = in_folder(dir.path());
    let mut stored = store.reload(None).await.unwrap();
    stored.inventory = inventory();
    store.save(&mut stored).await.unwrap();
    // Another process, or the watch before the first pass.
    let mut unread = Stored::default();
    put(&mut unread.inventory, "team-new");
    store.save(&mut unread).await.unwrap();
    let found = store.reload(None).await.unwrap().inventory;
    assert_eq!(found.secrets.len(), inventory().secrets.len() + 1);

    let file = dir.path().join("inventory.json");
    for text in [
        "{",
        r#"{"version":2,"targets":[]}"#,
        r#"{"version":1,"targets":[{"target":"t","secret":"../x","namespaces":{"a":""}}]}"#,
        r#"{"version":1,"targets":[{"target":"t","secret":"x","namespaces":{"A/b":""}}]}"#,
    ] {
        std::fs::write(&file, text).unwrap();
        assert!(store.reload(None).await.is_err(), "{text}");
        let mut unread = Stored::default();
        put(&mut unread.inventory, "team-new");
        assert!(store.save(&mut unread).await.is_err(), "{text}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
}

#[tokio::test]
async fn what_could_not_be_stored_is_stored_later() {
    let dir = tempfile::tempdir().unwrap();
    let store = in_folder(dir.path());
    let mut stored = store.reload(None).await.unwrap();
    put(&mut stored.inventory, "team-a");
    let next = store.reload(Some(&stored)).await.unwrap();
    assert!(next.inventory.secrets.contains_key(&key("team-a")));
    // What was stored and taken out by another process does not come back.
    store.save(&mut stored).await.unwrap();
    std::fs::remove_file(dir.path().join("inventory.json")).unwrap();
    let next = store.reload(Some(&stored)).await.unwrap();
    assert!(next.inventory.secrets.is_empty());
}

#[test]
fn a_target_is_known_by_its_secret_and_selector() {
    let of = |target: &CredentialTarget| match &target.place {
        TargetPlace::Kubernetes(place) => fingerprint(place),
        TargetPlace::File { .. } => panic!("a target of secrets"),
    };
    let one = of(&labelled("private", &["a"]));
    assert_eq!(one.len(), 12);
    assert_eq!(one, of(&labelled("private", &["b"])), "its registries may change");
    assert_ne!(one, of(&labelled("public", &["a"])));
    assert_ne!(of(&target(&["team-*"], &["a"])), of(&target(&["team-a"], &["a"])));
}

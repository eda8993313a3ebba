//! What the watches make syncd look at.

use crate::cluster::{NamespaceMeta, WatchEvent};
use crate::credentials::follow::View;

use super::*;

fn namespace(name: &str, label: &str) -> NamespaceMeta {
    NamespaceMeta {
        name: name.to_owned(),
        uid: format!("uid-{name}"),
        labels: labels(label),
        terminating: false,
    }
}

/// A view with its published contents.
struct Watching<'a> {
    view: View<'a>,
    published: Vec<Published>,
}

impl<'a> Watching<'a> {
    /// All was listed: these namespaces, and our secret in those of `having`.
    fn new(targets: &'a [CredentialTarget], namespaces: &[NamespaceMeta], having: &[&str]) -> Self {
        let published: Vec<_> = targets
            .iter()
            .map(|_| ready(good("a", "new", None, true)))
            .collect();
        let mut watching = Self {
            view: View::new(targets),
            published,
        };
        watching.view.namespace(WatchEvent::Synced(namespaces.to_vec()));
        let secrets = having.iter().map(|name| watching.ours(name)).collect();
        watching.secret(WatchEvent::Synced(secrets));
        watching
    }

    fn ours(&self, namespace: &str) -> SecretMeta {
        holding(namespace, content(&self.published[0]))
    }

    fn secret(&mut self, event: WatchEvent<SecretMeta>) {
        self.view.secret("pull", event, &self.published, US);
    }

    fn due(&mut self) -> Vec<String> {
        let due = self.view.take_due();
        due.into_iter().map(|key| key.namespace).collect()
    }
}

#[test]
fn what_is_missing_after_the_lists_is_looked_at() {
    let targets = [labelled("private", &["a"])];
    let namespaces = [
        namespace("team-a", "private"),
        namespace("team-b", "private"),
        namespace("team-c", "public"),
    ];
    let mut watching = Watching::new(&targets, &namespaces, &["team-a"]);
    assert_eq!(watching.due(), ["team-b"]);
    assert!(watching.view.is_absent(&key("team-b")) && !watching.view.is_absent(&key("team-a")));
    assert_eq!(watching.due(), Vec::<String>::new(), "it is asked once");
    // In whatever order the lists come.
    let mut view = View::new(&targets);
    let published = [ready(good("a", "new", None, true))];
    view.secret("pull", WatchEvent::Synced(Vec::new()), &published, US);
    view.namespace(WatchEvent::Synced(namespaces.to_vec()));
    assert_eq!(view.take_due().len(), 2);
}

#[test]
fn secrets_that_are_told_of_before_their_namespaces_are_known_by_then() {
    let targets = [labelled("private", &["a"])];
    let published = [ready(good("a", "new", None, true))];
    let mut view = View::new(&targets);
    let fine = holding("team-a", content(&published[0]));
    let mut changed = holding("team-b", content(&published[0]));
    changed.other_managers = vec!["kubectl-edit".to_owned()];
    let secrets = vec![fine.clone(), changed.clone()];
    view.secret("pull", WatchEvent::Synced(secrets), &published, US);
    let namespaces = ["team-a", "team-b", "team-c"].map(|name| namespace(name, "private"));
    view.namespace(WatchEvent::Synced(namespaces.to_vec()));
    let due: Vec<_> = view.take_due().into_iter().collect();
    assert_eq!(
        due,
        [key("team-b"), key("team-c")],
        "what is fine costs no question"
    );
    // Their end is heard.
    for gone in [fine, changed] {
        let wanted = key(&gone.namespace);
        view.secret("pull", WatchEvent::Deleted(gone), &published, US);
        assert_eq!(view.take_due().into_iter().collect::<Vec<_>>(), [wanted]);
    }
}

#[test]
fn a_namespace_that_is_made_or_newly_labelled_is_looked_at() {
    let targets = [labelled("private", &["a"])];
    let mut watching = Watching::new(&targets, &[namespace("team-c", "public")], &[]);
    watching
        .view
        .namespace(WatchEvent::Applied(namespace("team-a", "private")));
    assert_eq!(watching.due(), ["team-a"]);
    watching
        .view
        .namespace(WatchEvent::Applied(namespace("team-b", "public")));
    assert_eq!(watching.due(), Vec::<String>::new());
    watching
        .view
        .namespace(WatchEvent::Applied(namespace("team-c", "private")));
    assert_eq!(watching.due(), ["team-c"]);
    // With its secret there, another label is no reason to look.
    let ours = watching.ours("team-c");
    watching.secret(WatchEvent::Applied(ours));
    let mut labelled = namespace("team-c", "private");
    labelled.labels.insert("more".to_owned(), "x".to_owned());
    watching.view.namespace(WatchEvent::Applied(labelled));
    assert_eq!(watching.due(), Vec::<String>::new());
    assert!(!watching.view.take_unselected());
}

#[test]
fn one_that_is_made_before_the_secrets_are_listed_does_not_wait_for_the_list() {
    let targets = [labelled("private", &["a"])];
    let mut view = View::new(&targets);
    view.namespace(WatchEvent::Synced(vec![namespace("team-a", "private")]));
    assert!(view.take_due().is_empty());
    view.namespace(WatchEvent::Applied(namespace("team-b", "private")));
    assert_eq!(view.take_due().into_iter().collect::<Vec<_>>(), [key("team-b")]);
    assert!(!view.is_absent(&key("team-b")));
}

#[test]
fn one_that_is_made_again_starts_anew() {
    let targets = [labelled("private", &["a"])];
    let mut watching = Watching::new(&targets, &[namespace("team-a", "private")], &["team-a"]);
    let again = NamespaceMeta {
        uid: "another".to_owned(),
        ..namespace("team-a", "private")
    };
    watching.view.namespace(WatchEvent::Applied(again));
    assert_eq!(watching.due(), ["team-a"]);
    assert_eq!(
        watching.view.take_gone().into_iter().collect::<Vec<_>>(),
        ["team-a"]
    );
    // The late word of the old one's end is about another object.
    watching
        .view
        .namespace(WatchEvent::Deleted(namespace("team-a", "private")));
    assert!(watching.view.target_of(&key("team-a")).is_some());
}

#[test]
fn a_namespace_that_leaves_is_left_to_a_pass() {
    let targets = [labelled("private", &["a"])];
    let mut watching = Watching::new(&targets, &[namespace("team-a", "private")], &["team-a"]);
    watching
        .view
        .namespace(WatchEvent::Applied(namespace("team-a", "public")));
    assert!(watching.view.take_unselected());
    assert!(!watching.view.take_unselected());
    assert_eq!(watching.due(), Vec::<String>::new());
    let mut leaving = Watching::new(&targets, &[namespace("team-a", "private")], &["team-a"]);
    let ours = leaving.ours("team-a");
    leaving.view.namespace(WatchEvent::Applied(NamespaceMeta {
        terminating: true,
        ..namespace("team-a", "private")
    }));
    leaving.secret(WatchEvent::Deleted(ours));
    assert!(!leaving.view.take_unselected());
    assert_eq!(leaving.due(), Vec::<String>::new());
}

#[test]
fn a_secret_that_others_touched_is_looked_at() {
    let targets = [labelled("private", &["a"])];
    let mut watching = Watching::new(&targets, &[namespace("team-a", "private")], &["team-a"]);
    let ours = watching.ours("team-a");
    watching.secret(WatchEvent::Applied(ours.clone()));
    assert_eq!(watching.due(), Vec::<String>::new(), "our own write");
    let edited = SecretMeta {
        other_managers: vec!["kubectl-edit".to_owned()],
        ..ours.clone()
    };
    for changed in [
        edited,
        hashed(ours.clone(), "sha256:0"),
        owned_by(ours.clone(), None),
        annotated(ours.clone(), CONTENT_HASH, None),
    ] {
        watching.secret(WatchEvent::Applied(changed));
        assert_eq!(watching.due(), ["team-a"]);
    }
    let another = SecretMeta {
        uid: "before".to_owned(),
        ..ours.clone()
    };
    watching.secret(WatchEvent::Deleted(another));
    assert_eq!(
        watching.due(),
        Vec::<String>::new(),
        "one that was not there any more"
    );
    watching.secret(WatchEvent::Deleted(ours));
    assert_eq!(watching.due(), ["team-a"]);
    assert!(watching.view.is_absent(&key("team-a")));
}

#[test]
fn secrets_elsewhere_are_no_business_of_ours() {
    let targets = [labelled("private", &["a"])];
    let mut watching = Watching::new(&targets, &[namespace("team-c", "public")], &[]);
    let planted = owned_by(watching.ours("team-c"), None);
    watching.secret(WatchEvent::Applied(planted));
    assert_eq!(watching.due(), Vec::<String>::new());
    watching.view.look_again(key("team-c"));
    assert_eq!(watching.due(), Vec::<String>::new());
}

#[test]
fn a_namespace_that_changes_its_target_is_looked_at() {
    let targets = [labelled("private", &["a"]), labelled("public", &["a"])];
    let mut watching = Watching::new(&targets, &[namespace("team-a", "private")], &["team-a"]);
    watching
        .view
        .namespace(WatchEvent::Applied(namespace("team-a", "public")));
    assert_eq!(watching.due(), ["team-a"]);
    assert_eq!(watching.view.target_of(&key("team-a")), Some(1));
    assert!(!watching.view.take_unselected());
}

//! Events, as `kubectl describe` shows them.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{self, Event, EventType};
use syncd_config::text::{clean, clean_to};

use super::request::Doing;
use super::{Cluster, ClusterError, ClusterErrorKind, FIELD_MANAGER, Verb};

pub(super) use kube::runtime::events::Recorder;

/// The API's limits: a note has at most 1 KiB, reason and action 128 characters.
const NOTE: usize = 1000;
const WORD: usize = 127;

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSubject {
    /// Its kind, of the core group: `Secret`, `Namespace`.
    pub kind: String,
    /// Its namespace; the event is made there. Empty for what has none: then in `default`.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid; empty when it is not there.
    pub uid: String,
}

pub(super) fn recorder(client: &Client) -> Recorder {
    Recorder::new(client.clone(), events::Reporter::from(FIELD_MANAGER))
}

impl Cluster {
    /// Records an event (`events.k8s.io/v1`); one that repeats within 6 minutes is counted, with the
    /// note of the first. `reason` and `action` are words of ours, in UpperCamelCase; `note` is
    /// cleaned and cut to what the API takes.
    pub async fn event(
        &self,
        about: &EventSubject,
        warning: bool,
        reason: &str,
        action: &str,
        note: &str,
    ) -> Result<(), ClusterError> {
        let event = Event {
            type_: if warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: clean_to(reason, WORD),
            note: Some(cut(clean_to(note, NOTE))),
            action: clean_to(action, WORD),
            secondary: None,
        };
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let subject = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some(about.kind.clone()),
            namespace: some(&about.namespace),
            name: some(&about.name),
            uid: some(&about.uid),
            ..ObjectReference::default()
        };
        let what = format!("event in namespace {}", clean(&about.namespace));
        let doing = Doing::new(Verb::Create, &what);
        let published = self.recorder.publish(&event, &subject).await;
        match published.map_err(|error| doing.failed(error)) {
            // The one that it would count on was deleted: a recorder without memory makes a new one.
            Err(error) if error.kind == ClusterErrorKind::NotFound => {
                let published = recorder(&self.client).publish(&event, &subject).await;
                published.map_err(|error| doing.failed(error))
            }
            published => published,
        }
    }
}

/// At most [`NOTE`] bytes, whole characters.
fn cut(mut note: String) -> String {
    let mut end = note.len().min(NOTE);
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    note.truncate(end);
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_fits_the_api() {
        assert_eq!(cut("€".repeat(999)).len(), 999);
        assert_eq!(cut("short".to_owned()), "short");
    }
}

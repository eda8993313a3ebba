//! What the node said about a container: the waiting message first, then the pod's events, the
//! newest first. Pure.

use jiff::Timestamp;

use super::view::{PodView, State};
use crate::diagnose::event::{self, Ranked, Reading};
use crate::report::Cause;

/// An event about the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) reason: String,
    pub(super) message: String,
    /// The container it is about, by kubelet's `fieldPath`; none when it is about the pod.
    pub(super) container: Option<String>,
    /// When it happened last.
    pub(super) at: Option<Timestamp>,
    /// How often.
    pub(super) count: u32,
}

/// What was said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Told {
    /// The causes that the words allow; empty when they say nothing.
    pub(super) ranked: Vec<Ranked>,
    /// Where the words stand, for people.
    pub(super) source: String,
    /// Whether the words say that a credential was sent (containerd's authorizer: `oauth token`
    /// with one, `anonymous token` without).
    pub(super) sent: Option<bool>,
    /// Pull secrets that kubelet did not find, by its own event.
    pub(super) missing: Vec<String>,
    /// How often the pull failed, as far as events tell.
    pub(super) tries: u32,
    /// When it failed last, as far as events tell.
    pub(super) last: Option<Timestamp>,
}

impl Told {
    /// The likeliest cause.
    pub(super) fn first(&self) -> Option<&Ranked> {
        self.ranked.first()
    }
}

/// Reads the state of the container and the events of its pod.
pub(super) fn told(view: &PodView, events: &[Event]) -> Told {
    let mut events: Vec<&Event> = events.iter().filter(|event| is_about(event, view)).collect();
    // The newest first; those without a time last.
    events.sort_by_key(|event| std::cmp::Reverse(event.at));
    let mut told = match said(view, &events) {
        Some((reading, text, source)) => Told {
            ranked: reading.ranked,
            source,
            sent: sent(text),
            ..Told::default()
        },
        None => Told::default(),
    };
    let pulls = events.iter().filter(|event| is_failed_pull(event));
    told.tries = pulls
        .clone()
        .map(|event| event.count.max(1))
        .fold(0, u32::saturating_add);
    told.last = pulls.filter_map(|event| event.at).max();
    told.missing = missing(&events);
    told
}

fn is_about(event: &Event, view: &PodView) -> bool {
    event
        .container
        .as_ref()
        .is_none_or(|container| *container == view.container.name)
}

fn is_failed_pull(event: &Event) -> bool {
    event.reason == "Failed" && event.message.starts_with("Failed to pull image")
}

/// The first words that name a cause; else the first that speak of a pull at all.
fn said<'a>(view: &'a PodView, events: &[&'a Event]) -> Option<(Reading, &'a str, String)> {
    let state = match &view.container.state {
        State::Pulling { reason, message } | State::Stuck { reason, message } => Some((reason, message)),
        State::Starting | State::Well => None,
    };
    let waiting = state.map(|(reason, message)| {
        let mut reading = event::read(message);
        if reading.ranked.is_empty() {
            reading = event::read(&format!("{reason}: {message}"));
        }
        (
            reading,
            message.as_str(),
            format!("{reason}, in the pod's status"),
        )
    });
    let of_event = |event: &&'a Event| {
        let source = format!("event {}", syncd_config::text::clean_to(&event.reason, 40));
        (event::read(&event.message), event.message.as_str(), source)
    };
    let mut fallback = None;
    for found in waiting
        .into_iter()
        .chain(events.iter().filter(|e| is_telling(e)).map(of_event))
    {
        match found.0.ranked.first() {
            Some(first) if first.cause != Cause::NoCauseInMessage => return Some(found),
            Some(_) if fallback.is_none() => fallback = Some(found),
            _ => {}
        }
    }
    fallback
}

/// Events that may name why a container does not start. The one about missing secrets is read
/// apart: kubelet says it, goes on, and the pull fails later with other words.
fn is_telling(event: &Event) -> bool {
    const REASONS: [&str; 6] = [
        "Failed",
        "InspectFailed",
        "ErrImageNeverPull",
        "FailedCreatePodSandBox",
        "FailedMount",
        "FailedScheduling",
    ];
    REASONS.contains(&event.reason.as_str()) && !event.message.starts_with("Error: ")
}

/// See [`Told::sent`].
fn sent(text: &str) -> Option<bool> {
    if text.contains("fetch oauth token") {
        Some(true)
    } else if text.contains("fetch anonymous token") || text.contains("no basic auth credentials") {
        Some(false)
    } else {
        None
    }
}

/// The names in `Unable to retrieve some image pull secrets (a, b); attempting …`.
fn missing(events: &[&Event]) -> Vec<String> {
    let newest = events
        .iter()
        .find(|event| event.reason == "FailedToRetrieveImagePullSecret");
    let names = newest.and_then(|event| {
        let (_, rest) = event.message.split_once('(')?;
        let (names, _) = rest.split_once(')')?;
        Some(names)
    });
    let names = names.into_iter().flat_map(|names| names.split(','));
    names
        .map(|name| name.trim().to_owned())
        .filter(|name| super::api::is_name(name))
        .take(super::view::SECRETS)
        .collect()
}

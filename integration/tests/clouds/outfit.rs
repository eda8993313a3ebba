//! What all identities ask with, against an issuer that misbehaves.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use syncd_integration::clouds::{Asked, Cloud, Fault, Issuer, Reply};
use syncd_providers::http::Reach;
use syncd_providers::outfit::{Answer, Ask, Payload};
use syncd_providers::{Clock, Outfit, TokenError, TokenErrorKind};
use tokio::time::timeout;

const SENT: &str = "canary-sent-5417+/=";

/// Gives a token to whoever posts the form.
struct Plain;

impl Issuer for Plain {
    fn answer(&self, asked: &Asked, _: Timestamp) -> Reply {
        match asked.form() {
            Ok(form) if form.get("key").is_some_and(|key| key == SENT) => {
                Reply::json(200, &json!({"token": "minted", "expires_in": "60"}))
            }
            Ok(_) => Reply::oauth(400, "invalid_grant", "another key"),
            Err(why) => Reply::oauth(400, "invalid_request", &why),
        }
    }
}

fn now() -> Timestamp {
    "2026-05-01T10:00:00Z".parse().unwrap()
}

async fn cloud() -> Cloud {
    Cloud::start(Arc::new(Plain), Clock::new(now)).await.unwrap()
}

async fn ask(cloud: &Cloud) -> Result<Answer, TokenError> {
    let client = Outfit::default().client(Reach::Local, true).unwrap();
    let ask = Ask {
        identity: "a test",
        what: "trade a key",
        url: cloud.url().parse().unwrap(),
        headers: HeaderMap::new(),
        payload: Payload::Form(&[("key", SENT)]),
        secrets: &[SENT],
    };
    ask.send(&client, now()).await
}

fn told(error: &TokenError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_good_answer_is_read() {
    let cloud = cloud().await;
    let answer = ask(&cloud).await.unwrap();
    assert_eq!(answer.secret("/token").unwrap().expose(), "minted");
    assert_eq!(answer.number("/expires_in"), Some(60));
    assert_eq!(answer.date, Some(now()));
    let missing = answer.secret("/nothing").unwrap_err();
    assert_eq!(missing.kind, TokenErrorKind::Malformed);
    assert_eq!(cloud.asked(), ["POST / 200"]);
}

#[tokio::test]
async fn every_fault_has_its_kind_and_no_secret() {
    let cloud = cloud().await;
    let echo = |status: u16, error: &str| {
        let body = json!({"error": error, "error_description": format!("bad key {SENT} (and {})", "canary%2Dsent%2D5417%2B%2F%3D")});
        Fault::Status(status, body.to_string(), None)
    };
    use TokenErrorKind as Kind;
    for (fault, kind, words) in [
        (Fault::status(401), Kind::Denied, "401"),
        (Fault::status(403), Kind::Denied, "403"),
        (
            echo(400, "invalid_grant"),
            Kind::Denied,
            "invalid_grant: bad key ****",
        ),
        (
            echo(400, "invalid_request"),
            Kind::Misconfigured,
            "invalid_request",
        ),
        (Fault::status(400), Kind::Malformed, "400"),
        (Fault::status(404), Kind::Misconfigured, "404"),
        (
            Fault::Status(429, String::new(), Some(30)),
            Kind::Throttled,
            "not before 30 s",
        ),
        (Fault::status(500), Kind::Unreachable, "500"),
        (Fault::status(503), Kind::Unreachable, "503"),
        (Fault::status(302), Kind::Malformed, "302"),
        (Fault::HalfBody, Kind::Unreachable, "cut"),
        (Fault::Html(SENT.to_owned()), Kind::Malformed, "an HTML page"),
        (Fault::Garbage(format!("{{{SENT}")), Kind::Malformed, "no JSON"),
        (Fault::Endless, Kind::Malformed, "longer than"),
    ] {
        cloud.fails(fault.clone());
        let error = ask(&cloud).await.err().unwrap();
        let text = told(&error);
        assert_eq!(error.kind, kind, "{fault:?}: {text}");
        assert!(text.contains(words), "{fault:?}: {text}");
        assert!(
            !format!("{text}{error:?}").contains("sent-5417"),
            "{fault:?}: {text}"
        );
    }
    cloud.fails_next([Fault::status(500)]);
    assert!(ask(&cloud).await.is_err());
    assert!(ask(&cloud).await.is_ok());
}

#[tokio::test]
async fn a_hung_issuer_is_the_callers_to_give_up() {
    let cloud = cloud().await;
    cloud.fails(Fault::Hang);
    assert!(timeout(Duration::from_millis(100), ask(&cloud)).await.is_err());
}

#[tokio::test]
async fn clocks_that_differ_are_named_with_the_amount() {
    let cloud = cloud().await;
    let old = json!({"error": "invalid_grant", "error_description": "Check your iat and exp values"});
    cloud.fails(Fault::Status(400, old.to_string(), None));
    let error = ask(&cloud).await.err().unwrap();
    assert_eq!(error.kind, TokenErrorKind::Denied, "the clocks agree");
    cloud.set_offset(SignedDuration::from_mins(17));
    let error = ask(&cloud).await.err().unwrap();
    assert_eq!(error.kind, TokenErrorKind::ClockSkew);
    assert!(
        error.to_string().contains("the clock here is 1020 s behind"),
        "{error}"
    );
    cloud.set_offset(SignedDuration::from_mins(-2));
    let error = ask(&cloud).await.err().unwrap();
    assert!(
        error.to_string().contains("the clock here is 120 s ahead"),
        "{error}"
    );
    // Not about time: whatever the clocks say.
    cloud.fails(Fault::status(401));
    assert_eq!(ask(&cloud).await.err().unwrap().kind, TokenErrorKind::Denied);
}

#[tokio::test]
async fn only_a_metadata_client_may_ask_a_metadata_address_and_it_asks_nobody_public() {
    let refused = async |reach: Reach, url: &str| {
        let client = Outfit::default().client(reach, true).unwrap();
        let ask = Ask {
            identity: "a test",
            what: "ask",
            url: url.parse().unwrap(),
            headers: HeaderMap::new(),
            payload: Payload::Get,
            secrets: &[],
        };
        let answer = timeout(Duration::from_millis(300), ask.send(&client, now())).await;
        answer.is_ok_and(|answer| answer.is_err_and(|error| error.kind == TokenErrorKind::Misconfigured))
    };
    assert!(refused(Reach::Local, "http://169.254.169.254/").await);
    assert!(!refused(Reach::Metadata, "http://169.254.169.254/").await);
    assert!(refused(Reach::Metadata, "http://203.0.113.1/").await);
}

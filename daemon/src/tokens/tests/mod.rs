//! The cache with providers that do what a test says, in paused time.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::SignedDuration;
use syncd_config::Secret;
use syncd_config::config::Limits;
use tokio::time::{Instant, advance, sleep};

use super::*;

mod trouble;

/// What a mint does.
#[derive(Clone)]
enum Does {
    /// A token with a number, and that end, after that many seconds.
    Gives(Ends, u64),
    Fails(TokenErrorKind),
    Hangs,
    Panics,
}

#[derive(Clone, Copy)]
enum Ends {
    Never,
    In(i64),
    At(&'static str),
}

/// A provider with a script whose last line is repeated.
struct Fake {
    script: Mutex<VecDeque<Does>>,
    minted: AtomicU64,
    current: AtomicBool,
    local: bool,
}

const CANARY: &str = "canary-4711-tokens";

impl Fake {
    fn new(script: impl IntoIterator<Item = Does>) -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::new(script.into_iter().collect()),
            minted: AtomicU64::new(0),
            current: AtomicBool::new(true),
            local: false,
        })
    }

    fn local(script: impl IntoIterator<Item = Does>) -> Arc<Self> {
        let mut fake = Self::new(script);
        Arc::get_mut(&mut fake).unwrap().local = true;
        fake
    }

    fn minted(&self) -> u64 {
        self.minted.load(Ordering::SeqCst)
    }

    fn next(&self) -> Does {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        match script.len() {
            1 => script[0].clone(),
            _ => script.pop_front().unwrap(),
        }
    }
}

impl TokenProvider for Fake {
    fn identity(&self) -> String {
        "fake".to_owned()
    }

    fn mint(&self, now: Timestamp) -> BoxFuture<'_, Result<Token, TokenError>> {
        let number = self.minted.fetch_add(1, Ordering::SeqCst) + 1;
        let does = self.next();
        Box::pin(async move {
            match does {
                Does::Gives(ends, after) => {
                    sleep(Duration::from_secs(after)).await;
                    self.current.store(true, Ordering::SeqCst);
                    Ok(Token {
                        username: "bot".to_owned(),
                        secret: Secret::new(format!("{CANARY}-{number}")),
                        expires: match ends {
                            Ends::Never => Expiry::Unknown,
                            Ends::In(seconds) => Expiry::Known(now + SignedDuration::from_secs(seconds)),
                            Ends::At(time) => Expiry::Known(time.parse().unwrap()),
                        },
                        minted_at: now,
                    })
                }
                Does::Fails(kind) => Err(TokenError {
                    kind,
                    identity: self.identity(),
                    detail: format!("no {number}\u{1b}[31m"),
                    source: Some("because".into()),
                }),
                Does::Hangs => std::future::pending().await,
                Does::Panics => panic!("on purpose"),
            }
        })
    }

    fn is_current(&self, _: &Token) -> bool {
        self.current.load(Ordering::SeqCst)
    }

    fn rejected(&self, _: &Token) {}

    fn useful_minimum(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn is_local(&self) -> bool {
        self.local
    }
}

fn entry(name: &str, host: &str, password_file: Option<&Path>) -> RegistryEntry {
    RegistryEntry {
        name: name.to_owned(),
        host: host.parse().unwrap(),
        identity: password_file.map(|path| Identity::Basic {
            username: name.to_owned(),
            password_file: path.to_owned(),
        }),
        probe: None,
        ca_file: None,
        plain_http: false,
        trusted_token_hosts: Vec::new(),
        proxy: syncd_config::config::Proxy::Direct,
        limits: Limits::default(),
    }
}

fn base() -> Timestamp {
    "2026-05-01T10:00:00Z".parse().unwrap()
}

fn tokens_of(providers: &[(&str, &Arc<Fake>)]) -> Tokens {
    let provider = |(name, fake): &(&str, &Arc<Fake>)| {
        let fake: Arc<dyn TokenProvider> = Arc::<Fake>::clone(fake);
        (entry(name, &format!("{name}.example"), None), fake)
    };
    let providers = providers.iter().map(provider).collect();
    Tokens::of_providers(providers, None, Clock::from_tokio(base()))
}

fn number(token: Result<Option<Token>, TokenError>) -> u64 {
    let token = token.unwrap().unwrap();
    token.secret.expose().rsplit('-').next().unwrap().parse().unwrap()
}

fn kind(token: Result<Option<Token>, TokenError>) -> TokenErrorKind {
    token.unwrap_err().kind
}

const HOUR: Does = Does::Gives(Ends::In(3600), 0);

#[tokio::test(start_paused = true)]
async fn a_hundred_ask_and_one_is_minted() {
    let fake = Fake::new([Does::Gives(Ends::In(3600), 3)]);
    let tokens = tokens_of(&[("a", &fake)]);
    let asks = (0..100).map(|i| {
        let tokens = tokens.clone();
        async move {
            if i % 2 == 0 {
                tokens.get("a").await
            } else {
                tokens.fresh("a").await
            }
        }
    });
    let got = futures::future::join_all(asks).await;
    assert_eq!(got.len(), 100);
    assert!(got.into_iter().all(|token| number(token) == 1));
    assert_eq!(fake.minted(), 1);
    assert_eq!(tokens.state("a").unwrap().mints, 1);
}

#[tokio::test(start_paused = true)]
async fn the_first_asker_may_give_up() {
    let fake = Fake::new([Does::Gives(Ends::In(3600), 5)]);
    let tokens = tokens_of(&[("a", &fake)]);
    let first = tokio::spawn({
        let tokens = tokens.clone();
        async move { tokens.get("a").await }
    });
    sleep(Duration::from_secs(1)).await;
    assert_eq!(fake.minted(), 1);
    first.abort();
    let start = Instant::now();
    assert_eq!(number(tokens.get("a").await), 1);
    assert_eq!(
        start.elapsed().as_secs(),
        4,
        "the mint went on while nobody asked"
    );
    assert_eq!(fake.minted(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_all_gave_up_find_it_later() {
    let fake = Fake::new([Does::Gives(Ends::In(3600), 5)]);
    let tokens = tokens_of(&[("a", &fake)]);
    assert!(
        tokio::time::timeout(Duration::from_secs(1), tokens.get("a"))
            .await
            .is_err()
    );
    sleep(Duration::from_secs(10)).await;
    assert!(tokens.state("a").unwrap().token.is_some());
    assert_eq!(fake.minted(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_delays_no_other_and_ends_in_time() {
    let (hangs, works) = (Fake::new([Does::Hangs]), Fake::new([HOUR]));
    let tokens = tokens_of(&[("hangs", &hangs), ("works", &works)]);
    let start = Instant::now();
    let (first, second) = tokio::join!(tokens.get("hangs"), async {
        let token = tokens.get("works").await;
        (token, start.elapsed())
    });
    assert_eq!(number(second.0), 1);
    assert_eq!(second.1, Duration::ZERO);
    let error = first.unwrap_err();
    assert_eq!(error.kind, TokenErrorKind::Unreachable);
    assert_eq!(
        error.to_string(),
        "failed to get a token of fake: no answer within 10 s"
    );
    assert_eq!(start.elapsed(), DEADLINE);
}

#[tokio::test(start_paused = true)]
async fn is_kept_until_half_of_its_life_and_then_renewed() {
    let fake = Fake::new([HOUR]);
    let tokens = tokens_of(&[("a", &fake)]);
    for _ in 0..5 {
        assert_eq!(number(tokens.get("a").await), 1);
        sleep(Duration::from_secs(300)).await;
    }
    let state = tokens.state("a").unwrap();
    let due = state.next_refresh.unwrap();
    let after = due.duration_since(base()).as_secs();
    assert!((1620..=1980).contains(&after), "{after}");
    sleep(Duration::from_secs(480)).await;
    assert_eq!(number(tokens.get("a").await), 2);
    assert_eq!(number(tokens.fresh("a").await), 3);
    assert_eq!(number(tokens.get("a").await), 3);
}

#[tokio::test(start_paused = true)]
async fn max_age_renews_what_has_no_end() {
    let fake = Fake::new([Does::Gives(Ends::Never, 0)]);
    let provider: Arc<dyn TokenProvider> = fake.clone();
    let entry = entry("a", "a.example", None);
    let tokens = Tokens::of_providers(
        vec![(entry, provider)],
        Some(Duration::from_secs(600)),
        Clock::from_tokio(base()),
    );
    assert_eq!(number(tokens.get("a").await), 1);
    sleep(Duration::from_secs(530)).await;
    assert_eq!(number(tokens.get("a").await), 1);
    sleep(Duration::from_secs(70)).await;
    assert_eq!(number(tokens.get("a").await), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_uses_a_due_token_without_waiting() {
    let fake = Fake::new([HOUR, Does::Gives(Ends::In(3600), 8)]);
    let tokens = tokens_of(&[("a", &fake)]);
    let host = "a.example".parse().unwrap();
    let secret = async || {
        let credential = CredentialSource::get(&tokens, &host).await.unwrap().unwrap();
        credential.secret.expose().to_owned()
    };
    assert_eq!(secret().await, format!("{CANARY}-1"));
    advance(Duration::from_secs(2000)).await;
    let start = Instant::now();
    assert_eq!(secret().await, format!("{CANARY}-1"));
    assert_eq!(start.elapsed(), Duration::ZERO);
    sleep(Duration::from_secs(9)).await;
    assert_eq!(secret().await, format!("{CANARY}-2"));
    assert_eq!(fake.minted(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_token_is_an_error_and_never_nobody() {
    let (hangs, fails) = (
        Fake::new([Does::Hangs]),
        Fake::new([Does::Fails(TokenErrorKind::Throttled)]),
    );
    let tokens = tokens_of(&[("hangs", &hangs), ("fails", &fails)]);
    for host in ["hangs.example", "fails.example"] {
        let error = CredentialSource::get(&tokens, &host.parse().unwrap())
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::CredentialUnavailable, "{host}");
    }
}

#[tokio::test]
async fn only_the_configured_host_gets_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "hunter2\n").unwrap();
    let entries = [
        entry("bot", "a.example", Some(&file)),
        entry("b", "b.example", None),
    ];
    let tokens = Tokens::new(&entries, None, Clock::from_tokio(base()));
    let get = async |host: &str| CredentialSource::get(&tokens, &host.parse().unwrap()).await;
    let found = get("a.example").await.unwrap().unwrap();
    assert_eq!(
        (found.username.as_str(), found.secret.expose()),
        ("bot", "hunter2")
    );
    for other in [
        "b.example",
        "a.example:8443",
        "xa.example",
        "a.example.evil.example",
        "docker.io",
    ] {
        assert_eq!(get(other).await.unwrap(), None, "{other}");
    }
    std::fs::write(&file, "hunter3\n").unwrap();
    assert_eq!(
        get("a.example").await.unwrap().unwrap().secret.expose(),
        "hunter3"
    );
    std::fs::remove_file(&file).unwrap();
    let error = get("a.example").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::CredentialUnavailable);
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
    std::fs::write(&file, "hunter4\n").unwrap();
    assert_eq!(
        get("a.example").await.unwrap().unwrap().secret.expose(),
        "hunter4"
    );
}

#[tokio::test(start_paused = true)]
async fn an_identity_that_stays_goes_on_after_a_reload() {
    let fake = Fake::new([HOUR]);
    let tokens = tokens_of(&[("a", &fake)]);
    assert_eq!(number(tokens.get("a").await), 1);
    let mut same = entry("a", "a.example", None);
    same.plain_http = true;
    let after = tokens.with_entries(&[same], None);
    assert_eq!(number(after.get("a").await), 1);
    assert_eq!(number(after.fresh("a").await), 2);
    assert_eq!(
        number(tokens.get("a").await),
        2,
        "shared with whoever still works by the old one"
    );
    // Another host or another identity under that name begins anew.
    let moved = tokens.with_entries(&[entry("a", "evil.example", None)], None);
    assert!(moved.get("a").await.unwrap().is_none());
    let other = tokens.with_entries(&[entry("a", "a.example", Some(Path::new("/nowhere")))], None);
    assert_eq!(kind(other.get("a").await), TokenErrorKind::Misconfigured);
    assert!(tokens.with_entries(&[], None).get("a").await.unwrap().is_none());
    // A shorter bound counts at once.
    let shorter = tokens.with_entries(&[entry("a", "a.example", None)], Some(Duration::from_secs(60)));
    advance(Duration::from_secs(61)).await;
    assert_eq!(number(tokens.get("a").await), 2);
    assert_eq!(number(shorter.get("a").await), 3);
}

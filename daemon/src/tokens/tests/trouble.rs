//! Issuers that fail, ends that lie, registries that refuse, clocks that jump.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_provider_that_panics_fails_and_is_asked_again() {
    let fake = Fake::new([Does::Panics, HOUR]);
    let tokens = tokens_of(&[("a", &fake)]);
    assert_eq!(kind(tokens.get("a").await), TokenErrorKind::Malformed);
    sleep(Duration::from_secs(400)).await;
    assert_eq!(number(tokens.get("a").await), 2);
}

#[tokio::test(start_paused = true)]
async fn the_one_before_is_handed_out_while_it_lives_and_never_after() {
    let fake = Fake::new([HOUR, Does::Fails(TokenErrorKind::Unreachable)]);
    let tokens = tokens_of(&[("a", &fake)]);
    assert_eq!(number(tokens.get("a").await), 1);
    sleep(Duration::from_secs(2000)).await;
    assert_eq!(number(tokens.get("a").await), 1, "due, and no other to be had");
    let state = tokens.state("a").unwrap();
    assert_eq!(
        state.error.unwrap(),
        (TokenErrorKind::Unreachable, "no 2\\u{1b}[31m: because".to_owned())
    );
    assert!(state.next_refresh.unwrap() >= base() + SignedDuration::from_secs(2000));
    assert_eq!(number(tokens.fresh("a").await), 1);
    sleep(Duration::from_secs(1599)).await;
    assert_eq!(number(tokens.get("a").await), 1);
    sleep(Duration::from_secs(1)).await;
    let error = tokens.get("a").await.unwrap_err();
    assert_eq!(error.kind, TokenErrorKind::Unreachable);
    assert!(!format!("{error:?}{tokens:?}{:?}", tokens.state("a")).contains(CANARY));
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_the_last_error_is_repeated_without_asking() {
    let fake = Fake::new([Does::Fails(TokenErrorKind::Denied)]);
    let tokens = tokens_of(&[("a", &fake)]);
    for _ in 0..1000 {
        let error = tokens.get("a").await.unwrap_err();
        assert_eq!(error.kind, TokenErrorKind::Denied);
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.to_string(), "because");
    }
    // Full jitter may wait for nothing, but not ten times in a row by more than the budget.
    assert!(fake.minted() <= 10, "{}", fake.minted());
}

#[tokio::test(start_paused = true)]
async fn a_dead_issuer_is_asked_at_most_150_times_an_hour() {
    for does in [
        Does::Fails(TokenErrorKind::Unreachable),
        Does::Gives(Ends::In(-5), 0),
        Does::Gives(Ends::In(1), 0),
    ] {
        let fake = Fake::new([does]);
        let tokens = tokens_of(&[("a", &fake)]);
        // Somebody asks all the time, by every way there is, and the registry refuses everything.
        for _ in 0..36_000 {
            if let Ok(Some(token)) = tokens.fresh("a").await {
                tokens.rejected("a", &token);
            }
            advance(Duration::from_millis(100)).await;
        }
        assert!((10..=150).contains(&fake.minted()), "{}", fake.minted());
        assert_eq!(tokens.state("a").unwrap().mints, fake.minted());
    }
}

#[tokio::test(start_paused = true)]
async fn the_longer_it_fails_the_less_it_is_asked() {
    let fake = Fake::new([Does::Fails(TokenErrorKind::Throttled)]);
    let tokens = tokens_of(&[("a", &fake)]);
    for _ in 0..3600 {
        assert_eq!(kind(tokens.get("a").await), TokenErrorKind::Throttled);
        advance(Duration::from_secs(1)).await;
    }
    // About 30: eight while the waits grow, then one in 150 s.
    assert!((10..80).contains(&fake.minted()), "{}", fake.minted());
    let state = tokens.state("a").unwrap();
    let next = state.next_refresh.unwrap().duration_since(base()).as_secs();
    assert!((3600..=3900).contains(&next), "{next}");
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_back_is_noticed_within_minutes() {
    let mut script = vec![Does::Fails(TokenErrorKind::Unreachable); 12];
    script.push(HOUR);
    let fake = Fake::new(script);
    let tokens = tokens_of(&[("a", &fake)]);
    let start = Instant::now();
    while fake.minted() < 12 {
        assert_eq!(kind(tokens.get("a").await), TokenErrorKind::Unreachable);
        advance(Duration::from_secs(1)).await;
    }
    let dead = start.elapsed();
    while tokens.get("a").await.is_err() {
        advance(Duration::from_secs(1)).await;
    }
    assert!(
        start.elapsed() - dead <= Duration::from_secs(302),
        "{:?}",
        start.elapsed() - dead
    );
    assert!(tokens.state("a").unwrap().error.is_none());
}

#[tokio::test(start_paused = true)]
async fn ends_that_cannot_be_true_are_unknown_and_start_no_loop() {
    for ends in [
        Ends::At("0001-01-01T00:00:00Z"),
        Ends::At("1970-01-01T00:00:00Z"),
        Ends::At("2015-01-01T00:00:00Z"),
        Ends::At("9999-12-30T20:00:00Z"),
        Ends::In(0),
        Ends::In(-1),
    ] {
        let fake = Fake::new([Does::Gives(ends, 0)]);
        let tokens = tokens_of(&[("a", &fake)]);
        for _ in 0..100 {
            let token = tokens.get("a").await.unwrap().unwrap();
            assert_eq!(token.expires, Expiry::Unknown);
            advance(Duration::from_secs(60)).await;
        }
        assert_eq!(fake.minted(), 1);
        assert_eq!(tokens.state("a").unwrap().next_refresh, None);
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_token_is_none() {
    struct Empty;
    impl TokenProvider for Empty {
        fn identity(&self) -> String {
            "empty".to_owned()
        }
        fn mint(&self, now: Timestamp) -> BoxFuture<'_, Result<Token, TokenError>> {
            Box::pin(std::future::ready(Ok(Token {
                username: "bot".to_owned(),
                secret: Secret::default(),
                expires: Expiry::Unknown,
                minted_at: now,
            })))
        }
        fn is_current(&self, _: &Token) -> bool {
            true
        }
        fn rejected(&self, _: &Token) {}
        fn useful_minimum(&self) -> Duration {
            Duration::ZERO
        }
    }
    let provider: Arc<dyn TokenProvider> = Arc::new(Empty);
    let tokens = Tokens::of_providers(
        vec![(entry("a", "a.example", None), provider)],
        None,
        Clock::from_tokio(base()),
    );
    assert_eq!(kind(tokens.get("a").await), TokenErrorKind::Malformed);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_at_once_but_not_in_a_storm() {
    let fake = Fake::new([HOUR]);
    let tokens = tokens_of(&[("a", &fake)]);
    let host = "a.example".parse().unwrap();
    let first = CredentialSource::get(&tokens, &host).await.unwrap().unwrap();
    CredentialSource::rejected(&tokens, &host, &first);
    assert_eq!(number(tokens.get("a").await), 2);
    // The refusal of an older one says nothing about this one.
    CredentialSource::rejected(&tokens, &host, &first);
    assert_eq!(number(tokens.get("a").await), 2);
    let second = CredentialSource::get(&tokens, &host).await.unwrap().unwrap();
    CredentialSource::rejected(&tokens, &host, &second);
    assert_eq!(number(tokens.get("a").await), 2, "refused right after one was");
    advance(Duration::from_secs(61)).await;
    CredentialSource::rejected(&tokens, &host, &second);
    assert_eq!(number(tokens.get("a").await), 3);
}

#[tokio::test(start_paused = true)]
async fn what_reads_a_file_is_never_waited_for_unless_it_hangs() {
    let mut script = vec![Does::Fails(TokenErrorKind::Misconfigured); 200];
    script.extend([Does::Gives(Ends::Never, 0), Does::Hangs]);
    let fake = Fake::local(script);
    let tokens = tokens_of(&[("a", &fake)]);
    for _ in 0..200 {
        assert_eq!(kind(tokens.get("a").await), TokenErrorKind::Misconfigured);
    }
    assert_eq!(number(tokens.get("a").await), 201);
    fake.current.store(false, Ordering::SeqCst);
    assert_eq!(kind(tokens.get("a").await), TokenErrorKind::Unreachable);
    let (start, minted) = (Instant::now(), fake.minted());
    while start.elapsed() < Duration::from_secs(3600) {
        assert_eq!(kind(tokens.get("a").await), TokenErrorKind::Unreachable);
        advance(Duration::from_secs(1)).await;
    }
    assert!(fake.minted() - minted < 150, "{}", fake.minted() - minted);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_neither_kills_nor_prolongs() {
    let offset = Arc::new(std::sync::atomic::AtomicI64::new(0));
    let clock = {
        let (offset, base) = (Arc::clone(&offset), Clock::from_tokio(base()));
        Clock::new(move || base.now() + SignedDuration::from_secs(offset.load(Ordering::SeqCst)))
    };
    let fake = Fake::new([HOUR]);
    let provider: Arc<dyn TokenProvider> = fake.clone();
    let tokens = Tokens::of_providers(vec![(entry("a", "a.example", None), provider)], None, clock);
    assert_eq!(number(tokens.get("a").await), 1);
    // Set back by 17 hours: still renewed when half of its life has passed.
    offset.store(-17 * 3600, Ordering::SeqCst);
    assert_eq!(number(tokens.get("a").await), 1);
    advance(Duration::from_secs(2000)).await;
    assert!(tokens.state("a").unwrap().next_refresh.unwrap() <= tokens.inner.clock.now());
    assert_eq!(number(tokens.get("a").await), 2);
    // The machine slept for 5 hours, which tokio's time did not see.
    offset.store(5 * 3600, Ordering::SeqCst);
    assert_eq!(number(tokens.get("a").await), 3);
}

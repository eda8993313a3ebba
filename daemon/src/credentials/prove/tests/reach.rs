//! Where a token goes while it is proven, and where it does not.

use super::*;

/// A registry that sends the login to another host.
async fn elsewhere(token_host: &RegistryHost) -> Scripted {
    let realm = format!(r#"Bearer realm="http://{token_host}/token",service="s""#);
    Scripted::start(move |asked| match asked.header("authorization") {
        Some("Bearer plain-t" | "Bearer scoped-t") => answer(200, &[], ""),
        _ => answer(401, &[("www-authenticate", &realm)], UNAUTHORIZED),
    })
    .await
}

#[tokio::test]
async fn the_token_goes_to_its_host_and_trusted_token_hosts_only() {
    let token_host = BEARER.start().await;
    let registry = elsewhere(&token_host.host).await;
    let own = probed(&registry.host);
    let proof = proof(&own, &token(GOOD)).await;
    assert_eq!(told(&proof).0, "undecided", "{proof:?}");
    assert_eq!(token_host.asked().len(), 0);
    assert!(
        registry
            .asked()
            .iter()
            .all(|asked| asked.header("authorization").is_none())
    );

    let mut trusting = own;
    trusting.trusted_token_hosts = vec![token_host.host.clone()];
    // Plain http is for hosts that have an entry which says so; that entry's identity is not used.
    let entries = [trusting.clone(), entry(&token_host.host)];
    let proof = prove(&client_of(&entries), &trusting, &token(GOOD)).await;
    assert_eq!(told(&proof).0, "proven", "{proof:?}");
    assert!(
        registry
            .asked()
            .iter()
            .all(|asked| asked.header("authorization") != Some(&basic(GOOD)))
    );
}

#[tokio::test]
async fn a_redirect_takes_no_credential_along() {
    let other = Kind {
        manifest: Asks::Never,
        ..BEARER
    }
    .start()
    .await;
    let to = format!("http://{}/v2/team/app/manifests/1.0", other.host);
    let server = Scripted::start(move |asked| match asked.header("authorization") {
        Some(_) if asked.uri == "/v2/" => answer(200, &[], ""),
        Some(_) => answer(307, &[("location", &to)], ""),
        None => answer(401, &[("www-authenticate", "Basic")], UNAUTHORIZED),
    })
    .await;
    let own = probed(&server.host);
    let entries = [own.clone(), entry(&other.host)];
    let proof = prove(&client_of(&entries), &own, &token(GOOD)).await;
    assert_eq!(told(&proof).0, "proven", "{proof:?}");
    assert_eq!(other.asked().len(), 1);
    assert!(other.asked()[0].header("authorization").is_none());
}

#[tokio::test]
async fn the_token_itself_is_proven_and_not_what_the_client_knows() {
    let server = BASIC.start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, GOOD).unwrap();
    let mut own = probed(&server.host);
    own.identity = Some(syncd_config::config::Identity::Basic {
        username: "bot".to_owned(),
        password_file: file,
    });
    // Two identities for one host: the entry says which, and the client's own password is good.
    let mut second = own.clone();
    second.name = "second".to_owned();
    let entries = [own.clone(), second.clone()];
    let clock = Clock::from_tokio("2026-05-01T10:00:00Z".parse().unwrap());
    let tokens = Tokens::new(&entries, None, clock.clone());
    let client = RegistryClient::new(&entries, Arc::new(tokens), clock).unwrap();
    let manifest = async |client: &RegistryClient| {
        let remote = Remote::source(client.clone(), server.host.clone());
        let probe = own.probe.clone().unwrap();
        let answer = remote.try_manifest(Method::HEAD, &probe.repository, &probe.target);
        answer.await.map(|_| ())
    };
    manifest(&client).await.unwrap();
    for entry in [&own, &second] {
        assert_eq!(told(&prove(&client, entry, &token(WRONG)).await).0, "refused");
        assert_eq!(told(&prove(&client, entry, &token(GOOD)).await).0, "proven");
    }
    let mut unknown = own.clone();
    unknown.name = "unknown".to_owned();
    let proof = prove(&client, &unknown, &token(GOOD)).await;
    assert_eq!(told(&proof).0, "undecided");
    assert!(
        told(&proof).1.contains("no registries entry unknown"),
        "{proof:?}"
    );
    // The client that was asked still has its own, and counts what was done in its name.
    manifest(&client).await.unwrap();
    assert!(client.requests(&server.host) >= 10);
}

#[tokio::test]
async fn the_host_is_reached_as_the_entry_says_that_the_token_is_of() {
    let server = BASIC.start().await;
    let mut by_tls = probed(&server.host);
    by_tls.name = "first".to_owned();
    by_tls.plain_http = false;
    let mut plain = probed(&server.host);
    plain.name = "second".to_owned();
    // Nothing but the entry says which of the two: none has the host as its name.
    let client = client_of(&[by_tls.clone(), plain.clone()]).without_retries();
    assert_eq!(told(&prove(&client, &plain, &token(GOOD)).await).0, "proven");
    assert_eq!(told(&prove(&client, &by_tls, &token(GOOD)).await).0, "undecided");
    // Without one, the connection is as the first says: nobody's credential depends on it.
    let only = client.with_only(None, &server.host, None).unwrap();
    let request = RegistryRequest::new(LOG_IN, Method::GET, "/v2/", Scope::default());
    let error = only
        .send(&server.host, request)
        .await
        .map(|answer| answer.shown)
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::TlsHttpMismatch);
}

#[tokio::test]
async fn a_refresh_token_is_traded_and_never_a_password() {
    let server = Scripted::start(|asked| {
        let body = String::from_utf8_lossy(asked.body.as_deref().unwrap_or_default()).into_owned();
        let host = asked.header("host").unwrap();
        let challenge = format!(r#"Bearer realm="http://{host}/token",service="s""#);
        match (asked.method.as_str(), asked.header("authorization")) {
            ("POST", None) if body.contains(&format!("refresh_token={GOOD}")) => {
                answer(200, &[], r#"{"access_token":"scoped-t"}"#)
            }
            ("POST", None) => answer(400, &[], r#"{"error":"invalid_grant"}"#),
            (_, Some("Bearer scoped-t")) => answer(200, &[], ""),
            _ => answer(401, &[("www-authenticate", &challenge)], UNAUTHORIZED),
        }
    })
    .await;
    let own = probed(&server.host);
    for (secret, verdict) in [(GOOD, "proven"), (WRONG, "refused")] {
        let mut token = token(secret);
        token.username = REFRESH_TOKEN_USER.to_owned();
        assert_eq!(told(&proof(&own, &token).await).0, verdict);
    }
}

#[tokio::test]
async fn one_host_has_the_credential_and_no_other() {
    let (own, other) = (BASIC.start().await, BASIC.start().await);
    let client = client_of(&[entry(&own.host), entry(&other.host)]);
    let credential = Credential {
        username: "bot".to_owned(),
        secret: Secret::new(GOOD),
    };
    let only = client.with_only(None, &own.host, Some(credential)).unwrap();
    let get = async |client: &RegistryClient, host: &RegistryHost| {
        let request = RegistryRequest::new(LOG_IN, Method::GET, "/v2/", Scope::default());
        client.send(host, request).await.map(|answer| answer.shown)
    };
    assert_eq!(get(&only, &own.host).await.unwrap(), Shown::Credential);
    let error = get(&only, &other.host).await.unwrap_err();
    assert_eq!(
        (error.kind, error.shown),
        (ErrorKind::LoginRequired, Shown::Nothing)
    );
    let nobody = client.with_only(None, &own.host, None).unwrap();
    assert_eq!(
        get(&nobody, &own.host).await.unwrap_err().kind,
        ErrorKind::LoginRequired
    );
    assert_eq!(
        get(&only.anonymous(), &own.host).await.unwrap_err().kind,
        ErrorKind::LoginRequired
    );
    assert!(
        other
            .asked()
            .iter()
            .all(|asked| asked.header("authorization").is_none())
    );
}

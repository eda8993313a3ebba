use super::*;

fn scope(repository: &str, push: bool, mount_from: Option<&str>) -> Scope {
    Scope {
        repository: Some(repository.parse().unwrap()),
        push,
        mount_from: mount_from.map(|from| from.parse().unwrap()),
    }
}

fn credential(username: &str) -> Credential {
    Credential {
        username: username.to_owned(),
        secret: Secret::new("s3cr&t"),
    }
}

#[test]
fn scopes_are_joined() {
    assert_eq!(scopes(&Scope::default(), &[]), [""; 0]);
    assert_eq!(scopes(&scope("a/b", false, None), &[]), ["repository:a/b:pull"]);
    assert_eq!(
        scopes(&scope("a", true, Some("b")), &["aws".to_owned()]),
        ["repository:a:pull,push", "repository:b:pull", "aws"]
    );
    assert_eq!(
        scopes(&scope("a", true, Some("a")), &[]),
        ["repository:a:pull,push"]
    );
}

#[test]
fn a_password_goes_by_get() {
    let realm = "https://auth.example/token?x=1".parse().unwrap();
    let scopes = ["repository:a:pull".to_owned(), "aws".to_owned()];
    let asked = request(&realm, Some("r.example"), &scopes, Some(&credential("u"))).unwrap();
    assert_eq!(asked.method, Method::GET);
    assert_eq!(
        asked.url.as_str(),
        "https://auth.example/token?x=1&service=r.example&scope=repository%3Aa%3Apull&scope=aws"
    );
    assert_eq!(asked.headers[AUTHORIZATION], "Basic dTpzM2NyJnQ=");
    assert!(asked.headers[AUTHORIZATION].is_sensitive() && asked.body.is_empty());
    let nobody = request(&realm, None, &[], None).unwrap();
    assert_eq!(nobody.url, realm);
    assert!(nobody.headers.is_empty());
}

#[test]
fn a_refresh_token_goes_by_post() {
    let realm = "https://r.example/oauth2/token".parse().unwrap();
    let scopes = ["repository:a:pull".to_owned(), "repository:b:pull".to_owned()];
    let asked = request(&realm, Some("r.example"), &scopes, Some(&credential("<token>"))).unwrap();
    assert_eq!((asked.method, asked.url), (Method::POST, realm));
    assert_eq!(asked.headers.get(AUTHORIZATION), None);
    assert_eq!(
        asked.body,
        "grant_type=refresh_token&client_id=syncd&service=r.example\
         &scope=repository%3Aa%3Apull+repository%3Ab%3Apull&refresh_token=s3cr%26t"
    );
}

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn header_map(headers: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (
            http::HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )
    };
    headers.iter().map(pair).collect()
}

fn read(body: &str, headers: &[(&'static str, &str)]) -> Result<(String, i64, i64), &'static str> {
    let (map, now) = (header_map(headers), now());
    let token = reply(body.as_bytes(), &map, now)?;
    let after = |at: Timestamp| at.duration_since(now).as_secs();
    Ok((
        token.value.expose().to_owned(),
        after(token.renew_at),
        after(token.expires),
    ))
}

#[test]
fn replies() {
    let ok = |body: &str| read(body, &[]).unwrap();
    assert_eq!(
        ok(r#"{"token":"a.b-c_d~e+f/g="}"#),
        ("a.b-c_d~e+f/g=".to_owned(), 48, 60)
    );
    assert_eq!(ok(r#"{"access_token":"t","expires_in":300}"#).1, 240);
    assert_eq!(ok(r#"{"token":"","access_token":"t"}"#).0, "t");
    assert_eq!(ok(r#"{"token":"t","access_token":"u"}"#).0, "t");
    for (life, seconds) in [
        ("30", 30),
        ("\"300\"", 300),
        ("\"soon\"", 60),
        ("null", 60),
        ("-5", 60),
        ("0", 60),
        ("1e999", 60),
        ("9223372036854775807", 24 * 3600),
        ("99999999999999999999", 60),
    ] {
        let body = format!(r#"{{"token":"t","expires_in":{life}}}"#);
        let got = read(&body, &[]);
        match got {
            Ok((_, _, expires)) => assert_eq!(expires, seconds, "{life}"),
            Err(error) => assert_eq!((life, error), ("1e999", "the token reply is not JSON")),
        }
    }
}

#[test]
fn a_cached_token_is_as_old_as_the_server_says() {
    let body = r#"{"token":"t","expires_in":300,"issued_at":"2020-01-01T00:00:00Z"}"#;
    let date = |text| read(body, &[("date", text)]).unwrap().2;
    assert_eq!(date("Wed, 01 Jan 2020 00:01:40 GMT"), 200);
    assert_eq!(date("Wed, 01 Jan 2020 09:00:00 GMT"), 0);
    // A clock that runs behind its own tokens, no Date, or nonsense: the whole life.
    assert_eq!(date("Tue, 31 Dec 2019 00:00:00 GMT"), 300);
    assert_eq!(date("today"), 300);
    assert_eq!(read(body, &[]).unwrap().2, 300);
}

#[test]
fn bad_replies_are_refused_without_a_word_of_them() {
    for body in [
        "",
        "<html>S3CRET</html>",
        r#""S3CRET""#,
        r#"{"token":["S3CRET"]}"#,
        r#"{"token":7}"#,
        r#"{"tok":"S3CRET"}"#,
        r#"{"token":"S3CRET\nX: y"}"#,
        r#"{"token":"S3CRET x"}"#,
        r#"{"token":"S3CRÉT"}"#,
        r#"{"token":"S3CRET"#,
    ] {
        let error = read(body, &[]).unwrap_err();
        assert!(!error.contains("S3CR"), "{body}: {error}");
    }
}

use super::*;
use std::io::Write as _;

fn header(user: &str, password: &str) -> HeaderValue {
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    HeaderValue::try_from(format!("Basic {text}")).unwrap()
}

fn access(policy: AnonymousPull) -> Access {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for user in ["reader", "writer"] {
        writeln!(file, "{user}:{}", bcrypt::hash(format!("{user}-pw"), 4).unwrap()).unwrap();
    }
    Access::load(&RegistryAuth {
        htpasswd_file: Some(file.path().to_owned()),
        anonymous_pull: policy,
        push: vec!["writer".to_owned()],
    })
    .unwrap()
}

async fn status(access: &Access, wish: Wish, header: Option<&HeaderValue>, node: bool) -> u16 {
    let caller = access.caller(header, node, wish).await.unwrap();
    allow(access.policy, wish, &caller).map_or_else(|refusal| refusal.status.as_u16(), |()| 200)
}

/// caller x policy x wish, in one table. Columns: ping, pull public, pull private, pull missing,
/// catalog, push.
#[tokio::test(start_paused = true)]
async fn the_matrix() {
    use AnonymousPull::{All, None as Nothing, Public};
    let (reader, writer) = (header("reader", "reader-pw"), header("writer", "writer-pw"));
    let (wrong, nobody) = (header("reader", "writer-pw"), header("nobody", "x"));
    let (nobody_reader, nobody_writer) = (header("nobody", "reader-pw"), header("nobody", "writer-pw"));
    let bearer = HeaderValue::from_static("Bearer reader");
    type Row<'a> = (&'a str, AnonymousPull, Option<&'a HeaderValue>, bool, [u16; 6]);
    let rows: [Row<'_>; 21] = [
        ("anonymous", Public, None, false, [200, 200, 401, 200, 401, 401]),
        ("anonymous", All, None, false, [200, 200, 200, 200, 401, 401]),
        ("anonymous", Nothing, None, false, [401, 401, 401, 401, 401, 401]),
        (
            "reader",
            Public,
            Some(&reader),
            false,
            [200, 200, 200, 200, 200, 403],
        ),
        (
            "reader",
            All,
            Some(&reader),
            false,
            [200, 200, 200, 200, 200, 403],
        ),
        (
            "reader",
            Nothing,
            Some(&reader),
            false,
            [200, 200, 200, 200, 200, 403],
        ),
        ("writer", Public, Some(&writer), false, [200; 6]),
        ("writer", All, Some(&writer), false, [200; 6]),
        ("writer", Nothing, Some(&writer), false, [200; 6]),
        (
            "wrong",
            Public,
            Some(&wrong),
            false,
            [401, 200, 401, 200, 401, 401],
        ),
        ("wrong", All, Some(&wrong), false, [401, 200, 200, 200, 401, 401]),
        ("wrong", Nothing, Some(&wrong), false, [401; 6]),
        (
            "nobody",
            Public,
            Some(&nobody),
            false,
            [401, 200, 401, 200, 401, 401],
        ),
        ("nobody", Nothing, Some(&nobody), false, [401; 6]),
        // One of these is the hash that an unknown user is checked against.
        ("nobody", Nothing, Some(&nobody_reader), false, [401; 6]),
        ("nobody", Nothing, Some(&nobody_writer), false, [401; 6]),
        (
            "bearer",
            Public,
            Some(&bearer),
            false,
            [401, 200, 401, 200, 401, 401],
        ),
        ("node", Public, None, true, [200, 200, 200, 200, 401, 401]),
        ("node", Nothing, None, true, [200, 200, 200, 200, 401, 401]),
        (
            "node with a pod's secret",
            Nothing,
            Some(&wrong),
            true,
            [200, 200, 200, 200, 401, 401],
        ),
        (
            "node and writer",
            Nothing,
            Some(&writer),
            true,
            [200, 200, 200, 200, 401, 200],
        ),
    ];
    let wishes = [
        Wish::Ping,
        Wish::Pull(Visibility::Public),
        Wish::Pull(Visibility::Private),
        Wish::Pull(Visibility::Missing),
        Wish::Catalog,
        Wish::Push,
    ];
    for (who, policy, header, node, expected) in rows {
        let access = access(policy);
        for (wish, expected) in wishes.into_iter().zip(expected) {
            let got = status(&access, wish, header, node).await;
            assert_eq!(got, expected, "{who} under {policy:?}: {wish:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_verdict_is_remembered_and_a_wrong_one_too() {
    let access = access(AnonymousPull::None);
    let (right, wrong) = (header("reader", "reader-pw"), header("reader", "no"));
    for header in [&right, &wrong] {
        access.caller(Some(header), false, Wish::Ping).await.unwrap();
    }
    // No check can run any more, and both are still answered.
    access.checks.close();
    assert!(matches!(
        access.caller(Some(&right), false, Wish::Ping).await.unwrap(),
        Caller::User { push: false, .. }
    ));
    assert_eq!(
        access.caller(Some(&wrong), false, Wish::Ping).await.unwrap(),
        Caller::Wrong
    );
    let other = access
        .caller(Some(&header("reader", "new")), false, Wish::Ping)
        .await;
    assert_eq!(other.err().map(|r| r.status.as_u16()), Some(429));
}

#[tokio::test(start_paused = true)]
async fn logins_beyond_the_queue_are_told_to_come_back() {
    let access = access(AnonymousPull::None);
    let _all = access
        .waiting
        .acquire_many(u32::try_from(WAITING).unwrap())
        .await
        .unwrap();
    let got = access
        .caller(Some(&header("reader", "reader-pw")), false, Wish::Ping)
        .await;
    assert_eq!(got.err().map(|r| r.status.as_u16()), Some(429));
}

#[tokio::test(start_paused = true)]
async fn guesses_never_push_out_a_user() {
    let access = access(AnonymousPull::None);
    access
        .caller(Some(&header("reader", "reader-pw")), false, Wish::Ping)
        .await
        .unwrap();
    for guess in 0..2 * REMEMBERED {
        access.remember(access.key("reader", &Secret::new(guess.to_string())), false);
    }
    assert!(access.verdicts.lock().unwrap().len() <= REMEMBERED);
    let key = access.key("reader", &Secret::new("reader-pw"));
    assert_eq!(access.remembered(&key), Some(true));
}

#[test]
fn headers_that_are_no_login() {
    for text in [
        "",
        "Basic",
        "Basic ",
        "Basic !!",
        "Basic YQ==",
        "Digest YTpi",
        "basic:YTpi",
        "Bearer YTpi",
    ] {
        assert!(basic(&HeaderValue::from_str(text).unwrap()).is_none(), "{text}");
    }
    let (user, password) = basic(&HeaderValue::from_static("bAsIc YTpiOmM=")).unwrap();
    assert_eq!((user.as_str(), password.expose()), ("a", "b:c"));
    let long = HeaderValue::try_from(format!("Basic {}", "YTpi".repeat(4096))).unwrap();
    assert!(basic(&long).is_none());
}

#[test]
fn a_push_user_without_an_entry_is_refused() {
    let auth = RegistryAuth {
        push: vec!["ghost".to_owned()],
        ..RegistryAuth::default()
    };
    let error = Access::load(&auth).err().map(|e| e.to_string());
    assert_eq!(
        error.as_deref(),
        Some("failed to find the user ghost of auth.push in the htpasswd file")
    );
}

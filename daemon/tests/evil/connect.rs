//! Connections that do not come about, each with its own class.

use std::time::Duration;

use syncd::oci::ErrorKind;
use syncd_config::RegistryHost;
use syncd_config::config::Proxy;
use tokio::net::TcpListener;

use super::client::*;
use super::server::*;

async fn kind_of(host: &RegistryHost, entry: syncd_config::config::RegistryEntry) -> ErrorKind {
    let client = client(&[entry], user(host)).without_retries();
    let got = tokio::time::timeout(Duration::from_secs(10), get(&client, host, "/v2/")).await;
    let error = got.expect("an end").err().expect("an error");
    super::logs::assert_clean_error(&error);
    error.kind
}

async fn free_port() -> RegistryHost {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string().parse().unwrap()
}

#[tokio::test]
async fn nobody_there() {
    let host = free_port().await;
    assert_eq!(
        kind_of(&host, entry(&host, true)).await,
        ErrorKind::ConnectionRefused
    );
    assert_eq!(
        kind_of(&host, entry(&host, false)).await,
        ErrorKind::ConnectionRefused
    );
}

#[tokio::test]
async fn no_such_name() {
    let host: RegistryHost = "registry.invalid:5000".parse().unwrap();
    assert_eq!(kind_of(&host, entry(&host, true)).await, ErrorKind::Dns);
}

#[tokio::test]
async fn a_metadata_address_is_refused_even_if_configured() {
    for host in [
        "169.254.169.254",
        "100.100.100.200:80",
        "[fd00:ec2::254]",
        "0.0.0.0:5000",
        "[fe80::1]:5000",
    ] {
        let host: RegistryHost = host.parse().unwrap();
        assert_eq!(
            kind_of(&host, entry(&host, true)).await,
            ErrorKind::OriginRefused,
            "{host}"
        );
    }
}

#[tokio::test]
async fn tls_failures() {
    let ca = Ca::new();
    let (stranger, namesake) = (Ca::named("another CA"), Ca::new());
    let old = |params: &mut rcgen::CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let young = |params: &mut rcgen::CertificateParams| params.not_before = rcgen::date_time_ymd(2090, 1, 1);
    for (name, acceptor, kind) in [
        (
            "another CA of that name",
            namesake.acceptor(&["127.0.0.1"]),
            ErrorKind::TlsUnknownCa,
        ),
        (
            "another CA",
            stranger.acceptor(&["127.0.0.1"]),
            ErrorKind::TlsUnknownCa,
        ),
        (
            "another name",
            ca.acceptor(&["other.example"]),
            ErrorKind::TlsHostname,
        ),
        (
            "expired",
            ca.acceptor_with(&["127.0.0.1"], old),
            ErrorKind::TlsCertTime,
        ),
        (
            "not valid yet",
            ca.acceptor_with(&["127.0.0.1"], young),
            ErrorKind::TlsCertTime,
        ),
    ] {
        let server = Server::start(
            Some(acceptor),
            std::sync::Arc::new(|_, _| answer("200 OK", &[], "")),
        )
        .await;
        let mut own = entry(&server.host(), false);
        own.ca_file = Some(ca.file.path().to_owned());
        assert_eq!(kind_of(&server.host(), own).await, kind, "{name}");
        assert_eq!(server.seen().len(), 0, "{name}: nothing was sent");
    }
}

#[tokio::test]
async fn tls_and_plain_http_mixed_up() {
    let ca = Ca::new();
    let tls = Server::tls(&ca, |_, _| answer("200 OK", &[], "")).await;
    assert_eq!(
        kind_of(&tls.host(), entry(&tls.host(), true)).await,
        ErrorKind::TlsHttpMismatch
    );

    // A plain server reads the TLS greeting as a bad request and says so in plain text.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host: RegistryHost = listener.local_addr().unwrap().to_string().parse().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut greeting = [0; 2048];
        let _read = tcp.read(&mut greeting).await.unwrap();
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        tcp.read(&mut greeting).await
    });
    assert_eq!(
        kind_of(&host, entry(&host, false)).await,
        ErrorKind::TlsHttpMismatch
    );
}

#[tokio::test]
async fn the_ca_file_is_trusted() {
    let ca = Ca::new();
    let server = Server::tls(&ca, |_, _| answer("200 OK", &[], "hello")).await;
    let mut own = entry(&server.host(), false);
    own.ca_file = Some(ca.file.path().to_owned());
    let client = client(&[own], user(&server.host()));
    assert_eq!(
        text(get(&client, &server.host(), "/v2/").await).await.unwrap(),
        "hello"
    );
}

#[tokio::test]
async fn proxies_that_fail() {
    let target = free_port().await;
    for tls in [false, true] {
        let refusing = Server::plain(|_, _| answer("407 Proxy Authentication Required", &[], "")).await;
        let silent = Server::plain(|_, _| Act::Hang(Vec::new())).await;
        let closing = Server::plain(|_, _| Act::Close).await;
        for (name, proxy, plain_kind) in [
            ("refuses", refusing.address.to_string(), ErrorKind::Proxy),
            ("is silent", silent.address.to_string(), ErrorKind::Timeout),
            (
                "hangs up",
                closing.address.to_string(),
                ErrorKind::ConnectionReset,
            ),
            ("is not there", free_port().await.to_string(), ErrorKind::Proxy),
        ] {
            let mut own = entry(&target, !tls);
            own.proxy = Proxy::Url(format!("http://{proxy}").parse().unwrap());
            let kind = kind_of(&target, own).await;
            let tunnel_kind = if name == "is silent" {
                ErrorKind::Timeout
            } else {
                ErrorKind::Proxy
            };
            assert_eq!(
                kind,
                if tls { tunnel_kind } else { plain_kind },
                "{name}, tls {tls}"
            );
        }
        assert!(
            refusing
                .seen()
                .iter()
                .all(|seen| seen.header("authorization").is_none())
        );
    }
}

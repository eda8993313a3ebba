//! Connections that rest, stall or are in the middle of something when the end comes.

use std::time::Duration;

use syncd_config::Digest;
use syncd_config::config::AnonymousPull;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::harness::{Reply, Request, Server, image};

/// Long enough for a machine under load; nothing here waits for it when all is well.
const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_connection_that_asks_nothing_is_closed() {
    let server = Server::start(AnonymousPull::All).await;
    let mut silent = server.connect().await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET /v2/ HTTP/1.1\r\nHos").await.unwrap();
    assert_eq!(server.get("/v2/").await.status, 200);
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    for stream in [&mut silent, &mut slow] {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }
    assert!(
        began.elapsed() <= Duration::from_secs(61),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn an_answer_under_way_ends_before_the_server_does() {
    let mut server = Server::start(AnonymousPull::All).await;
    let content = vec![9; 16_000_000];
    let digest = server.put_blob("a", &content).await;
    let mut stream = server.connect().await;
    let request = Request::new("GET", &format!("/v2/a/blobs/{digest}"));
    stream.write_all(&request.bytes()).await.unwrap();
    let mut first = [0; 1000];
    stream.read_exact(&mut first).await.unwrap();
    server.stop.take().unwrap().send(()).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    let all = [&first[..], &rest].concat();
    assert!(all.ends_with(&content[..]) && all.starts_with(b"HTTP/1.1 200"));
    timeout(SOON, server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn resting_connections_do_not_hold_the_end_up() {
    let mut server = Server::start(AnonymousPull::All).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let began = tokio::time::Instant::now();
    server.stop.take().unwrap().send(()).unwrap();
    server.task.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "no grace was needed");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.ok();
}

#[tokio::test]
async fn a_client_that_reads_nothing_does_not_hold_the_end_up_for_long() {
    let mut server = Server::start(AnonymousPull::All).await;
    let digest = server.put_blob("a", &vec![9; 16_000_000]).await;
    let mut stalled = server.connect().await;
    let request = Request::new("GET", &format!("/v2/a/blobs/{digest}"));
    stalled.write_all(&request.bytes()).await.unwrap();
    let mut first = [0; 12];
    stalled.read_exact(&mut first).await.unwrap();
    server.stop.take().unwrap().send(()).unwrap();
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    server.task.await.unwrap();
    assert!(began.elapsed() <= Duration::from_secs(6), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_end_in_the_middle_of_an_upload_leaves_nothing_half_written() {
    let mut server = Server::start(AnonymousPull::All).await;
    let path = server.begin("a").await;
    let content = vec![5; 3_000_000];
    let digest = Digest::sha256(&content);
    let mut stream = server.connect().await;
    let request = Request::new("PUT", &format!("{path}?digest={digest}")).user("writer");
    let request = request.header("Content-Length", &content.len().to_string());
    // Less than goes to a blocking task: one of these stops the paused clock.
    stream
        .write_all(&request.body(&content[..500_000]).bytes())
        .await
        .unwrap();
    server.stop.take().unwrap().send(()).unwrap();
    tokio::time::pause();
    server.task.await.unwrap();
    tokio::time::resume();
    let name = "a".parse().unwrap();
    assert!(server.store.blob_file(&name, &digest).unwrap().is_none());
}

#[tokio::test]
async fn many_clients_that_read_nothing_cost_little_and_hinder_nobody() {
    let server = Server::start(AnonymousPull::All).await;
    let content = vec![9; 4_000_000];
    server.put_image("a", "1", &content).await;
    let path = format!("/v2/a/blobs/{}", Digest::sha256(&content));
    let mut stalled = Vec::new();
    for _ in 0..64 {
        let mut stream = server.connect().await;
        stream
            .write_all(&Request::new("GET", &path).bytes())
            .await
            .unwrap();
        stalled.push(stream);
    }
    assert_eq!(server.get("/v2/a/manifests/1").await.body, image(&content));
    assert!(server.get(&path).await.body == content);
    for mut stream in stalled {
        assert!(
            Reply::read(&mut stream).await.body == content,
            "each gets all of it in the end"
        );
    }
}

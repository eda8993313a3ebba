//! A forward proxy: CONNECT for TLS, absolute form for plain http.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct ForwardProxy {
    address: SocketAddr,
    used: Arc<AtomicUsize>,
}

impl ForwardProxy {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            used: Arc::default(),
        };
        let used = proxy.used.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                used.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(pass(client));
            }
        });
        proxy
    }

    pub(crate) fn url(&self) -> url::Url {
        format!("http://{}", self.address).parse().unwrap()
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::SeqCst)
    }
}

/// Passes on one connection; the target is that of its first request.
async fn pass(mut client: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut part = [0; 4096];
        let read = client.read(&mut part).await?;
        if read == 0 {
            return Ok(());
        }
        head.extend_from_slice(&part[..read]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let target = text.split(' ').nth(1).unwrap();
    if text.starts_with("CONNECT ") {
        let Ok(mut server) = TcpStream::connect(target).await else {
            return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
        };
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    }
    let rest = target.strip_prefix("http://").expect("absolute form");
    let (authority, path) = rest.split_at(rest.find('/').unwrap());
    let Ok(mut server) = TcpStream::connect(authority).await else {
        return client
            .write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            .await;
    };
    // The client keeps one connection for one authority, so all that follows is for the same one.
    let head = text.replacen(target, path, 1);
    server.write_all(head.as_bytes()).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

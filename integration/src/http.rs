//! The plainest HTTP there is, for asking a server of a test whether it is up
//! and what it says. Independent of the client under test.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::{Context, Error, Result};

/// No server of a test has reason to say more.
const MAX_REPLY: u64 = 16 * 1024 * 1024;

/// A server's answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The head, as sent.
    pub head: String,
    /// The body.
    pub body: String,
}

/// A GET over plain HTTP/1.0, which ends with the connection.
pub async fn get(host: &str, path: &str) -> Result<Reply> {
    tokio::time::timeout(Duration::from_secs(10), exchange(host, path))
        .await
        .context(format!("hear from {host}"))?
}

async fn exchange(host: &str, path: &str) -> Result<Reply> {
    let what = || format!("get http://{host}{path}");
    let mut stream = TcpStream::connect(host).await.context(what())?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.context(what())?;
    let mut bytes = Vec::new();
    stream
        .take(MAX_REPLY)
        .read_to_end(&mut bytes)
        .await
        .context(what())?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| Error::Other {
        operation: what(),
        source: format!("no HTTP reply: {head:.200}").into(),
    })?;
    Ok(Reply {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

/// Whether something listens there.
pub async fn listens(host: &str) -> bool {
    TcpStream::connect(host).await.is_ok()
}

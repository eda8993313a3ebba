//! A resolver that knows no name, for the mount namespace of a node: how a wrong
//! name fails does not depend on the machine's own resolver.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::error::{Context, Result};
use crate::tools::Tools;

/// Not 127.0.0.53: a machine may have a resolver of its own there.
const ADDRESS: &str = "127.53.53.53";

/// A running resolver. It listens on the port of DNS, so only one runs at a time;
/// a node holds it for its turn.
#[derive(Debug)]
pub struct NoNames {
    resolv_conf: PathBuf,
    task: JoinHandle<()>,
}

impl NoNames {
    /// Starts it, and writes a `resolv.conf` that leads to it into `folder`.
    pub async fn start(folder: &Path) -> Result<Self> {
        let socket = UdpSocket::bind((ADDRESS, 53))
            .await
            .context(format!("listen on {ADDRESS}:53 (needs root)"))?;
        let resolv_conf = folder.join("resolv.conf");
        let text = format!("nameserver {ADDRESS}\noptions timeout:2 attempts:2\n");
        fs::write(&resolv_conf, text).context("write a resolv.conf")?;
        let task = tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query).await {
                if let Some(answer) = no_such_name(&query[..length]) {
                    // A lost answer is asked for again.
                    drop(socket.send_to(&answer, from).await);
                }
            }
        });
        Ok(Self { resolv_conf, task })
    }

    /// The `resolv.conf` that leads here.
    pub fn resolv_conf(&self) -> &Path {
        &self.resolv_conf
    }

    /// The same command in a mount namespace whose `resolv.conf` leads here.
    pub fn wrap(&self, command: &Command) -> Result<Command> {
        let script = r#"mount --bind "$0" /etc/resolv.conf && exec "$@""#;
        let mut wrapped = Command::new(Tools::system("unshare")?);
        wrapped
            .arg("--mount")
            .arg("--")
            .arg(Tools::system("bash")?)
            .args(["-c", script])
            .arg(&self.resolv_conf)
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            wrapped.current_dir(folder);
        }
        Ok(wrapped)
    }
}

impl Drop for NoNames {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// RFC 1035 4.1: the query's header and question come back as an answer with code
/// 3, "name error". `None` for what is no query.
fn no_such_name(query: &[u8]) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    let mut end = HEADER;
    loop {
        let length = usize::from(*query.get(end)?);
        end += 1 + length;
        if length == 0 {
            break;
        }
    }
    // The type and the class of the question.
    let mut answer = query.get(..end + 4)?.to_vec();
    // A response that can recurse, to one question, with no records.
    answer[2] |= 0x80;
    answer[3] = 0x83;
    answer[4..HEADER].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_answered_and_noise_is_not() {
        let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07invalid\x00\x00\x01\x00\x01";
        let answer = no_such_name(query).unwrap();
        assert_eq!(&answer[..4], b"\x12\x34\x81\x83");
        assert_eq!(answer[12..], query[12..]);
        for noise in [&query[..10], &query[..20], b""] {
            assert_eq!(no_such_name(noise), None);
        }
    }
}

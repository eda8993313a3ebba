//! A user whose password is in a file. The file is read again when it changes (a mounted secret
//! is swapped by a symbolic link, so its inode changes), and never kept when it went away.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use syncd_config::Secret;
use syncd_config::text::{clean, clean_to};
use thiserror::Error;

use crate::token::{Expiry, Token, TokenError, TokenErrorKind, TokenProvider};

/// A longer password file is a mistake.
const LONGEST: u64 = 64 * 1024;

/// Why the password cannot be had.
#[derive(Debug, Error)]
pub enum BasicError {
    /// The file cannot be read.
    #[error("failed to read the password file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is nothing in the file.
    #[error("the password file {path} is empty")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is no text of one line.
    #[error("the password file {path} holds no password: {what}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What it holds instead.
        what: &'static str,
    },
}

/// A user whose password is in a file.
pub struct Basic {
    username: String,
    file: Arc<PasswordFile>,
}

struct PasswordFile {
    path: PathBuf,
    read: Mutex<Option<(Stamp, Secret)>>,
}

/// What changes when a file changes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Basic {
    /// A user with its password file, which is not read yet.
    pub fn new(username: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            username: username.into(),
            file: Arc::new(PasswordFile {
                path: path.into(),
                read: Mutex::new(None),
            }),
        }
    }

    /// The user.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// The password as it stands in the file now, without a final line break.
    ///
    /// # Errors
    /// The file is missing, empty, too long, no regular file or no text of one line.
    pub fn password(&self) -> Result<Secret, BasicError> {
        self.file.password()
    }

    /// Forgets what was read, so that the file is read at the next call.
    pub fn forget(&self) {
        *self.file.known() = None;
    }

    fn error(&self, error: BasicError) -> TokenError {
        let detail = error.to_string();
        TokenError {
            kind: TokenErrorKind::Misconfigured,
            identity: self.identity(),
            detail: clean(&detail),
            source: match error {
                BasicError::Read { source, .. } => Some(Box::new(source)),
                BasicError::Empty { .. } | BasicError::Unusable { .. } => None,
            },
        }
    }
}

/// Asks nobody: a token is the password as it is in the file, good until it is changed.
impl TokenProvider for Basic {
    fn identity(&self) -> String {
        let path = self.path().display().to_string();
        format!(
            "basic: {}, password in {}",
            clean(&self.username),
            clean_to(&path, 4096)
        )
    }

    fn mint(&self, now: Timestamp) -> BoxFuture<'_, Result<Token, TokenError>> {
        let file = Arc::clone(&self.file);
        Box::pin(async move {
            // On a thread of its own: a file of a dead network mount must hold up nobody else.
            let read = tokio::task::spawn_blocking(move || file.password()).await;
            let secret = read
                .unwrap_or_else(|_| Err(self.file.unusable("reading it was given up")))
                .map_err(|error| self.error(error))?;
            Ok(Token {
                username: self.username.clone(),
                secret,
                expires: Expiry::Unknown,
                minted_at: now,
            })
        })
    }

    fn is_current(&self, token: &Token) -> bool {
        token.username == self.username && self.password().is_ok_and(|password| password == token.secret)
    }

    fn rejected(&self, _: &Token) {
        self.forget();
    }

    /// Nobody knows how long a password is good: it is published whatever its age.
    fn useful_minimum(&self) -> Duration {
        Duration::ZERO
    }

    fn is_local(&self) -> bool {
        true
    }
}

impl PasswordFile {
    fn known(&self) -> MutexGuard<'_, Option<(Stamp, Secret)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn password(&self) -> Result<Secret, BasicError> {
        let metadata = std::fs::metadata(&self.path).map_err(|source| self.failed(source))?;
        let stamp = Stamp::of(&metadata);
        let known = self.known().clone();
        if let Some((known, password)) = known
            && known == stamp
        {
            return Ok(password);
        }
        self.known().take();
        // Opening a pipe waits for whoever writes to it.
        if !metadata.is_file() {
            return Err(self.unusable("it is no regular file"));
        }
        let (stamp, password) = self.read_file()?;
        *self.known() = Some((stamp, password.clone()));
        Ok(password)
    }

    fn unusable(&self, what: &'static str) -> BasicError {
        BasicError::Unusable {
            path: self.path.clone(),
            what,
        }
    }

    fn failed(&self, source: io::Error) -> BasicError {
        BasicError::Read {
            path: self.path.clone(),
            source,
        }
    }

    fn read_file(&self) -> Result<(Stamp, Secret), BasicError> {
        use io::Read as _;
        let file = std::fs::File::open(&self.path).map_err(|source| self.failed(source))?;
        let stamp = Stamp::of(&file.metadata().map_err(|source| self.failed(source))?);
        let mut bytes = zeroize::Zeroizing::new(Vec::new());
        file.take(LONGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| self.failed(source))?;
        if bytes.len() as u64 > LONGEST {
            return Err(self.unusable("it is longer than 64 KiB"));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| self.unusable("it is not UTF-8 text"))?;
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return Err(BasicError::Empty {
                path: self.path.clone(),
            });
        }
        if line.contains(char::is_control) {
            return Err(self.unusable("it has several lines or control characters"));
        }
        Ok((stamp, Secret::new(line)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::Basic;
    use crate::token::conformance::{Fixture, conforms};
    use crate::token::{TokenErrorKind, TokenProvider};

    struct File {
        basic: Basic,
        path: PathBuf,
        dir: tempfile::TempDir,
    }

    impl File {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("password");
            Self {
                basic: Basic::new("robot$team-a", &path),
                path,
                dir,
            }
        }

        /// As mounted secrets change: by another file in its place.
        fn write(&self, text: &str) {
            let next = self.dir.path().join("next");
            fs::write(&next, text).unwrap();
            fs::rename(next, &self.path).unwrap();
        }
    }

    impl Fixture for File {
        fn provider(&self) -> &dyn TokenProvider {
            &self.basic
        }

        fn life(&self) -> Option<Duration> {
            None
        }

        async fn hands_out(&mut self, secret: &str) {
            self.write(&format!("{secret}\n"));
        }

        async fn refuses(&mut self) -> TokenErrorKind {
            fs::remove_file(&self.path).unwrap();
            TokenErrorKind::Misconfigured
        }

        async fn babbles(&mut self, canary: &str) -> TokenErrorKind {
            self.write(&format!("{canary}\n{canary}\n"));
            TokenErrorKind::Misconfigured
        }

        async fn hangs(&mut self) {
            fs::remove_file(&self.path).unwrap();
            let made = std::process::Command::new("mkfifo").arg(&self.path).status();
            assert!(made.unwrap().success());
        }
    }

    #[tokio::test]
    async fn is_a_token_provider() {
        let mut file = File::new();
        let path = file.path.display().to_string();
        conforms(&mut file).await.unwrap();
        assert_eq!(
            file.basic.identity(),
            format!("basic: robot$team-a, password in {path}")
        );
        assert_eq!(file.basic.useful_minimum(), Duration::ZERO);
        assert!(file.basic.is_local());
    }

    #[test]
    fn reads_what_is_there_now() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        let basic = Basic::new("bot", &path);
        let text = |basic: &Basic| basic.password().map(|p| p.expose().to_owned());
        fs::write(&path, "one\n").unwrap();
        assert_eq!(text(&basic).unwrap(), "one");
        assert_eq!(text(&basic).unwrap(), "one");
        // Same length, swapped in by rename as mounted secrets are.
        let other = dir.path().join("other");
        fs::write(&other, "two\n").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(text(&basic).unwrap(), "two");
        fs::write(&path, "three\r\n").unwrap();
        assert_eq!(text(&basic).unwrap(), "three");
        fs::write(&path, " a b \n").unwrap();
        assert_eq!(text(&basic).unwrap(), " a b ");
        fs::remove_file(&path).unwrap();
        let error = text(&basic).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("failed to read the password file {}", path.display())
        );
    }

    #[test]
    fn refuses_what_is_no_password() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        for (content, expected) in [
            (&b""[..], "is empty"),
            (b"\n", "is empty"),
            (b"\r\n", "is empty"),
            (
                b"S3CRET\nmore\n",
                "holds no password: it has several lines or control characters",
            ),
            (
                b"S3CRET\n\n",
                "holds no password: it has several lines or control characters",
            ),
            (b"S3CRET\xff", "holds no password: it is not UTF-8 text"),
            (&[b'a'; 70_000], "holds no password: it is longer than 64 KiB"),
        ] {
            fs::write(&path, content).unwrap();
            let error = Basic::new("bot", &path).password().unwrap_err().to_string();
            assert_eq!(error, format!("the password file {} {expected}", path.display()));
        }
    }
}

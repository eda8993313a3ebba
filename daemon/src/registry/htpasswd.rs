//! An htpasswd file: `user:bcrypt` lines, nothing weaker.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::error::{RegistryServerError, read_capped};

/// The largest htpasswd file that is read.
const MAX: u64 = 1024 * 1024;
/// A check at cost 15 takes seconds; above, one login would occupy the machine.
const COSTLIEST: u32 = 15;

/// Users and their bcrypt hashes.
#[derive(Default)]
pub(crate) struct Users(HashMap<String, String>);

impl Users {
    /// Reads the file; every line that cannot be used is a problem with its number. What stands in
    /// the line is not repeated: it may be a password.
    pub(crate) fn load(path: &Path) -> Result<Self, RegistryServerError> {
        let bytes = read_capped(path, MAX)?;
        Self::parse(&bytes).map_err(|problems| RegistryServerError::Htpasswd {
            path: path.to_owned(),
            problems,
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, Vec<String>> {
        let text = std::str::from_utf8(bytes).map_err(|_| vec!["the file is not UTF-8".to_owned()])?;
        let mut users = HashMap::new();
        let mut problems = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match entry(line) {
                Ok((user, _)) if users.contains_key(user) => {
                    problems.push(format!("line {number}: the user is there twice"));
                }
                Ok((user, hash)) => {
                    users.insert(user.to_owned(), hash.to_owned());
                }
                Err(problem) => problems.push(format!("line {number}: {problem}")),
            }
        }
        if problems.is_empty() {
            Ok(Self(users))
        } else {
            problems.truncate(10);
            Err(problems)
        }
    }

    /// The first of these users that is not there.
    pub(crate) fn missing<'a>(&self, wanted: &'a HashSet<String>) -> Option<&'a String> {
        let mut missing: Vec<&String> = wanted.iter().filter(|user| !self.0.contains_key(*user)).collect();
        missing.sort();
        missing.into_iter().next()
    }

    /// The hash to check a password of `user` against, and whether such a user exists: an unknown
    /// one is checked against the costliest hash there is, so that it takes as long as a wrong
    /// password. `None` without any user.
    pub(crate) fn hash_of(&self, user: &str) -> Option<(&str, bool)> {
        match self.0.get(user) {
            Some(hash) => Some((hash, true)),
            None => self
                .0
                .values()
                .max_by_key(|hash| cost(hash))
                .map(|hash| (hash.as_str(), false)),
        }
    }
}

fn entry(line: &str) -> Result<(&str, &str), &'static str> {
    let (user, hash) = line.split_once(':').ok_or("not of the form user:hash")?;
    if user.is_empty() || user.len() > 255 {
        return Err("a user name has 1 to 255 characters");
    }
    // `$2y$` and its sisters differ only in bugs of old implementations.
    let bcrypt = ["$2y$", "$2b$", "$2a$"]
        .iter()
        .any(|prefix| hash.starts_with(prefix));
    let alphabet = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b'$');
    if !bcrypt || hash.len() != 60 || !hash.bytes().all(alphabet) {
        return Err("not a bcrypt hash; MD5, SHA and crypt hashes are refused");
    }
    match cost(hash) {
        Some(4..=COSTLIEST) => Ok((user, hash)),
        _ => Err("the bcrypt cost is not from 4 to 15"),
    }
}

fn cost(hash: &str) -> Option<u32> {
    hash.get(4..6)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2y$05$abcdefghijklmnopqrstuuAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn lines() {
        let hash = |prefix: &str| HASH.replacen("$2y$05$", prefix, 1);
        let cases = [
            (format!("alice:{HASH}"), ""),
            (format!("# comment\n\n  alice:{HASH}  \r\n"), ""),
            (format!("alice:{}", hash("$2b$10$")), ""),
            (format!("alice:{}", hash("$2a$15$")), ""),
            (
                format!("alice:{}", hash("$2x$05$")),
                "line 1: not a bcrypt hash; MD5, SHA and crypt hashes are refused",
            ),
            (
                format!("alice:{}", hash("$2y$16$")),
                "line 1: the bcrypt cost is not from 4 to 15",
            ),
            (
                format!("alice:{}", hash("$2y$31$")),
                "line 1: the bcrypt cost is not from 4 to 15",
            ),
            (
                format!("alice:{}", hash("$2y$+5$")),
                "line 1: not a bcrypt hash; MD5, SHA and crypt hashes are refused",
            ),
            (format!("a:{HASH}\na:{HASH}"), "line 2: the user is there twice"),
            (format!(":{HASH}"), "line 1: a user name has 1 to 255 characters"),
            ("alice".to_owned(), "line 1: not of the form user:hash"),
            (
                "alice:hunter2".to_owned(),
                "line 1: not a bcrypt hash; MD5, SHA and crypt hashes are refused",
            ),
            (
                "a:$apr1$x$y\n\nb:{SHA}x".to_owned(),
                "line 1: not a bcrypt hash; MD5, SHA and crypt hashes are refused; line 3: not a bcrypt hash; MD5, SHA and crypt hashes are refused",
            ),
        ];
        for (text, expected) in cases {
            let got = Users::parse(text.as_bytes()).err().unwrap_or_default().join("; ");
            assert_eq!(got, expected, "{text}");
        }
        assert!(Users::parse(b"\xff").is_err());
        assert_eq!(
            Users::parse("x\n".repeat(50).as_bytes()).err().map(|p| p.len()),
            Some(10)
        );
    }

    #[test]
    fn an_unknown_user_is_checked_against_the_costliest_hash() {
        let costly = HASH.replacen("$2y$05$", "$2y$07$", 1);
        let users = Users::parse(format!("a:{HASH}\nb:{costly}").as_bytes())
            .ok()
            .unwrap();
        assert_eq!(users.hash_of("a"), Some((HASH, true)));
        assert_eq!(users.hash_of("nobody"), Some((costly.as_str(), false)));
        assert_eq!(Users::default().hash_of("nobody"), None);
    }
}

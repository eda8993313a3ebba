//! Where the real programs are.

use std::env;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Names of programs to paths.
#[derive(Debug)]
pub struct Tools;

impl Tools {
    /// The path of a program that `integration/tools/bring` builds.
    pub fn path(name: &str) -> Result<PathBuf> {
        let remedy = || Error::Missing {
            name: name.to_owned(),
            remedy: "run integration/test, or export SYNCD_TOOLS=$(integration/tools/bring) first".to_owned(),
        };
        let folder = variable("SYNCD_TOOLS").ok_or_else(remedy)?;
        let path = Path::new(&folder).join(name);
        if path.is_file() { Ok(path) } else { Err(remedy()) }
    }

    /// The path of a program of the system, from a Debian package.
    pub fn system(name: &str) -> Result<PathBuf> {
        let folders = variable("PATH").unwrap_or_default();
        env::split_paths(&folders)
            .chain(["/usr/sbin".into(), "/sbin".into()])
            .map(|folder| folder.join(name))
            .find(|path| path.is_file())
            .ok_or_else(|| Error::Missing {
                name: name.to_owned(),
                remedy: "its Debian package is in integration/tools/debian-packages; \
                         integration/tools/bring installs it"
                    .to_owned(),
            })
    }

    /// The `syncd` binary under test.
    pub fn syncd() -> Result<PathBuf> {
        let remedy = || Error::Missing {
            name: "syncd".to_owned(),
            remedy: "run integration/test, or export SYNCD_BIN=target/debug/syncd \
                     after `cargo build`"
                .to_owned(),
        };
        let path = PathBuf::from(variable("SYNCD_BIN").ok_or_else(remedy)?);
        if path.is_file() { Ok(path) } else { Err(remedy()) }
    }
}

/// The repository's own folder, for its example files.
pub fn repository() -> PathBuf {
    let mut folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.pop();
    folder
}

#[allow(
    clippy::disallowed_methods,
    reason = "the test script hands the programs over by environment variables"
)]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    env::var_os(name)
}

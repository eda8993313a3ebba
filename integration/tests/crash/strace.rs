//! Running the writer under strace.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

use syncd_integration::Tools;

/// How the writer ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What it acknowledged, and the failure it told.
    pub(crate) said: String,
    /// Its exit code, when it was not killed.
    pub(crate) code: Option<i32>,
    /// The system calls, when they were traced.
    pub(crate) trace: String,
}

impl Ended {
    pub(crate) fn killed(&self) -> bool {
        self.code.is_none()
    }
}

/// The writer alone.
pub(crate) fn plain(args: &[&str]) -> Ended {
    finish(Command::new(env!("CARGO_BIN_EXE_store-writer")).args(args), None)
}

/// The writer with `options` of strace, such as `-e inject=fsync:error=EIO:when=2`.
pub(crate) fn traced(options: &[&str], args: &[&str]) -> Ended {
    let log = tempfile::NamedTempFile::new().unwrap();
    let strace = Tools::system("strace").unwrap();
    let mut command = Command::new(strace);
    command
        .args(["-f", "-qq", "-o"])
        .arg(log.path())
        .args(options)
        .arg(env!("CARGO_BIN_EXE_store-writer"))
        .args(args);
    finish(&mut command, Some(log.path()))
}

fn finish(command: &mut Command, log: Option<&Path>) -> Ended {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let signal = output.status.signal();
    assert!(
        matches!(signal, None | Some(9)),
        "ended by signal {signal:?}: {stderr}"
    );
    Ended {
        said: String::from_utf8_lossy(&output.stdout).into_owned(),
        code: output.status.code(),
        trace: log
            .map(|log| String::from_utf8_lossy(&std::fs::read(log).unwrap()).into_owned())
            .unwrap_or_default(),
    }
}

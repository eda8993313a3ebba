//! Servers as child processes that never outlive their test.
//!
//! A server is killed when its handle is dropped, and by the kernel when the
//! test process dies in any other way: the parent-death signal is sent when the
//! *thread* that forked ends, so all servers are started by one thread that
//! lives as long as the process.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{LazyLock, Mutex, mpsc};
use std::time::Duration;

use crate::error::{Context, Error, Result};
use crate::tools::Tools;

/// How often a helper looks whether what it waits for is there.
pub const POLL: Duration = Duration::from_millis(50);

/// How much of a log goes into a failure message.
const LOG_TAIL: usize = 8 * 1024;

/// A running server, killed when dropped.
#[derive(Debug)]
pub struct Server {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command`, writing both its outputs to the file `log`.
    pub fn start(name: &str, command: Command, log: &Path) -> Result<Self> {
        let start = |source| Error::Start {
            name: name.to_owned(),
            source,
        };
        let output = File::create(log).map_err(start)?;
        let mut command = dying_with_parent(command)?;
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(start)?)
            .stderr(output);
        let child = spawn_on_lasting_thread(command).map_err(start)?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// Waits until `ready` says so; fails with the end of the server's log.
    pub async fn wait_ready<F: AsyncFnMut() -> bool>(
        &mut self,
        within: Duration,
        mut ready: F,
    ) -> Result<()> {
        let deadline = tokio::time::Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().context("look at a child process")? {
                return Err(Error::Ended {
                    name: self.name.clone(),
                    status: status.to_string(),
                    log: self.log_tail(),
                });
            }
            if tokio::time::timeout(within, ready()).await == Ok(true) {
                return Ok(());
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(Error::NotReady {
                    name: self.name.clone(),
                    seconds: within.as_secs(),
                    log: self.log_tail(),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Everything the server wrote so far.
    pub fn log(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The end of what the server wrote.
    pub fn log_tail(&self) -> String {
        tail(&self.log())
    }

    /// The process number (of the wrapper, which is replaced by the server).
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the server at once.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().context("kill a child process")?;
        self.child.wait().context("wait for a child process").map(drop)
    }

    /// Asks the server to end (SIGTERM) and waits for it.
    pub async fn terminate(&mut self, within: Duration) -> Result<ExitStatus> {
        run(Command::new(Tools::system("kill")?).args(["-TERM", &self.pid().to_string()]))?;
        self.wait_end(within).await
    }

    /// Waits until the server has ended by itself.
    pub async fn wait_end(&mut self, within: Duration) -> Result<ExitStatus> {
        let deadline = tokio::time::Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().context("look at a child process")? {
                return Ok(status);
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(Error::Wait {
                    what: format!("the end of {}", self.name),
                    seconds: within.as_secs(),
                    state: format!("; the end of its log:\n{}", self.log_tail()),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a command to its end and returns its standard output.
pub fn run(command: &mut Command) -> Result<String> {
    let (output, all) = outcome(command)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::Command {
        command: shown(command),
        status: output.status.to_string(),
        output: tail(&all),
    })
}

/// Runs a command to its end; its exit code and all it wrote.
pub fn outcome(command: &mut Command) -> Result<(Output, String)> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Start {
            name: shown(command),
            source,
        })?;
    let mut all = String::from_utf8_lossy(&output.stdout).into_owned();
    all.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok((output, all))
}

/// An output without the line break at its end.
pub fn trimmed(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().to_owned()
}

/// Polls until `found` gives something; fails with what `state` says.
pub async fn wait_for<T>(
    what: &str,
    within: Duration,
    mut found: impl AsyncFnMut() -> Result<Option<T>>,
    state: impl AsyncFn() -> String,
) -> Result<T> {
    let deadline = tokio::time::Instant::now() + within;
    loop {
        if let Some(value) = found().await? {
            return Ok(value);
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(Error::Wait {
                what: what.to_owned(),
                seconds: within.as_secs(),
                state: format!("; state:\n{}", state().await),
            });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// A loopback port that nothing listens on.
///
/// Below the range that the kernel gives to outgoing connections, and never the
/// same twice in a process: a port is taken some time after it was looked up.
pub fn free_port() -> Result<u16> {
    static NEXT: LazyLock<AtomicU16> =
        LazyLock::new(|| AtomicU16::new((std::process::id().wrapping_mul(97) % 12_000) as u16));
    for _ in 0..12_000 {
        let port = 20_000 + NEXT.fetch_add(1, Ordering::Relaxed) % 12_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Error::Wait {
        what: "a free port".to_owned(),
        seconds: 0,
        state: String::new(),
    })
}

/// Cuts a log to its end.
fn tail(text: &str) -> String {
    let start = text.len().saturating_sub(LOG_TAIL);
    let start = (start..text.len())
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(text.len());
    text[start..].to_owned()
}

fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The same command under `setpriv`, which asks the kernel for the signal and
/// then becomes the command.
fn dying_with_parent(command: Command) -> Result<Command> {
    let mut wrapped = Command::new(Tools::system("setpriv")?);
    wrapped
        .args(["--pdeathsig", "KILL", "--"])
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

type Job = (Command, mpsc::SyncSender<io::Result<Child>>);

fn spawn_on_lasting_thread(command: Command) -> io::Result<Child> {
    static THREAD: LazyLock<Mutex<mpsc::Sender<Job>>> = LazyLock::new(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, reply) in queue {
                drop(reply.send(command.spawn()));
            }
        });
        Mutex::new(jobs)
    });
    let (reply, answer) = mpsc::sync_channel(1);
    let gone = || io::Error::other("the thread that starts servers is gone");
    THREAD
        .lock()
        .map_err(|_| gone())?
        .send((command, reply))
        .map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

/// Whether a process was ended by a signal.
pub fn signal(status: ExitStatus) -> Option<i32> {
    status.signal()
}

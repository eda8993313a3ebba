//! A folder with the quickstart configuration moved to free ports, and processes that use it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Bench {
    dir: tempfile::TempDir,
    pub(crate) status: String,
    pub(crate) registry: String,
}

/// What a finished command left.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// Standard output as the one JSON document that it must be.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it was not killed"),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

impl Bench {
    /// The quickstart example.
    pub(crate) fn quickstart() -> Self {
        let bench = Self::empty();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples");
        copy_tree(&examples, bench.dir.path());
        let text = std::fs::read_to_string(examples.join("quickstart.yaml")).unwrap();
        let text = text
            .replace("../../target/quickstart", "state")
            .replace("127.0.0.1:5050", &bench.registry)
            .replace("127.0.0.1:8080", &bench.status);
        bench.configure(&text);
        bench
    }

    pub(crate) fn empty() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            status: format!("127.0.0.1:{}", free_port()),
            registry: format!("127.0.0.1:{}", free_port()),
        }
    }

    /// `text` with the ports of this bench replaced by as many letters, so that tables keep their
    /// shape.
    pub(crate) fn masked(&self, text: &str) -> String {
        let port = |address: &str| address.rsplit(':').next().unwrap_or_default().to_owned();
        text.replace(&port(&self.status), "SSSSS")
            .replace(&port(&self.registry), "RRRRR")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn configure(&self, text: &str) {
        // As an editor does it: never a half-written file.
        std::fs::write(self.path("config.new"), text).unwrap();
        std::fs::rename(self.path("config.new"), self.path("config.yaml")).unwrap();
    }

    pub(crate) fn config(&self) -> String {
        std::fs::read_to_string(self.path("config.yaml")).unwrap()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncd"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("SYNCD_CONFIG", "config.yaml")
            .env_remove("RUST_LOG")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Done {
        self.command(args).output().unwrap().into()
    }

    pub(crate) fn daemon(&self, args: &[&str]) -> Daemon {
        let mut all = vec!["run"];
        all.extend(args);
        Daemon::start(self.command(&all))
    }

    /// `GET path` at the status listener.
    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.status).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: syncd\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// A running daemon; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Daemon {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            stderr
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| send.send(line))
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Waits for a line of the log with these words.
    pub(crate) fn expect(&mut self, words: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(words) {
                        return line;
                    }
                }
                Err(error) => panic!("no line with {words:?} ({error}) among {:#?}", self.seen),
            }
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end; what it said.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>) {
        // The log ends when the process does.
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.seen.push(line);
        }
        let status = self.child.wait().unwrap();
        (status, std::mem::take(&mut self.seen))
    }

    /// SIGTERM, then the end.
    pub(crate) fn terminate(self) -> (ExitStatus, Vec<String>) {
        self.signal(rustix::process::Signal::TERM);
        self.end()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn copy_tree(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

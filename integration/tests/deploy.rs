//! What `deploy/` ships for hosts and for building an image.
//!
//! No image is built and no unit is started here: the first needs a container builder and the
//! network, the second systemd as the first process. What can be checked without them is.

#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    reason = "tests stop at the first surprise"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use syncd_integration::http::get;
use syncd_integration::process::{Server, outcome, run, wait_for};
use syncd_integration::tools::repository;
use syncd_integration::{Result, Setup, Tools};
use tempfile::TempDir;

fn shipped(path: &str) -> String {
    fs::read_to_string(repository().join("deploy").join(path)).unwrap()
}

/// The unit, with the program where it is here.
fn unit(folder: &TempDir) -> String {
    let path = folder.path().join("syncd.service");
    let program = Tools::syncd().unwrap();
    let text = shipped("systemd/syncd.service").replace("/usr/local/bin/syncd", &program.to_string_lossy());
    fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn systemd_takes_the_unit_and_finds_it_closed() -> Result<()> {
    let folder = TempDir::new().unwrap();
    let analyze = Tools::system("systemd-analyze")?;
    let (output, text) = outcome(Command::new(&analyze).args(["verify", &unit(&folder)]))?;
    assert!(output.status.success() && text.trim().is_empty(), "{text}");
    // Of 0 (closed) to 100.
    let closed = [
        "security",
        "--offline=true",
        "--no-pager",
        "--threshold=15",
        &unit(&folder),
    ];
    let (output, text) = outcome(Command::new(&analyze).args(closed))?;
    assert!(output.status.success(), "{text}");
    Ok(())
}

/// The system calls that a filter of the unit names, with those of its groups.
fn expand(filter: &str) -> Result<BTreeSet<String>> {
    let mut calls = BTreeSet::new();
    let mut groups: Vec<String> = filter.split_whitespace().map(str::to_owned).collect();
    while let Some(word) = groups.pop() {
        if !word.starts_with('@') {
            calls.insert(word);
            continue;
        }
        let analyze = Tools::system("systemd-analyze")?;
        let text = run(Command::new(analyze).args(["syscall-filter", "--no-pager", &word]))?;
        let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
        groups.extend(lines.filter(|line| !line.starts_with('#')).map(str::to_owned));
    }
    Ok(calls)
}

/// Starts, mirrors, serves and ends: whatever it asks the kernel for is in the unit's filter.
#[tokio::test(flavor = "multi_thread")]
async fn the_unit_permits_every_system_call_of_the_quickstart() -> Result<()> {
    let text = shipped("systemd/syncd.service");
    let filters = text
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="));
    let (denied, allowed): (Vec<_>, Vec<_>) = filters.partition(|filter| filter.starts_with('~'));
    let mut permitted = expand(&allowed.join(" "))?;
    // systemd always adds these.
    permitted.extend(expand("@default")?);
    for call in expand(&denied.join(" ").replace('~', ""))? {
        permitted.remove(&call);
    }
    assert!(permitted.contains("openat") && !permitted.contains("mount") && !permitted.contains("chown"));

    let calls = system_calls().await?;
    assert!(calls.contains("accept4") && calls.contains("fsync"), "{calls:?}");
    let missing: Vec<_> = calls.difference(&permitted).collect();
    assert!(missing.is_empty(), "not permitted by the unit: {missing:?}");
    Ok(())
}

/// The system calls of a quickstart from its start to its end.
async fn system_calls() -> Result<BTreeSet<String>> {
    let setup = Setup::quickstart()?;
    let trace = setup.folder().join("trace");
    let plain = setup.command(&["run"])?;
    let mut command = Command::new(Tools::system("strace")?);
    // `-D`: the program is our child, and strace watches from aside.
    command.args(["-D", "-f", "-qq", "-o"]).arg(&trace);
    command.arg(plain.get_program()).args(plain.get_args());
    command.current_dir(setup.folder());
    command.env("RUST_LOG", "info");
    let mut server = Server::start("syncd", command, &setup.folder().join("syncd.log"))?;
    let ready = async || {
        get(&setup.status, "/readyz")
            .await
            .is_ok_and(|reply| reply.status == 200)
    };
    server.wait_ready(Duration::from_secs(60), ready).await?;
    let login = Some(("demo", "mirror-demo-password"));
    let image = format!("{}/hello:1", setup.registry);
    wait_for(
        "the sample image",
        Duration::from_secs(60),
        async || {
            let (output, _) = outcome(&mut setup.crane(login, &["digest", &image])?)?;
            Ok(output.status.success().then_some(()))
        },
        async || server.log_tail(),
    )
    .await?;
    let status = server.terminate(Duration::from_secs(15)).await?;
    assert!(status.success(), "{status}");
    let text = wait_for(
        "the end of the trace",
        Duration::from_secs(10),
        async || {
            let text = fs::read_to_string(&trace).unwrap_or_default();
            Ok(text.contains("exit_group(").then_some(text))
        },
        async || String::new(),
    )
    .await?;
    Ok(text.lines().filter_map(call).collect())
}

/// The call of a line `PID NAME(…`.
fn call(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(' ')?;
    let (name, _) = rest.trim_start().split_once('(')?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_name.then(|| name.to_owned())
}

/// The lines of the Containerfile that begin with this word, without it.
fn instructions<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(word));
    lines.filter_map(|line| line.strip_prefix(' ')).collect()
}

#[test]
fn the_image_is_built_from_what_is_here_and_holds_what_the_program_needs() -> Result<()> {
    let text = shipped("Containerfile");
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let from = instructions(&text, "FROM");
    let [build, last] = from.as_slice() else {
        panic!("two stages: {from:?}")
    };
    let rust = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let rust = rust.unwrap().trim_matches('"');
    // Both stages have the same C library: Debian 12 is bookworm.
    assert_eq!(*build, format!("docker.io/library/rust:{rust}-bookworm AS build"));
    assert_eq!(*last, "gcr.io/distroless/cc-debian12:nonroot");

    // What is copied is enough for cargo to know the workspace.
    let folder = TempDir::new().unwrap();
    for copied in instructions(&text, "COPY") {
        if copied.starts_with("--from=") {
            continue;
        }
        let mut words: Vec<&str> = copied.split(' ').collect();
        let to = words.pop().unwrap();
        for word in words {
            copy(
                &repository().join(word),
                &folder.path().join(to).join(if to == "./" { word } else { "" }),
            );
        }
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(folder.path());
    cargo.args([
        "metadata",
        "--locked",
        "--offline",
        "--no-deps",
        "--format-version=1",
    ]);
    let metadata: serde_json::Value = serde_json::from_str(&run(&mut cargo)?).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let programs: Vec<_> = packages
        .flat_map(|package| package["targets"].as_array().unwrap().iter())
        .filter(|target| target["name"] == "syncd" && target["kind"][0] == "bin")
        .collect();
    assert_eq!(programs.len(), 1, "cargo build --bin syncd");

    // The libraries of the last stage (distroless `cc`): the C library and libgcc.
    let libraries = run(Command::new("ldd").arg(Tools::syncd()?))?;
    for line in libraries.lines() {
        let name = line.trim().rsplit('/').next().unwrap_or_default();
        let name = name.split(' ').next().unwrap_or_default();
        let known = [
            "linux-vdso.so.1",
            "libgcc_s.so.1",
            "libm.so.6",
            "libc.so.6",
            "ld-linux-x86-64.so.2",
        ];
        assert!(known.contains(&name), "{name} is not in the image");
    }
    let user = instructions(&text, "USER");
    assert_eq!(user, ["65532:65532"]);
    assert!(shipped("kustomize/base/deployment.yaml").contains("runAsUser: 65532"));
    Ok(())
}

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

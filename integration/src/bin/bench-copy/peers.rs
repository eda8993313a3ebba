//! Who copies, and how each is told the same job.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use serde_json::Value;
use syncd_integration::error::{Context, Error};
use syncd_integration::{Result, Tools};

use crate::set::Set;

/// A program that copies images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Peer {
    /// `syncd sync mirror` to a registry.
    Syncd,
    /// `syncd sync mirror` to its own store, every blob synced to the disk.
    Embedded,
    /// regclient's, with as many requests at once as syncd has connections.
    Regsync,
    /// The same as it comes: three requests a registry at once.
    RegsyncDefault,
    /// The ORAS project's, a process an image.
    Oras,
    /// go-containerregistry's, a process an image.
    Crane,
    /// A process an image.
    Skopeo,
}

impl Peer {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Regsync,
        Self::Syncd,
        Self::Embedded,
        Self::RegsyncDefault,
        Self::Oras,
        Self::Crane,
        Self::Skopeo,
    ];
}

impl Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Syncd => "syncd",
            Self::Embedded => "embedded",
            Self::Regsync => "regsync",
            Self::RegsyncDefault => "regsync-default",
            Self::Oras => "oras",
            Self::Crane => "crane",
            Self::Skopeo => "skopeo",
        })
    }
}

/// From where to where.
pub(crate) struct Place<'a> {
    /// The source registry.
    pub source: String,
    /// The destination registry.
    pub target: String,
    /// For configs and stores.
    pub folder: &'a Path,
}

impl Place<'_> {
    /// What syncd puts before the names, and the others are told to.
    pub(crate) fn prefix(&self) -> String {
        format!("mirror/{}/", self.source.replace(':', "_"))
    }
}

/// A command that does the job, again and again.
pub(crate) struct Prepared {
    program: PathBuf,
    arguments: Vec<String>,
    output: PathBuf,
}

impl Prepared {
    /// The command under GNU time, which writes what it used to `usage`.
    pub(crate) fn command(&self, usage: &Path) -> Result<Command> {
        let output = fs::File::create(&self.output).context("write an output")?;
        let mut command = Command::new(Tools::system("time")?);
        command.arg("-o").arg(usage).args(["-f", "%U %S %M"]);
        command.arg(&self.program).args(&self.arguments);
        command
            .stderr(output.try_clone().context("write an output")?)
            .stdout(output);
        Ok(command)
    }

    /// What it wrote last time.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Whether syncd's own report says that all images were copied.
    pub(crate) fn check_report(&self, images: usize) -> Result<()> {
        let text = self.output();
        // The document is all of standard output, but talk shares the file.
        let start = text.find("{\n").or_else(|| text.find('{')).unwrap_or(0);
        let report = serde_json::Deserializer::from_str(&text[start..])
            .into_iter::<Value>()
            .next();
        let copied = report.and_then(|report| report.ok()?["totals"]["copied"].as_u64());
        if copied == Some(images as u64) {
            return Ok(());
        }
        Err(Error::Other {
            operation: "see all images copied".to_owned(),
            source: text.into(),
        })
    }
}

impl Peer {
    /// Whether it fills the destination registry.
    pub(crate) fn writes_to_registry(self) -> bool {
        self != Self::Embedded
    }

    /// Writes what the program needs to know.
    pub(crate) fn prepare(
        self,
        place: &Place<'_>,
        set: &Set,
        (parallel, connections): (usize, usize),
    ) -> Result<Prepared> {
        let (program, arguments) = match self {
            Self::Syncd | Self::Embedded => {
                let config = self.syncd_config(place, set, connections);
                let file = write(place, "syncd.yaml", &config)?;
                let arguments = ["sync", "mirror", "-o", "json", "--config", &file];
                (Tools::syncd()?, arguments.map(str::to_owned).to_vec())
            }
            Self::Regsync | Self::RegsyncDefault => {
                let requests = if self == Self::Regsync { connections } else { 3 };
                let config = regsync_config(place, set, parallel, requests);
                let file = write(place, "regsync.yaml", &config)?;
                (
                    Tools::path("regsync")?,
                    ["-c", &file, "once"].map(str::to_owned).to_vec(),
                )
            }
            Self::Oras => {
                let command = "cp --from-plain-http --to-plain-http";
                each(place, set, parallel, "", &Tools::path("oras")?, command)?
            }
            Self::Crane => each(
                place,
                set,
                parallel,
                "",
                &Tools::path("crane")?,
                "copy --insecure",
            )?,
            Self::Skopeo => {
                let command = "copy --quiet --all --preserve-digests \
                               --src-tls-verify=false --dest-tls-verify=false";
                each(
                    place,
                    set,
                    parallel,
                    "docker://",
                    &Tools::system("skopeo")?,
                    command,
                )?
            }
        };
        Ok(Prepared {
            program,
            arguments,
            output: place.folder.join("output"),
        })
    }

    fn syncd_config(self, place: &Place<'_>, set: &Set, connections: usize) -> String {
        let (source, target) = (&place.source, &place.target);
        let mut text = "apiVersion: syncd.dev/v1alpha1
kind: Config
stateDir: state
registries:
"
        .to_owned();
        for host in [source, target] {
            text += &format!(
                "  - {{host: \"{host}\", plainHttp: true, limits: {{connections: {connections}}}}}\n"
            );
        }
        text += "mirror:\n";
        if self == Self::Syncd {
            text += &format!("  destination: {target}/mirror\n");
        } else {
            text += "  destination: embedded\n";
        }
        text += "  images:\n";
        for (repository, tag) in set.images() {
            text += &format!("    - {source}/{repository}:{tag}\n");
        }
        if self == Self::Embedded {
            text += "registry:\n  listen: 127.0.0.1:0\n";
        }
        text
    }
}

fn regsync_config(place: &Place<'_>, set: &Set, parallel: usize, requests: usize) -> String {
    let mut text = String::from("version: 1\ncreds:\n");
    for host in [&place.source, &place.target] {
        text += &format!("  - {{registry: \"{host}\", tls: disabled, reqConcurrent: {requests}}}\n");
    }
    text += &format!("defaults: {{parallel: {parallel}}}\nsync:\n");
    for (source, target) in pairs(place, set, "") {
        text += &format!("  - {{source: \"{source}\", target: \"{target}\", type: image}}\n");
    }
    text
}

/// A process an image, some at once.
fn each(
    place: &Place<'_>,
    set: &Set,
    parallel: usize,
    transport: &str,
    program: &Path,
    arguments: &str,
) -> Result<(PathBuf, Vec<String>)> {
    let mut list = String::new();
    for (source, target) in pairs(place, set, transport) {
        list += &format!("{source} {target}\n");
    }
    let file = write(place, "list", &list)?;
    let parallel = parallel.to_string();
    let mut all = ["-a", &file, "-P", &parallel, "-n", "2"]
        .map(str::to_owned)
        .to_vec();
    all.push(program.to_string_lossy().into_owned());
    all.extend(arguments.split_whitespace().map(str::to_owned));
    Ok((Tools::system("xargs")?, all))
}

fn pairs(place: &Place<'_>, set: &Set, transport: &str) -> Vec<(String, String)> {
    let prefix = place.prefix();
    let (from, to) = (&place.source, &place.target);
    let pair = |(repository, tag)| {
        let source = format!("{transport}{from}/{repository}:{tag}");
        (source, format!("{transport}{to}/{prefix}{repository}:{tag}"))
    };
    set.images().map(pair).collect()
}

fn write(place: &Place<'_>, name: &str, text: &str) -> Result<String> {
    let path = place.folder.join(name);
    fs::write(&path, text).context(format!("write {}", path.display()))?;
    Ok(path.to_string_lossy().into_owned())
}

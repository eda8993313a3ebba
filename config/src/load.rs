//! The file a user writes, read whole.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::decode::{self, Read};
use crate::diagnostics::Diagnostics;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::error::{LoadError, Problem, Problems};
use crate::tree::{self, MAX_BYTES, Place, Span};

/// A configuration and what it was made of.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The files that it names (keys that end in `File`), each once.
    pub files: Vec<PathBuf>,
    /// Of the file and of every file it names: another one means that something changed.
    pub hash: Digest,
    /// What is doubtful, and does not stop it from being used.
    pub warnings: Vec<Problem>,
}

/// Reads a configuration file and all it says.
///
/// # Errors
/// The file cannot be read, or is wrong. A file that it names may be missing: that is a warning.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    let text = read_capped(path).map_err(|source| LoadError::Read {
        path: path.to_owned(),
        source,
    })?;
    let base = path.parent().unwrap_or(Path::new(""));
    let parsed = parse_all(&text, &path.display().to_string(), base, true).map_err(LoadError::Invalid)?;
    let hash = hash(&text, &parsed.files);
    Ok(Loaded {
        config: parsed.config,
        files: parsed.files,
        hash,
        warnings: parsed.warnings,
    })
}

/// Reads a configuration from bytes; relative paths in it are joined to `base_dir`.
/// No file is looked at.
///
/// # Errors
/// Everything that is wrong, in the order of the places.
pub fn parse(text: &[u8], file_name: &str, base_dir: &Path) -> Result<Config, Problems> {
    parse_all(text, file_name, base_dir, false).map(|parsed| parsed.config)
}

pub(crate) struct Parsed {
    pub(crate) config: Config,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) warnings: Vec<Problem>,
}

pub(crate) fn parse_all(bytes: &[u8], file: &str, base: &Path, look: bool) -> Result<Parsed, Problems> {
    let mut diagnostics = Diagnostics::default();
    let text = match check_text(bytes) {
        Ok(text) => text,
        Err((place, message, hint)) => {
            let span = Span {
                start: place,
                end: place,
            };
            diagnostics.error(span, "", message).hint_opt(hint);
            let (problems, _) = diagnostics.finish(file, "", None);
            return Err(problems.unwrap_or_else(|| Problems::unexplained(file)));
        }
    };
    let tree = tree::read(text, &mut diagnostics);
    let Some(tree) = tree else {
        let (problems, _) = diagnostics.finish(file, text, None);
        return Err(problems.unwrap_or_else(|| Problems::unexplained(file)));
    };
    let mut walked = decode::walk(&tree, base, diagnostics);
    if look {
        warn_missing(&mut walked.diagnostics, &walked.files);
    }
    let (problems, warnings) = walked.diagnostics.finish(file, text, Some(&tree));
    match (walked.config, problems) {
        (Some(config), None) => {
            let mut files: Vec<PathBuf> = walked.files.into_iter().map(|read| read.value).collect();
            files.sort();
            files.dedup();
            Ok(Parsed {
                config,
                files,
                warnings,
            })
        }
        (_, problems) => Err(problems.unwrap_or_else(|| Problems::unexplained(file))),
    }
}

type Complaint = (Place, String, Option<&'static str>);

/// UTF-8 of a sane size without control characters; a byte order mark is skipped.
fn check_text(bytes: &[u8]) -> Result<&str, Complaint> {
    if bytes.len() > MAX_BYTES {
        return Err((Place::default(), "the file is larger than 1 MiB".to_owned(), None));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let place = place_after(&String::from_utf8_lossy(good));
            let hint = "save the file as UTF-8";
            return Err((place, "this is not UTF-8".to_owned(), Some(hint)));
        }
    };
    match text
        .char_indices()
        .find(|(_, c)| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        Some((at, c)) => {
            let place = place_after(text.get(..at).unwrap_or_default());
            Err((
                place,
                format!("a control character (U+{:04X})", u32::from(c)),
                None,
            ))
        }
        None => Ok(text),
    }
}

/// The place of the character after `text`.
fn place_after(text: &str) -> Place {
    let line = text.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = text.rsplit('\n').next().unwrap_or_default().chars().count();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place {
        line: number(line),
        column: number(column),
    }
}

/// A named file that is not there is no error: it may come later.
fn warn_missing(diagnostics: &mut Diagnostics, files: &[Read<PathBuf>]) {
    for read in files {
        let name = read.path.rsplit('.').next().unwrap_or_default();
        let why = match std::fs::metadata(&read.value) {
            Ok(meta) if meta.is_file() => continue,
            Ok(_) => "is not a regular file",
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => "may not be read",
            Err(_) => "is not there",
        };
        diagnostics
            .warn(
                read.span,
                &read.path,
                format!("the file that `{name}` names {why}"),
            )
            .hint_opt(
                (name == "passwordFile")
                    .then_some("it names a file with the password in it, not the password"),
            );
    }
}

/// At most one byte more than may be; never waits on a pipe.
fn read_capped(path: &Path) -> std::io::Result<Vec<u8>> {
    let not_a_file = || std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file");
    if !std::fs::metadata(path)?.is_file() {
        return Err(not_a_file());
    }
    let mut bytes = Vec::new();
    let cap = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX) + 1;
    std::fs::File::open(path)?.take(cap).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Of the lengths and contents; a file that cannot be read counts as such.
fn hash(text: &[u8], files: &[PathBuf]) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut add = |mark: u8, bytes: &[u8]| {
        hasher.update(&[mark]);
        hasher.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(bytes);
    };
    add(b'c', text);
    for path in files {
        add(b'p', path.as_os_str().as_encoded_bytes());
        match read_capped(path) {
            Ok(bytes) => add(b'f', &bytes),
            Err(_) => add(b'-', b""),
        }
    }
    hasher.finish()
}

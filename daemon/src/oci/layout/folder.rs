//! A user's OCI image layout (image-spec, image-layout.md), read only. Its content is as foreign
//! as a registry's: capped, checked, and no symbolic link in it is followed.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::{Mode, OFlags, openat};
use serde::Deserialize;
use syncd_config::reference::Target;
use syncd_config::{Digest, Reference, Tag};

use super::super::error::{ErrorKind, RegistryError};
use super::super::graph::{self, MAX_MANIFEST};
use super::super::store::{Descriptor, Manifest};
use super::Result;
use super::disk::{io_error, present};
use super::index::REF_NAME;

/// containerd's annotation of the full name.
const IMAGE_NAME: &str = "io.containerd.image.name";

#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

#[derive(Deserialize)]
struct IndexFile {
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutFile {
    image_layout_version: String,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self> {
        const OPERATION: &str = "open the image layout";
        let folder = Self {
            path: path.to_owned(),
        };
        let Some(bytes) = folder.small_file("oci-layout", OPERATION)? else {
            return Err(folder.fault(
                ErrorKind::Io,
                OPERATION,
                "no OCI image layout: it has no file oci-layout",
            ));
        };
        match serde_json::from_slice::<LayoutFile>(&bytes) {
            Ok(file) if file.image_layout_version.starts_with("1.") => Ok(folder),
            Ok(_) => Err(folder.fault(
                ErrorKind::Unsupported,
                OPERATION,
                "its imageLayoutVersion is not 1",
            )),
            Err(_) => Err(folder.fault(ErrorKind::Malformed, OPERATION, "its file oci-layout is damaged")),
        }
    }

    pub(super) fn place(&self) -> String {
        self.path.display().to_string()
    }

    pub(super) fn top_level(&self) -> Result<Vec<(Option<String>, Descriptor)>> {
        let name = |descriptor: Descriptor| {
            let names = &descriptor.annotations;
            let name = names.get(REF_NAME).or_else(|| names.get(IMAGE_NAME)).cloned();
            (name, descriptor)
        };
        Ok(self.entries()?.into_iter().map(name).collect())
    }

    fn entries(&self) -> Result<Vec<Descriptor>> {
        const OPERATION: &str = "read index.json";
        let bytes = self
            .small_file("index.json", OPERATION)?
            .ok_or_else(|| self.fault(ErrorKind::Io, OPERATION, "it is not there"))?;
        let index: IndexFile = serde_json::from_slice(&bytes)
            .map_err(|error| self.fault(ErrorKind::Malformed, OPERATION, &error.to_string()))?;
        Ok(index.manifests.unwrap_or_default())
    }

    pub(super) fn manifest(&self, target: &Target) -> Result<Option<Manifest>> {
        let entries = self.entries()?;
        let entry = match target {
            Target::Tag(tag) => match named(&entries, tag) {
                None => return Ok(None),
                found => found,
            },
            Target::Digest(digest) => entries.iter().find(|entry| entry.digest == *digest),
        };
        let digest = match (entry, target) {
            (Some(entry), _) => &entry.digest,
            (None, Target::Digest(digest)) => digest,
            (None, Target::Tag(_)) => return Ok(None),
        };
        let operation = format!("read manifest {digest}");
        let Some((file, size)) = self.blob_file(digest)? else {
            return match entry {
                None => Ok(None),
                Some(_) => Err(self.fault(
                    ErrorKind::ManifestUnknown,
                    &operation,
                    "index.json names it, but its file is not there",
                )),
            };
        };
        if size > MAX_MANIFEST as u64 {
            return match entry {
                None => Ok(None),
                Some(_) => Err(self.fault(ErrorKind::TooLarge, &operation, "it has more than 4 MiB")),
            };
        }
        let bytes = self.read(file, &operation)?;
        if !digest.matches(&bytes) || entry.is_some_and(|entry| entry.size != bytes.len() as u64) {
            return Err(self.fault(
                ErrorKind::Integrity,
                &operation,
                "its file does not have this digest and size",
            ));
        }
        // The folder keeps no media type beside a blob that index.json does not name.
        let media_type = match entry {
            Some(entry) => Some(entry.media_type.clone()),
            None => graph::sniff(&bytes),
        };
        Ok(media_type.map(|media_type| Manifest {
            bytes: bytes.into(),
            media_type,
            digest: digest.clone(),
        }))
    }

    pub(super) fn blob_file(&self, digest: &Digest) -> Result<Option<(File, u64)>> {
        let algorithm = digest.algorithm().as_str();
        self.open_regular(
            &["blobs", algorithm, digest.hex()],
            &format!("read blob {digest}"),
        )
    }

    fn small_file(&self, name: &str, operation: &str) -> Result<Option<Bytes>> {
        match self.open_regular(&[name], operation)? {
            None => Ok(None),
            Some((_, size)) if size > MAX_MANIFEST as u64 => {
                let detail = format!("{name} has more than 4 MiB");
                Err(self.fault(ErrorKind::TooLarge, operation, &detail))
            }
            Some((file, _)) => Ok(Some(self.read(file, operation)?.into())),
        }
    }

    fn read(&self, file: File, operation: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        file.take(MAX_MANIFEST as u64)
            .read_to_end(&mut bytes)
            .map_err(|error| io_error(&self.place(), operation, error))?;
        Ok(bytes)
    }

    /// Opens a file below the folder, step by step and without following links: a layout that was
    /// unpacked from somewhere must not lead to `/etc`.
    fn open_regular(&self, steps: &[&str], operation: &str) -> Result<Option<(File, u64)>> {
        let failed = |error| io_error(&self.place(), operation, error);
        let Some(mut at) = present(File::open(&self.path)).map_err(failed)? else {
            return Ok(None);
        };
        // NONBLOCK: opening a named pipe would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        for step in steps {
            at = match openat(&at, *step, flags, Mode::empty()) {
                Ok(opened) => File::from(opened),
                Err(rustix::io::Errno::LOOP) => {
                    let detail = format!("{step} is a symbolic link, which syncd does not follow here");
                    return Err(self.fault(ErrorKind::Malformed, operation, &detail));
                }
                Err(error) => match present::<File>(Err(error.into())).map_err(failed)? {
                    Some(file) => file,
                    None => return Ok(None),
                },
            };
        }
        let metadata = at.metadata().map_err(failed)?;
        if !metadata.is_file() {
            let detail = "it is no regular file";
            return Err(self.fault(ErrorKind::Malformed, operation, detail));
        }
        Ok(Some((at, metadata.len())))
    }

    fn fault(&self, kind: ErrorKind, operation: &str, detail: &str) -> RegistryError {
        RegistryError::new(kind, self.place(), operation).detail(detail)
    }
}

/// The entry with this tag. Tools write the bare tag or the full name, under either annotation;
/// the last one wins, as with a tag that was moved.
fn named<'a>(entries: &'a [Descriptor], tag: &Tag) -> Option<&'a Descriptor> {
    let is_it = |name: &String| {
        name == tag.as_str()
            || (name.contains('/')
                && name
                    .parse::<Reference>()
                    .is_ok_and(|full| full.tag.as_ref() == Some(tag)))
    };
    entries.iter().rev().find(|entry| {
        let names = [REF_NAME, IMAGE_NAME];
        names
            .iter()
            .filter_map(|key| entry.annotations.get(*key))
            .any(is_it)
    })
}

//! The power is cut: an ext4 file system on a loop device, whose backing file is copied at the
//! instant; the copy is what the disk would have had.

use std::path::{Path, PathBuf};
use std::process::Command;

use syncd_integration::Tools;
use syncd_integration::process::run;
use tempfile::TempDir;

use crate::check::damage;
use crate::kill::completes;
use crate::strace::traced;

struct Mounted {
    at: TempDir,
}

impl Mounted {
    fn new(image: &Path) -> Self {
        let at = TempDir::new().unwrap();
        let mount = Tools::system("mount").unwrap();
        run(Command::new(mount).args(["-o", "loop"]).arg(image).arg(at.path())).unwrap();
        Self { at }
    }

    fn store(&self) -> PathBuf {
        self.at.path().join("store")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let umount = Tools::system("umount").unwrap();
        run(Command::new(umount).arg(self.at.path())).unwrap();
    }
}

/// An empty file system, made once.
struct Template {
    dir: TempDir,
}

impl Template {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let image = dir.path().join("empty");
        std::fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
        let mkfs = Tools::system("mkfs.ext4").unwrap();
        run(Command::new(mkfs).args(["-q", "-F", "-J", "size=4"]).arg(&image)).unwrap();
        Self { dir }
    }

    /// Runs the writer with this fault, cuts the power at its end, and gives what is wrong on the
    /// disk then; `None` when the fault was not reached.
    fn cut(&self, options: &[&str], ends_by_itself: bool) -> Option<Vec<String>> {
        let (image, cut) = (self.dir.path().join("image"), self.dir.path().join("cut"));
        std::fs::copy(self.dir.path().join("empty"), &image).unwrap();
        let ended = {
            let disk = Mounted::new(&image);
            let ended = traced(options, &["all", disk.store().to_str().unwrap()]);
            std::fs::copy(&image, &cut).unwrap();
            ended
        };
        if ended.killed() == ends_by_itself {
            return None;
        }
        let disk = Mounted::new(&cut);
        let found = damage(&disk.store(), &ended.said);
        if found.is_empty() {
            completes(&disk.store(), &format!("{options:?}"));
        }
        Some(found)
    }
}

#[test]
fn a_power_cut_shows_no_damage_and_loses_nothing_acknowledged() {
    let template = Template::new();
    let mut cuts = 0;
    // Before a name is given, before a folder is synced, and right after an acknowledgement (the
    // next write is of the next file).
    for (call, step) in [
        ("?rename,?renameat,?renameat2", 5),
        ("fsync", 8),
        ("?mkdir,?mkdirat", 5),
        ("write", 9),
    ] {
        for when in (1..).step_by(step) {
            let kill = format!("inject={call}:signal=KILL:when={when}");
            let trace = format!("trace={call}");
            let Some(found) = template.cut(&["-e", &trace, "-e", &kill], false) else {
                break;
            };
            assert_eq!(found, Vec::<String>::new(), "power cut at {call} number {when}");
            cuts += 1;
        }
    }
    assert!(cuts >= 18, "only {cuts} cuts");
}

/// Without its syncs the same store is damaged by the same cut, or this test could not fail.
#[test]
fn a_power_cut_without_syncs_is_noticed() {
    let template = Template::new();
    let skipped = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:retval=0"];
    let files = template.cut(&skipped, true).unwrap();
    assert!(
        files.iter().any(|wrong| wrong.contains("damaged")),
        "no sync of files: {files:?}"
    );
    // A later sync of a file would make up for that of a folder: cut before it.
    let noticed = (10..).find_map(|when| {
        let kill = format!("inject=write:signal=KILL:when={when}");
        let skip = "inject=fsync:retval=0";
        let found = template.cut(&["-e", "trace=fsync,write", "-e", skip, "-e", &kill], false)?;
        (!found.is_empty()).then_some(found)
    });
    let folders = noticed.unwrap();
    assert!(
        folders.iter().any(|wrong| wrong.contains("acknowledged")),
        "no sync of folders: {folders:?}"
    );
}

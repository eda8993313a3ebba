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

/// What a cut did.
struct Cut {
    /// Whether the writer got to where it was to end.
    reached: bool,
    /// What is wrong on the disk.
    wrong: Vec<String>,
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
    /// disk then.
    fn cut(&self, options: &[&str], ends_by_itself: bool) -> Cut {
        let (image, cut) = (self.dir.path().join("image"), self.dir.path().join("cut"));
        std::fs::copy(self.dir.path().join("empty"), &image).unwrap();
        let ended = {
            let disk = Mounted::new(&image);
            let ended = traced(options, &["all", disk.store().to_str().unwrap()]);
            std::fs::copy(&image, &cut).unwrap();
            ended
        };
        if ended.killed() == ends_by_itself {
            return Cut {
                reached: false,
                wrong: Vec::new(),
            };
        }
        let disk = Mounted::new(&cut);
        let wrong = damage(&disk.store(), &ended.said);
        if wrong.is_empty() {
            completes(&disk.store(), &format!("{options:?}"));
        }
        Cut { reached: true, wrong }
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
            let cut = template.cut(&["-e", &trace, "-e", &kill], false);
            if !cut.reached {
                break;
            }
            assert_eq!(
                cut.wrong,
                Vec::<String>::new(),
                "power cut at {call} number {when}"
            );
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
    let files = template.cut(&skipped, true).wrong;
    assert!(
        files.iter().any(|wrong| wrong.contains("damaged")),
        "no sync of files: {files:?}"
    );
    // A later sync of a file would make up for that of a folder: cut before it.
    let noticed = (10..).find_map(|when| {
        let kill = format!("inject=write:signal=KILL:when={when}");
        let skip = "inject=fsync:retval=0";
        let cut = template.cut(&["-e", "trace=fsync,write", "-e", skip, "-e", &kill], false);
        (!cut.reached || !cut.wrong.is_empty()).then_some(cut.wrong)
    });
    let folders = noticed.unwrap_or_default();
    assert!(
        folders.iter().any(|wrong| wrong.contains("acknowledged")),
        "no sync of folders: {folders:?}"
    );
}

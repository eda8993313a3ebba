//! The order of system calls, held against the strictest disk there may be: one that keeps nothing
//! that was not synced, and anything else in any order. File systems are kinder, and so would hide
//! a missing sync from the other tests.

use std::collections::HashSet;

use crate::strace::traced;

#[derive(Default)]
struct Disk {
    /// Files with content that is not on the disk, by path.
    unsynced: HashSet<String>,
    /// Names that are not on the disk.
    unsettled: HashSet<String>,
    wrong: Vec<String>,
    published: usize,
    acknowledged: usize,
}

impl Disk {
    fn see(&mut self, line: &str) {
        let Some((call, args, result)) = parse(line) else {
            return;
        };
        let paths: Vec<&str> = args.split('"').skip(1).step_by(2).collect();
        match (call, &paths[..]) {
            ("write", _) if args.starts_with("1<") => self.acknowledge(args),
            ("write", _) => {
                self.unsynced.insert(fd_path(args).to_owned());
            }
            ("openat", [path]) if args.contains("O_EXCL") => self.named(path),
            ("fdatasync", _) => {
                self.unsynced.remove(fd_path(args));
            }
            ("fsync", _) => {
                let folder = fd_path(args);
                self.unsettled.retain(|name| parent(name) != folder);
            }
            ("rename" | "renameat" | "renameat2", [from, to]) => self.publish(from, to, true),
            ("link" | "linkat", [from, to]) => self.publish(from, to, false),
            ("unlink" | "unlinkat", [path]) => self.removed(path),
            ("mkdir" | "mkdirat", [path]) => self.named(path),
            _ => self.wrong.push(format!("not understood: {line} ({result})")),
        }
    }

    fn publish(&mut self, from: &str, to: &str, moved: bool) {
        if self.unsynced.contains(from) {
            self.wrong
                .push(format!("{to} got its name before its content was synced"));
        }
        if to.contains("/_manifests/") || to.contains("/_tags/") {
            self.published += 1;
            self.all_settled(to, &format!("{to} got its name"));
        }
        if moved {
            self.unsynced.remove(from);
        }
        self.named(to);
    }

    /// What a tag needs goes after the tag, what a manifest needs after the manifest.
    fn removed(&mut self, path: &str) {
        if path.contains("/_manifests/") || path.contains("/_layout/blobs/") {
            self.all_settled(path, &format!("{path} was removed"));
        }
        self.named(path);
    }

    fn named(&mut self, path: &str) {
        self.unsettled.insert(path.to_owned());
    }

    fn acknowledge(&mut self, args: &str) {
        // index.json is derived, and found to be old at the next start.
        if args.contains("ack ") && !args.contains("ack index") {
            self.acknowledged += 1;
            self.all_settled("", &format!("{args} was said"));
        }
    }

    /// But for folders above `path`: without their names on the disk it is not there either.
    fn all_settled(&mut self, path: &str, what: &str) {
        let above = |name: &str| path.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
        let early = |name: &&String| !parent(name).ends_with("/tmp") && !above(name);
        let early = self.unsettled.iter().filter(early);
        self.wrong
            .extend(early.map(|name| format!("{what} before the name {name} was synced")));
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').unwrap().0
}

/// `123 rename("a", "b") = 0`; `None` for calls that failed and for signals.
fn parse(line: &str) -> Option<(&str, &str, &str)> {
    let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
    let (call, rest) = line.split_once('(')?;
    let (args, result) = rest.rsplit_once(" = ")?;
    (!result.starts_with('-')).then_some((call, args, result))
}

/// `5</path>, …`
fn fd_path(args: &str) -> &str {
    args.split(['<', '>']).nth(1).unwrap()
}

const CHANGES: &str = "trace=?link,?linkat,?rename,?renameat,?renameat2,?mkdir,?mkdirat,?unlink,\
                       ?unlinkat,write,fsync,fdatasync,openat";

#[test]
fn nothing_is_visible_or_acknowledged_before_it_is_synced() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    // The folder of the store is its owner's.
    std::fs::create_dir(&store).unwrap();
    let store = store.to_str().unwrap();
    let ended = traced(&["-y", "-s", "80", "-e", CHANGES], &["all", store]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mut disk = Disk::default();
    let of_store = |line: &&str| line.contains(store) && !line.contains("/lock");
    let acks = |line: &&str| line.contains("write(1<");
    let changes = |line: &&str| !line.contains("openat(") || line.contains("O_EXCL");
    for line in ended
        .trace
        .lines()
        .filter(|l| (of_store(l) || acks(l)) && changes(l))
    {
        disk.see(line);
    }
    assert_eq!(disk.wrong, Vec::<String>::new());
    assert!(
        disk.published >= 15 && disk.acknowledged >= 12,
        "{} published, {} acknowledged",
        disk.published,
        disk.acknowledged
    );
}

/// The calls between the writer's two lines.
fn calls_of_a_tag(tags: usize) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().to_str().unwrap();
    let prepared = crate::strace::plain(&["all", store]);
    let digest = prepared
        .said
        .lines()
        .find_map(|l| l.strip_prefix("ack other/app v1 "))
        .unwrap();
    let folder = dir.path().join("repositories/other/app/_tags");
    for n in 1..tags {
        std::fs::write(folder.join(format!("t{n}")), format!("{digest}\n")).unwrap();
    }
    let ended = traced(
        &["-e", "trace=file,desc,read,write,getdents64"],
        &["tag", store, "other/app", "new", digest],
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let names = ended.trace.lines().map(|line| {
        let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        (
            line.split('(').next().unwrap_or_default().to_owned(),
            line.contains("before"),
            line.contains("after"),
        )
    });
    names
        .skip_while(|(_, before, _)| !before)
        .take_while(|(_, _, after)| !after)
        .map(|(name, ..)| name)
        .collect()
}

#[test]
fn setting_a_tag_costs_the_same_calls_at_10_and_at_10_000_tags() {
    let few = calls_of_a_tag(10);
    assert!((8..40).contains(&few.len()), "{few:?}");
    assert_eq!(few, calls_of_a_tag(10_000));
}

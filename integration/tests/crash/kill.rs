//! The process is killed before each of its system calls that change anything.

use std::path::Path;

use crate::check::damage;
use crate::strace::{plain, traced};

/// Kills at every `step`-th call until the writer gets to its end; gives the number of kills.
fn kill_at_every(calls: &str, step: usize) -> usize {
    for when in (1..).step_by(step) {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().to_str().unwrap();
        let kill = format!("inject={calls}:signal=KILL:when={when}");
        let ended = traced(&["-e", &format!("trace={calls}"), "-e", &kill], &["all", store]);
        if !ended.killed() {
            assert_eq!(ended.code, Some(0), "{ended:?}");
            return when / step;
        }
        let at = format!("killed at {calls} number {when}");
        assert_eq!(damage(dir.path(), &ended.said), Vec::<String>::new(), "{at}");
        completes(dir.path(), &at);
    }
    unreachable!()
}

/// A second run gets to the end and to the right state.
pub(crate) fn completes(dir: &Path, after: &str) {
    let again = plain(&["all", dir.to_str().unwrap()]);
    assert_eq!(again.code, Some(0), "{after}: {again:?}");
    assert_eq!(
        damage(dir, &again.said),
        Vec::<String>::new(),
        "{after}, then run again"
    );
}

macro_rules! killed {
    ($($name:ident: $calls:literal, every $step:literal, at least $least:literal;)*) => {$(
        #[test]
        fn $name() {
            let kills = kill_at_every($calls, $step);
            assert!(kills >= $least, "only {kills} kills");
        }
    )*};
}

// Between two opens nothing changes that the others do not see.
killed! {
    killed_at_each_rename: "?rename,?renameat,?renameat2", every 1, at least 20;
    killed_at_each_link: "?link,?linkat", every 1, at least 10;
    killed_at_each_sync_of_a_folder: "fsync", every 1, at least 20;
    killed_at_each_sync_of_a_file: "fdatasync", every 1, at least 20;
    killed_at_each_write: "write", every 1, at least 40;
    killed_at_many_an_open: "openat", every 5, at least 20;
    killed_at_each_removal: "?unlink,?unlinkat", every 1, at least 5;
    killed_at_each_new_folder: "?mkdir,?mkdirat", every 1, at least 10;
}

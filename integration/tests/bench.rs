//! The benchmark program runs and copies what it says, with a set of a few
//! megabytes; its figures are for a quiet machine and a release build.

use std::process::Command;

use syncd_integration::Result;
use syncd_integration::process::run;

#[test]
fn all_peers_copy_the_whole_set() -> Result<()> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-copy"));
    command.args(["--megabytes", "4", "--repositories", "2", "--rounds", "1"]);
    let text = run(&mut command)?;
    assert!(
        text.contains("2 repositories x 2 tags x 2 platforms: 28 blobs in 32 places"),
        "{text}"
    );
    for peer in ["regsync", "syncd", "embedded", "oras", "crane", "skopeo"] {
        let rows = text
            .lines()
            .filter(|line| line.split(' ').next() == Some(peer))
            .count();
        assert_eq!(
            rows, 2,
            "{peer} in the tables of the copy and of its repetition:\n{text}"
        );
    }
    assert!(text.contains("(1.00x)"), "{text}");
    Ok(())
}

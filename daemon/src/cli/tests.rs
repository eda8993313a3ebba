//! The command line itself.

use super::*;

fn parsed(line: &str) -> Result<Args, clap::Error> {
    Args::try_parse_from(line.split(' '))
}

#[test]
fn the_definition_holds() {
    Args::command().debug_assert();
}

#[test]
fn shared_options_stand_before_and_after_the_verb() {
    for line in [
        "syncd --config a.yaml get tasks",
        "syncd get tasks --config a.yaml",
    ] {
        assert_eq!(
            parsed(line).unwrap().global.config,
            Some("a.yaml".into()),
            "{line}"
        );
    }
}

#[test]
fn what_is_not_there_is_refused() {
    for line in [
        "syncd",
        "syncd frobnicate",
        "syncd run --nope",
        "syncd sync weather",
        "syncd sync --confirm-removal",
        "syncd get mirror -o xml",
        "syncd sync mirror --verify much",
        "syncd diagnose",
    ] {
        assert!(parsed(line).is_err(), "{line}");
    }
}

#[test]
fn colour_is_known_before_parsing() {
    let of = |line: &str| asked_color(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
    assert_eq!(of("syncd --color never run"), Color::Never);
    assert_eq!(of("syncd run --color=always"), Color::Always);
    assert_eq!(of("syncd run --colour=always"), Color::Auto);
}

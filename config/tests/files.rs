//! Whole configuration files: what is said about wrong ones, and what right ones mean.

#![allow(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::path::Path;

#[test]
fn the_example_loads_and_shows_as_itself() {
    let config = syncd_config::parse(syncd_config::EXAMPLE.as_bytes(), "full.yaml", Path::new("")).unwrap();
    let shown = syncd_config::show(&config);
    let again = syncd_config::parse(shown.as_bytes(), "shown.yaml", Path::new("")).unwrap();
    assert_eq!(config, again, "{shown}");
}

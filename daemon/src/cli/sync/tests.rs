//! Which passes a command line asks for.

use std::path::Path;

use clap::Parser;

use super::{Args, What, wanted};
use crate::cli::exit::Exit;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    sync: Args,
}

const MIRROR: &str = "mirror: {destination: embedded, images: ['docker.io/library/nginx:1']}\n";

fn credentials(host: &str) -> String {
    format!(
        "registries: [{{host: '{host}', basic: {{username: u, passwordFile: p}}}}]\n\
         credentials: {{targets: [{{file: {{path: c.json}}, registries: ['{host}']}}]}}\n"
    )
}

fn of(body: &str, words: &[&str]) -> Result<Vec<What>, (Exit, String)> {
    let text = format!(
        "apiVersion: syncd.dev/v1alpha1\nkind: Config\nregistry: {{listen: '127.0.0.1:5000'}}\n{body}"
    );
    let config = syncd_config::parse(text.as_bytes(), "c.yaml", Path::new("/base"));
    let line = Line::try_parse_from([&["sync"], words].concat()).unwrap_or_else(|e| panic!("{e}"));
    wanted(&line.sync, &config.unwrap_or_else(|e| panic!("{e}")))
        .map_err(|failure| (failure.exit, failure.error.to_string()))
}

#[test]
fn without_a_word_it_is_all_that_is_configured_in_the_order_that_proves_most() {
    let elsewhere = credentials("reg.example");
    let own = credentials("127.0.0.1:5000");
    assert_eq!(of(MIRROR, &[]), Ok(vec![What::Mirror]));
    assert_eq!(of(&elsewhere, &[]), Ok(vec![What::Credentials]));
    assert_eq!(of(&elsewhere, &["-o", "json"]), Ok(vec![What::Credentials]));
    let both = format!("{MIRROR}{elsewhere}");
    assert_eq!(of(&both, &[]), Ok(vec![What::Credentials, What::Mirror]));
    let both = format!("{MIRROR}{own}");
    assert_eq!(of(&both, &[]), Ok(vec![What::Mirror, What::Credentials]));
    assert_eq!(of(&both, &["mirror"]), Ok(vec![What::Mirror]));
    assert_eq!(
        of(&both, &["credentials", "--renew"]),
        Ok(vec![What::Credentials])
    );
}

#[test]
fn what_cannot_be_meant_is_usage() {
    let both = format!("{MIRROR}{}", credentials("reg.example"));
    for (body, words, said) in [
        (both.as_str(), &["-o", "json"][..], "two passes are two documents"),
        (&both, &["-o", "name"], "two passes are two documents"),
        (&both, &["mirror", "--renew"], "for `syncd sync credentials`"),
        (
            &both,
            &["mirror", "--confirm-removal", "1f"],
            "for `syncd sync credentials`",
        ),
        (
            &both,
            &["credentials", "--verify", "full"],
            "for `syncd sync mirror`",
        ),
        (MIRROR, &["credentials"], "the configuration has no `credentials`"),
        (MIRROR, &["--renew"], "for `syncd sync credentials`"),
        ("", &["mirror"], "the configuration has no `mirror`"),
        ("", &[], "the configuration has no `mirror` and no `credentials`"),
    ] {
        let (exit, text) = of(body, words).unwrap_err();
        assert_eq!(exit, Exit::Usage);
        assert!(text.contains(said), "{words:?}: {text}");
    }
}

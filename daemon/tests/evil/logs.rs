//! Everything that is logged, at TRACE, searched for secrets as it is written.

use std::io;
use std::sync::{Mutex, Once, PoisonError};

use syncd::oci::RegistryError;
use tracing_subscriber::filter::LevelFilter;

use super::client::{CANARY, CANARY_BASIC, TOKEN};

static LEAKS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static LINES: Mutex<usize> = Mutex::new(0);
static START: Once = Once::new();

struct Watch;

impl io::Write for Watch {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        *LINES.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        if has_secret(&text) {
            LEAKS
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(text.into_owned());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Begins to watch what this test binary logs.
pub(crate) fn watch() {
    START.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(|| Watch)
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// Raw, base64 at each of its three alignments, percent and hex.
pub(crate) fn forms(secret: &str) -> impl Iterator<Item = String> + use<> {
    use base64::Engine as _;
    let hex: String = secret.bytes().map(|b| format!("{b:02x}")).collect();
    let percent: String = secret.bytes().map(|b| format!("%{b:02x}")).collect();
    let shifted = ["", "x", "xx"].map(|before| {
        let text = base64::prelude::BASE64_STANDARD_NO_PAD.encode(format!("{before}{secret}"));
        // Without the characters that its neighbours have a share in.
        text[4..text.len() - 2].to_owned()
    });
    [secret.to_owned(), hex, percent].into_iter().chain(shifted)
}

fn has_secret(text: &str) -> bool {
    let mut all = forms(CANARY).chain(forms(TOKEN)).chain([CANARY_BASIC.to_owned()]);
    all.any(|form| text.contains(&form))
}

pub(crate) fn assert_clean() {
    let leaks = LEAKS.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(leaks.is_empty(), "secrets were logged: {leaks:?}");
    let lines = *LINES.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(lines > 0, "nothing was logged: the watch does not work");
}

/// An error and its causes, in every form that it is printed in.
pub(crate) fn assert_clean_error(error: &RegistryError) {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(&format!(" {cause} {cause:?}"));
        next = cause.source();
    }
    assert!(!has_secret(&text), "{text}");
    assert!(!text.contains("sig="), "a URL's query is shown: {text}");
}

#[test]
fn the_watch_finds_every_form() {
    for form in forms(CANARY) {
        assert!(has_secret(&format!("x{form}y")), "{form}");
    }
    assert!(!has_secret("nothing"));
}

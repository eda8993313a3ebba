//! What the mirror's answer means.

use super::checks::Judged;
use super::facts::{Facts, MirrorFacts};
use super::faults::Finding;
use crate::oci::ErrorKind;
use crate::report::{Cause, Confidence};

/// The check `mirror.presence`. It decides the verdict only when the image's own registry is well.
pub(crate) fn check(facts: &Facts) -> Judged {
    let fault = |evidence: &str, place: &str| {
        Judged::fail(Finding::new(
            Cause::MirrorFault,
            Confidence::Likely,
            evidence,
            place,
        ))
    };
    match &facts.mirror {
        MirrorFacts::NotAsked(why) => Judged::skip(why.clone()),
        MirrorFacts::Itself => Judged::skip("this image names the mirror itself"),
        MirrorFacts::Present { name, digest } => present(facts, name, digest),
        MirrorFacts::Missing { name, listed: true } => Judged::warn(
            format!("the mirror has no {name}, although `mirror.images` lists it"),
            "Run `syncd sync mirror`, and see what it says about this image.",
        ),
        MirrorFacts::Missing { name, listed: false } => Judged::warn(
            format!("the mirror has no {name}; `mirror.images` does not list it"),
            match &facts.manifest {
                Some(Ok(_)) => "Add it to `mirror.images`, when nodes shall get it from the mirror.",
                _ => "",
            },
        ),
        MirrorFacts::Damaged { name, words } => fault(&format!("{name} is not whole: {words}"), name),
        MirrorFacts::Failed { name, fault: error } if ours(error.kind) => Judged::warn(
            format!("the mirror was not asked for {name}: {}", error.evidence()),
            "",
        ),
        MirrorFacts::Failed { name, fault: error } => fault(
            &format!("asking the mirror for {name}: {}", error.evidence()),
            &error.place,
        ),
    }
}

/// Troubles of this command, which say nothing about the mirror.
fn ours(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::CredentialUnavailable | ErrorKind::OriginRefused | ErrorKind::Io | ErrorKind::Canceled
    )
}

/// It is there; is it the same image?
fn present(facts: &Facts, name: &str, digest: &str) -> Judged {
    match &facts.manifest {
        Some(Ok(found)) if found.digest != digest => Judged::warn(
            format!("{name} is complete, but an older or other image: {digest}"),
            "Run `syncd sync mirror`.",
        ),
        Some(Ok(_)) => Judged::pass(format!("{name} is complete, the same digest")),
        _ => Judged::pass(format!("{name} is complete: {digest}")),
    }
}

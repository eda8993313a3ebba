//! What each cause means and what to do about it, in one place: the texts of the command, and the
//! reference page `docs/src/reference/causes.md`, which a test keeps the same.

use super::causes_network::{network, tls};
use super::causes_node;
use crate::report::Cause;

/// A cause for people.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The cause.
    pub cause: Cause,
    /// A short claim.
    pub title: &'static str,
    /// How it comes about, and how it shows itself.
    pub meaning: &'static str,
    /// What to do, the likeliest first.
    pub remedy: &'static [&'static str],
}

pub(super) const fn about_of(
    cause: Cause,
    title: &'static str,
    meaning: &'static str,
    remedy: &'static [&'static str],
) -> About {
    About {
        cause,
        title,
        meaning,
        remedy,
    }
}

/// The description of a cause.
#[must_use]
pub fn about(cause: Cause) -> About {
    match cause {
        Cause::None | Cause::Unknown => outcome(cause),
        Cause::RepoNotFound
        | Cause::TagNotFound
        | Cause::PlatformMismatch
        | Cause::UnsupportedManifest
        | Cause::InvalidReference
        | Cause::ContentCorrupt => content(cause),
        Cause::AuthMissing
        | Cause::AuthWrongCredentials
        | Cause::AuthTokenExpired
        | Cause::PermissionDenied
        | Cause::BlockedByPolicy => access(cause),
        Cause::RateLimited | Cause::RegistryError | Cause::MirrorFault => registry(cause),
        Cause::TlsUnknownCa | Cause::TlsHostnameMismatch | Cause::TlsCertTime | Cause::TlsHttpMismatch => {
            tls(cause)
        }
        Cause::DnsFailure
        | Cause::NetworkTimeout
        | Cause::NetworkUnreachable
        | Cause::ConnectionRefused
        | Cause::ConnectionReset
        | Cause::ProxyError => network(cause),
        Cause::SecretMissing
        | Cause::SecretMisconfigured
        | Cause::CredentialProviderFailed
        | Cause::SignatureRejected
        | Cause::DiskFull
        | Cause::LayerExtractFailed
        | Cause::LocalStoreCorrupt
        | Cause::ImageNeverPull
        | Cause::PullQpsExceeded
        | Cause::PullCanceled
        | Cause::SandboxImagePull
        | Cause::RuntimeUnavailable
        | Cause::RuntimeMisconfigured
        | Cause::NoCauseInMessage
        | Cause::NotImageProblem => causes_node::about(cause),
    }
}

fn outcome(cause: Cause) -> About {
    if cause == Cause::None {
        about_of(
            cause,
            "nothing is wrong",
            "Every step that was tried worked from this machine. A node has its own trust store, \
             its own credential and its own way through the network; those were not tested.",
            &[
                "Run the command on the node, or compare its resolver, proxy and CAs with this \
                 machine's.",
                "See which credential the pod uses: its own imagePullSecrets replace those of its \
                 service account, they are not merged.",
            ],
        )
    } else {
        about_of(
            cause,
            "the cause could not be found",
            "Something on this side stopped the questions: a credential file that cannot be read, a \
             redirect that syncd does not follow with a credential, a deadline.",
            &["Mend what the evidence names, and ask again."],
        )
    }
}

fn content(cause: Cause) -> About {
    match cause {
        Cause::RepoNotFound => about_of(
            cause,
            "the registry has no such repository",
            "The name is misspelt, the repository has moved, or the image was built on one machine \
             and never pushed. Some registries answer the same for a repository that the caller may \
             not see.",
            &[
                "Compare the name letter by letter with the registry's own list.",
                "Push or mirror the image.",
            ],
        ),
        Cause::TagNotFound => about_of(
            cause,
            "the repository has no such tag or digest",
            "The repository is there; the tag was never pushed, was removed, or there is no `latest`.",
            &[
                "List the tags and use one that exists.",
                "Push or mirror the tag again.",
            ],
        ),
        Cause::PlatformMismatch => about_of(
            cause,
            "the image is not built for this platform",
            "The image is there for other operating systems or architectures than the node's.",
            &[
                "Build and push the image for the node's platform.",
                "Mirror the whole index: all platforms.",
                "Keep the pod on nodes of a platform that the image has (nodeSelector \
                 kubernetes.io/arch).",
            ],
        ),
        Cause::UnsupportedManifest => about_of(
            cause,
            "the manifest is of a kind that runtimes do not run",
            "A docker schema 1 image, an artifact in place of an image, or a manifest over 4 MiB.",
            &[
                "Build the image again with a current tool.",
                "Use the tag of the image, not of its chart, signature or SBOM.",
            ],
        ),
        Cause::InvalidReference => about_of(
            cause,
            "this is not an image reference",
            "Upper case letters, a scheme such as https://, blanks, or a variable that was never \
             filled in. Nothing was asked of any registry.",
            &["Write it as host/path:tag, in lower case, without a scheme."],
        ),
        _ => about_of(
            cause,
            "the registry holds damaged or incomplete content",
            "The manifest is there, but a blob is missing, short, or its bytes do not have its \
             digest: a fault of the registry's storage or of a proxy in between.",
            &[
                "Ask again past any proxy or cache.",
                "Delete the damaged image in the registry, run its garbage collection, push again: \
                 some registries do not heal a damaged blob by a push.",
            ],
        ),
    }
}

fn access(cause: Cause) -> About {
    match cause {
        Cause::AuthMissing => about_of(
            cause,
            "the registry wants a login and none was given",
            "The image is private, and the pull went out without a credential.",
            &[
                "Give the pod an imagePullSecret for this host, or the node a credential.",
                "Give syncd a `registries` entry for this host.",
            ],
        ),
        Cause::AuthWrongCredentials => about_of(
            cause,
            "the registry refused the credential",
            "A credential was sent and is not valid there: a wrong user or password, a withdrawn \
             token. A stale login spoils the pull of a public image as well.",
            &[
                "Replace the password or token.",
                "For a public image, take the credential out.",
            ],
        ),
        Cause::AuthTokenExpired => about_of(
            cause,
            "the token is past its time",
            "Cloud registries give out tokens that live for hours (Amazon ECR: 12). A token that \
             was copied into a secret by hand is refused after that.",
            &[
                "Renew the token.",
                "Let a program renew it instead of copying it by hand.",
            ],
        ),
        Cause::PermissionDenied => about_of(
            cause,
            "the login is good but has no right to pull this repository",
            "The registry knows the identity; the right to pull from this repository is missing. \
             Some registries answer the same for a repository that does not exist.",
            &[
                "Grant the identity the right to pull from this repository.",
                "Compare the repository's name with the registry's own list.",
            ],
        ),
        _ => about_of(
            cause,
            "a rule of the registry or of a firewall refuses the pull",
            "The refusal is not about rights: the address, the country, a vulnerability rule or a \
             quarantine of the registry, or a firewall in between that answers in its name.",
            &[
                "Read the rule in the refusal's own words, and have the address or the image exempted.",
                "Mirror the image from a place that may pull it.",
            ],
        ),
    }
}

fn registry(cause: Cause) -> About {
    match cause {
        Cause::RateLimited => about_of(
            cause,
            "the registry's rate limit is used up",
            "Too many pulls in a span of time; anonymous pulls share the limit with everybody \
             behind the same address.",
            &[
                "Wait as long as the registry says.",
                "Log in: the limit of an account is higher.",
                "Mirror the image, so that nodes do not ask there.",
            ],
        ),
        Cause::RegistryError => about_of(
            cause,
            "the registry fails",
            "It answers 5xx, or nonsense, or a page that no registry sends. The name and the \
             credential may be right.",
            &[
                "Look at the registry's status page and log; wait.",
                "Do not renew credentials because of it.",
            ],
        ),
        _ => about_of(
            cause,
            "the mirror fails or holds a damaged image",
            "The image is fine at its own registry, but the configured mirror cannot be asked or \
             its copy is not whole. A node that asks the mirror first gets that.",
            &["Mirror the image again.", "Look at the mirror's own log."],
        ),
    }
}

/// The cause of that name, or the names close to it.
///
/// # Errors
/// The text is no cause's name; the closest names, if any, are told.
pub fn named(text: &str) -> Result<Cause, Vec<&'static str>> {
    if let Some(cause) = Cause::ALL.iter().find(|cause| cause.as_str() == text) {
        return Ok(*cause);
    }
    let names: Vec<String> = Cause::ALL.iter().map(ToString::to_string).collect();
    let close = super::near::near(text, &names);
    Err(Cause::ALL
        .iter()
        .map(|cause| cause.as_str())
        .filter(|name| close.contains(name))
        .collect())
}

/// The reference page of causes.
#[must_use]
pub fn page() -> String {
    let mut out = String::from(PAGE_HEAD);
    for cause in Cause::ALL {
        let about = about(*cause);
        out.push_str(&format!(
            "| [`{cause}`](#{cause}) | {} | {} |\n",
            about.title,
            exit_code(*cause)
        ));
    }
    for cause in Cause::ALL {
        let about = about(*cause);
        out.push_str(&format!(
            "\n## {cause}\n\n{}{}.\n\n{}\n\n",
            about.title[..1].to_uppercase(),
            &about.title[1..],
            about.meaning
        ));
        for line in about.remedy {
            out.push_str(&format!("- {line}\n"));
        }
    }
    out
}

const PAGE_HEAD: &str = "# Causes

<!-- Written by the program: `UPDATE_PAGES=1 cargo test -p syncd --lib diagnose::causes`. -->

The causes that `syncd diagnose` names, in the field `verdict.cause` of its JSON. The list is
closed: names are added, never changed. How sure the answer is stands in `verdict.confidence`:
`certain` when nothing else explains what was seen, `likely` when it is the best of several, and
`possible` when others are as likely; those are in `alternatives`.

| cause | in short | exit code |
|---|---|---|
";

/// The exit code of `syncd diagnose` for a cause, as the page has it.
const fn exit_code(cause: Cause) -> u8 {
    match cause {
        Cause::None => 0,
        Cause::Unknown | Cause::NoCauseInMessage => 3,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::{about, page};
    use crate::report::Cause;

    #[test]
    fn every_cause_has_its_own_words() {
        let mut titles = BTreeSet::new();
        for cause in Cause::ALL {
            let about = about(*cause);
            assert_eq!(about.cause, *cause);
            assert!(titles.insert(about.title), "{cause}: title used twice");
            assert!(!about.remedy.is_empty(), "{cause}");
            for text in about.remedy.iter().chain([&about.meaning]) {
                assert!(text.ends_with('.'), "{cause}: {text}");
                assert!(!text.contains("  "), "{cause}: {text}");
            }
        }
    }

    #[test]
    fn nothing_advises_to_switch_verification_off() {
        let page = page().to_lowercase();
        for word in [
            "insecure",
            "skip_verify",
            "skip verification",
            "disable tls",
            "docker login",
        ] {
            assert!(!page.contains(word), "{word}");
        }
    }

    #[test]
    fn the_reference_page_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/reference/causes.md");
        #[allow(clippy::disallowed_methods, reason = "a test's own switch")]
        if std::env::var("UPDATE_PAGES").is_ok() {
            std::fs::write(&path, page()).expect("the page is written");
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == page(),
            "docs/src/reference/causes.md is old: UPDATE_PAGES=1 cargo test -p syncd --lib diagnose::causes"
        );
    }
}

//! From what was seen to what is claimed: one check a step, and the verdict. Pure.
//!
//! After the first failed step nothing more is claimed: later checks are `skip`, with the reason.

use super::causes::about;
use super::facts::{Api, Connect, Facts, Fault, Fits, ImageFacts, ManifestFacts, Route};
use super::faults::{Around, Finding, Step, cause_of};
use super::{existence, fixes, presence};
use crate::oci::ErrorKind;
use crate::report::{Cause, Check, CheckStatus, Confidence, DiagnoseReport, Verdict};

/// A check with what it found, when it failed.
pub(crate) struct Judged {
    check: Check,
    finding: Option<Finding>,
}

impl Judged {
    /// The claim holds.
    pub(crate) fn pass(detail: impl Into<String>) -> Self {
        Self::new(CheckStatus::Pass, detail, "")
    }

    /// The claim holds with a reservation.
    pub(crate) fn warn(detail: impl Into<String>, hint: &str) -> Self {
        Self::new(CheckStatus::Warn, detail, hint)
    }

    /// It was not looked at.
    pub(crate) fn skip(why: impl Into<String>) -> Self {
        Self::new(CheckStatus::Skip, why, "")
    }

    /// The claim does not hold.
    pub(crate) fn fail(finding: Finding) -> Self {
        let hint = about(finding.cause).remedy.first().copied().unwrap_or_default();
        let mut judged = Self::new(CheckStatus::Fail, finding.evidence.clone(), hint);
        judged.finding = Some(finding);
        judged
    }

    fn new(status: CheckStatus, detail: impl Into<String>, hint: &str) -> Self {
        Self {
            check: Check {
                id: String::new(),
                category: String::new(),
                status,
                claim: String::new(),
                detail: detail.into(),
                hint: hint.to_owned(),
            },
            finding: None,
        }
    }
}

/// The whole report.
pub(crate) fn judge(facts: &Facts) -> DiagnoseReport {
    let Examined {
        checks,
        found,
        mirror,
    } = examine(facts);
    let finding = found
        .or(mirror)
        .unwrap_or_else(|| Finding::new(Cause::None, Confidence::Likely, "", ""));
    DiagnoseReport {
        image: match &facts.reference {
            Ok(reference) => reference.to_string(),
            Err(_) => facts.asked.clone(),
        },
        pod: None,
        fixes: fixes::fixes(&finding, facts),
        verdict: Verdict {
            cause: finding.cause,
            confidence: finding.confidence,
            summary: super::summary::summary(&finding, facts),
            evidence: finding.evidence,
        },
        alternatives: finding.alternatives,
        checks,
    }
}

/// The checks with what they found.
pub(crate) struct Examined {
    /// One a step, then the mirror's.
    pub(crate) checks: Vec<Check>,
    /// What the first step that failed found.
    pub(crate) found: Option<Finding>,
    /// What is wrong with the mirror.
    pub(crate) mirror: Option<Finding>,
}

/// Looks at every step.
pub(crate) fn examine(facts: &Facts) -> Examined {
    let mut checks = Vec::new();
    let mut found: Option<(Finding, &'static str)> = None;
    for (id, category, claim, look) in steps(facts) {
        let mut judged = match &found {
            Some((_, failed)) => Judged::skip(format!("not looked at, because `{failed}` failed")),
            None => look(facts),
        };
        if let Some(finding) = judged.finding.take() {
            found = Some((finding, id));
        }
        checks.push(named(judged.check, id, category, &claim));
    }
    let mirror = presence::check(facts);
    checks.push(named(
        mirror.check,
        "mirror.presence",
        "mirror",
        "the mirror has the image",
    ));
    Examined {
        checks,
        found: found.map(|(finding, _)| finding),
        mirror: mirror.finding,
    }
}

fn named(mut check: Check, id: &str, category: &str, claim: &str) -> Check {
    id.clone_into(&mut check.id);
    category.clone_into(&mut check.category);
    claim.clone_into(&mut check.claim);
    check
}

type Look = (&'static str, &'static str, String, fn(&Facts) -> Judged);

fn steps(facts: &Facts) -> Vec<Look> {
    let proxied = facts.route.as_ref().is_some_and(|route| route.proxy.is_some());
    let first = if proxied { "proxy" } else { "registry" };
    let target = match &facts.reference {
        Ok(reference) if reference.digest.is_some() => "the digest exists",
        _ => "the tag exists",
    };
    let login = if facts.anonymous() {
        "no login is needed"
    } else {
        "the login works"
    };
    let platform = format!("the image is built for {}", facts.platform);
    let at = str::to_owned;
    vec![
        (
            "reference",
            "reference",
            at("the image reference is well-formed"),
            reference,
        ),
        ("dns", "network", format!("the {first}'s name resolves"), dns),
        ("tcp", "network", format!("the {first} takes connections"), tcp),
        ("tls", "network", at("the registry's certificate is good"), tls),
        ("api", "registry", at("the host answers as a registry"), api),
        ("auth", "registry", at(login), auth),
        ("manifest", "registry", at(target), manifest),
        ("platform", "registry", platform, platforms),
        ("blobs", "registry", at("the image's content can be read"), blobs),
    ]
}

fn around<'a>(facts: &Facts, route: &'a Route, step: Step) -> Around<'a> {
    Around {
        host: &route.host,
        anonymous: facts.anonymous(),
        proxied: route.proxy.is_some(),
        step,
    }
}

/// The check of a fault, for the steps whose faults the table decides alone.
fn failed(facts: &Facts, fault: &Fault, step: Step) -> Judged {
    match &facts.route {
        Some(route) => Judged::fail(cause_of(fault, around(facts, route, step))),
        None => Judged::skip("not looked at"),
    }
}

fn reference(facts: &Facts) -> Judged {
    match &facts.reference {
        Ok(reference) => {
            let mut detail = format!("{}/{}", reference.host, reference.repository);
            if let Some(tag) = &reference.tag {
                detail.push_str(&format!(", tag {tag}"));
            }
            if let Some(digest) = &reference.digest {
                detail.push_str(&format!(", digest {digest}"));
            }
            Judged::pass(detail)
        }
        Err(error) => Judged::fail(Finding::new(
            Cause::InvalidReference,
            Confidence::Certain,
            &error.to_string(),
            "",
        )),
    }
}

fn dns(facts: &Facts) -> Judged {
    match (&facts.names, &facts.route) {
        (Some(Err(fault)), _) => failed(facts, fault, Step::Dns),
        (Some(Ok(addresses)), Some(route)) => {
            let hop = route.first_hop();
            let name = hop.rsplit_once(':').map_or(hop.as_str(), |(name, _)| name);
            let bare = name.trim_matches(['[', ']']);
            let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            if texts == [bare] {
                return Judged::pass(format!("{bare} is an address"));
            }
            let detail = format!("{name} is {}", texts.join(", "));
            Judged::pass(match &route.proxy {
                Some(_) => format!("{detail}; the registry's own name is left to the proxy"),
                None => detail,
            })
        }
        _ => Judged::skip("not looked at"),
    }
}

fn tcp(facts: &Facts) -> Judged {
    let bad: Vec<&Connect> = facts.connects.iter().filter(|c| c.outcome.is_err()).collect();
    let good: Vec<String> = facts
        .connects
        .iter()
        .filter(|c| c.outcome.is_ok())
        .map(|c| c.address.to_string())
        .collect();
    let told = |connect: &&Connect| match &connect.outcome {
        Err(fault) => format!("{}: {}", connect.address, fault.words),
        Ok(()) => String::new(),
    };
    let by = match facts.route.as_ref().and_then(|route| route.proxy.as_ref()) {
        Some(_) => " (the proxy)",
        None => "",
    };
    match (good.is_empty(), bad.as_slice()) {
        (true, []) => Judged::skip("not looked at"),
        (false, []) => Judged::pass(format!("{} answers{by}", good.join(", "))),
        (false, bad) => Judged::warn(
            format!(
                "{} answers{by}; not so {}",
                good.join(", "),
                bad.iter().map(told).collect::<Vec<_>>().join(", ")
            ),
            "A client that tries the bad address first may be slow or fail.",
        ),
        (true, bad) => {
            let Some(fault) = worst(&facts.connects) else {
                return Judged::skip("not looked at");
            };
            let mut judged = failed(facts, fault, Step::Tcp);
            judged.check.detail = bad.iter().map(told).collect::<Vec<_>>().join(", ");
            if let Some(finding) = &mut judged.finding {
                finding.evidence.clone_from(&judged.check.detail);
                finding.place = facts.route.as_ref().map_or_else(String::new, Route::first_hop);
            }
            judged
        }
    }
}

/// The failure that says most when every address fails: a refusal proves that the host is there,
/// silence that there is a way; "no route" is often only the address family that is not in use.
fn worst(connects: &[Connect]) -> Option<&Fault> {
    let rank = |fault: &Fault| match fault.kind {
        ErrorKind::ConnectionRefused => 0,
        ErrorKind::ConnectionReset => 1,
        ErrorKind::Timeout => 2,
        ErrorKind::Unreachable => 3,
        _ => 4,
    };
    connects
        .iter()
        .filter_map(|connect| connect.outcome.as_ref().err())
        .min_by_key(|fault| rank(fault))
}

fn tls(facts: &Facts) -> Judged {
    let Some(route) = &facts.route else {
        return Judged::skip("not looked at");
    };
    match &facts.handshake {
        Some(Err(fault)) => failed(facts, fault, Step::Tls),
        Some(Ok(handshake)) => Judged::pass(format!(
            "{}, issued by a CA of {}",
            handshake.version,
            if route.extra_ca {
                "this machine or of `caFile`"
            } else {
                "this machine"
            }
        )),
        None if route.fallback => Judged::skip("plain http, which containerd falls back to on the loopback"),
        None if route.plain_http => Judged::skip("plain http, as the configuration says"),
        None if route.proxy.is_some() => Judged::skip("inside the proxy's tunnel; `api` shows it"),
        None => Judged::skip("not looked at"),
    }
}

fn api(facts: &Facts) -> Judged {
    match &facts.api {
        None => Judged::skip("not looked at"),
        Some(Err(fault)) => failed(facts, fault, Step::Api),
        Some(Ok(Api { status: 200, .. })) => Judged::pass("/v2/ answers 200"),
        Some(Ok(Api { status: 401, schemes })) if !schemes.is_empty() => {
            Judged::pass(format!("/v2/ answers 401 and wants {}", schemes.join(" or ")))
        }
        Some(Ok(Api { status, .. })) => Judged::warn(
            format!("/v2/ answers {status}; the manifest will show"),
            "Some clients ask /v2/ first and stop there.",
        ),
    }
}

fn auth(facts: &Facts) -> Judged {
    let (Some(login), Some(route)) = (&facts.login, &facts.route) else {
        return Judged::skip("not looked at");
    };
    match (login, &route.identity) {
        (Ok(()), Some(identity)) if facts.open() => {
            Judged::pass(format!("not asked for at /v2/; there is {identity} if it is"))
        }
        (Ok(()), None) if facts.open() => Judged::pass("none asked for at /v2/"),
        (Ok(()), Some(identity)) => Judged::pass(format!("{identity} was accepted")),
        (Ok(()), None) => Judged::pass("without a credential; an anonymous token was given"),
        (Err(fault), _) => refused_at_the_door(facts, fault),
    }
}

/// `/v2/` turned us away. What the manifest says decides, where it was asked for all the same: a
/// registry may serve some repositories to everybody.
fn refused_at_the_door(facts: &Facts, fault: &Fault) -> Judged {
    match &facts.manifest {
        Some(Ok(_)) => Judged::warn(
            format!("/v2/ refuses ({}), the image itself does not", fault.evidence()),
            "Some clients log in at /v2/ first and stop there.",
        ),
        Some(Err(other)) if other.kind != fault.kind => {
            Judged::warn(format!("/v2/ refuses: {}", fault.evidence()), "")
        }
        _ => failed(facts, fault, Step::Login),
    }
}

fn manifest(facts: &Facts) -> Judged {
    match &facts.manifest {
        None => Judged::skip("not looked at"),
        Some(Err(fault)) if fault.kind.is_not_found() => match existence::finding(facts, fault) {
            Some(finding) => Judged::fail(finding),
            None => Judged::skip("not looked at"),
        },
        Some(Err(fault)) => failed(facts, fault, Step::Manifest),
        Some(Ok(found)) => {
            let detail = describe(found);
            match &found.head_failed {
                None => Judged::pass(detail),
                Some(fault) => Judged::warn(
                    format!("{detail}; but HEAD fails: {}", fault.evidence()),
                    "containerd and CRI-O ask by HEAD first.",
                ),
            }
        }
    }
}

fn describe(found: &ManifestFacts) -> String {
    match &found.platforms {
        Some(platforms) => format!(
            "an index of {}, {}",
            counted(platforms.len(), "image"),
            found.digest
        ),
        None => format!("a single manifest, {}", found.digest),
    }
}

pub(crate) fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn platforms(facts: &Facts) -> Judged {
    let Some(Ok(found)) = &facts.manifest else {
        return Judged::skip("not looked at");
    };
    let all = found.platforms.as_deref().unwrap_or_default();
    let list = all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match &facts.image {
        None => Judged::skip("not looked at"),
        Some(Err(fault)) if fault.kind.is_not_found() => Judged::fail(
            Finding::new(
                Cause::ContentCorrupt,
                Confidence::Likely,
                &format!("the index names an image that is not there: {}", fault.evidence()),
                &fault.place,
            )
            .or(&[Cause::RegistryError]),
        ),
        Some(Err(fault)) => failed(facts, fault, Step::Manifest),
        Some(Ok(image)) => fitting(facts, found, image, &list),
    }
}

fn fitting(facts: &Facts, found: &ManifestFacts, image: &ImageFacts, list: &str) -> Judged {
    let named = image
        .platform
        .as_ref()
        .map_or_else(|| "none".to_owned(), ToString::to_string);
    match image.fits {
        Fits::Exactly if found.platforms.is_some() => Judged::pass(format!("among {list}")),
        Fits::Exactly => Judged::pass(format!("the image's config says {named}")),
        Fits::Instead => Judged::warn(
            format!("no {}, but {named}, which such a node takes", facts.platform),
            "Build the image for the platform itself.",
        ),
        Fits::Unknown => Judged::warn(
            "the manifest names no platform: an artifact, or an image of old form",
            "A node may not be able to run it.",
        ),
        Fits::No if found.platforms.is_some() => Judged::fail(Finding::new(
            Cause::PlatformMismatch,
            Confidence::Certain,
            &format!("built for {}", if list.is_empty() { "no platform" } else { list }),
            &place(facts),
        )),
        // docker and CRI-O pull such an image with a warning, containerd refuses it.
        Fits::No => Judged::fail(Finding::new(
            Cause::PlatformMismatch,
            Confidence::Likely,
            &format!("the image's config says {named}"),
            &place(facts),
        )),
    }
}

fn place(facts: &Facts) -> String {
    facts
        .route
        .as_ref()
        .map_or_else(String::new, |route| route.host.to_string())
}

fn blobs(facts: &Facts) -> Judged {
    match &facts.blobs {
        None => Judged::skip("not looked at"),
        Some(blobs) => match &blobs.bad {
            Some((what, fault)) => {
                let mut judged = failed(facts, fault, Step::Blob);
                if let Some(finding) = &mut judged.finding {
                    finding.evidence = format!("{what}: {}", finding.evidence);
                    judged.check.detail.clone_from(&finding.evidence);
                }
                judged
            }
            None if blobs.good == blobs.all => {
                Judged::pass(format!("touched all {}", counted(blobs.all, "blob")))
            }
            None => Judged::pass(format!(
                "read {} of {}; --blobs touches the layers as well",
                blobs.good,
                counted(blobs.all, "blob")
            )),
        },
    }
}

#[cfg(test)]
mod tests;

//! What to do, with commands that are right for the cause.
//!
//! Commands hold only parts of a parsed reference and of the configuration, never a text that
//! came from a server. No command switches a verification off.

use syncd_config::Reference;
use syncd_config::reference::Target;

use super::causes::about;
use super::facts::{Facts, Identity, MirrorFacts};
use super::faults::Finding;
use super::near::near;
use crate::oci::ErrorKind;
use crate::report::{Cause, Confidence, Fix};

fn say(text: impl Into<String>) -> Fix {
    Fix {
        text: text.into(),
        command: None,
        destructive: false,
    }
}

fn run(text: impl Into<String>, command: impl Into<String>) -> Fix {
    Fix {
        command: Some(command.into()),
        ..say(text)
    }
}

/// What to do about the finding, the likeliest first.
pub(crate) fn fixes(finding: &Finding, facts: &Facts) -> Vec<Fix> {
    let Ok(reference) = &facts.reference else {
        return invalid(&facts.asked);
    };
    let mut out = match finding.cause {
        Cause::None => Vec::new(),
        cause if below_http(cause) && elsewhere(finding, facts) => led_on(finding),
        Cause::Unknown => unknown(facts),
        Cause::RepoNotFound => repo_not_found(finding, facts, reference),
        Cause::TagNotFound => tag_not_found(facts, reference),
        Cause::PlatformMismatch => platform(facts, reference),
        Cause::UnsupportedManifest | Cause::ContentCorrupt => content(finding.cause, reference, facts),
        Cause::AuthMissing => login(reference),
        Cause::AuthWrongCredentials | Cause::AuthTokenExpired => credential(finding.cause, facts, reference),
        Cause::PermissionDenied | Cause::BlockedByPolicy => remedies(finding.cause),
        Cause::RateLimited => rate(facts),
        Cause::MirrorFault => vec![run("Mirror the image again.", "syncd sync mirror")],
        Cause::ConnectionRefused => refused(facts, reference),
        Cause::TlsUnknownCa | Cause::TlsHostnameMismatch | Cause::TlsCertTime | Cause::TlsHttpMismatch => {
            tls(finding.cause, facts, reference)
        }
        _ => network(finding, facts),
    };
    if finding.cause != Cause::None && finding.cause != Cause::MirrorFault {
        out.extend(from_mirror(facts));
    }
    out
}

/// Causes of the network and of TLS: their commands name the host to look at.
fn below_http(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::DnsFailure
            | Cause::NetworkTimeout
            | Cause::NetworkUnreachable
            | Cause::ConnectionRefused
            | Cause::ConnectionReset
            | Cause::TlsUnknownCa
            | Cause::TlsHostnameMismatch
            | Cause::TlsCertTime
    )
}

/// Whether the host that failed is one that the registry led to.
fn elsewhere(finding: &Finding, facts: &Facts) -> bool {
    facts.route.as_ref().is_some_and(|route| {
        let own = [
            route.host.as_str(),
            &route.name,
            &route.authority(),
            &route.first_hop(),
        ];
        !finding.place.is_empty() && !own.contains(&finding.place.as_str())
    })
}

/// The registry is well and sends callers on to a host that is not. Its name came from a server:
/// it stands in words only, never in a command.
fn led_on(finding: &Finding) -> Vec<Fix> {
    let place = syncd_config::text::clean_to(&finding.place, 100);
    let mut out = vec![say(format!(
        "The registry itself answers; for this it sends callers on to {place}. Nodes must reach that \
         host as well: allow it in the firewall and the proxy."
    ))];
    out.extend(remedies(finding.cause));
    out
}

fn remedies(cause: Cause) -> Vec<Fix> {
    about(cause).remedy.iter().map(|line| say(*line)).collect()
}

fn invalid(asked: &str) -> Vec<Fix> {
    let mut out = remedies(Cause::InvalidReference);
    if asked.contains("${") || asked.contains("$(") || asked.contains("{{") {
        out.insert(
            0,
            say("A variable in it was never filled in: look at the template it comes from."),
        );
    }
    let lower = asked.to_lowercase();
    let lower = lower.split_once("://").map_or(lower.as_str(), |(_, rest)| rest);
    if let Ok(reference) = lower.parse::<Reference>() {
        out.insert(
            0,
            run(
                format!("Did you mean {reference}?"),
                format!("syncd diagnose {reference}"),
            ),
        );
    }
    out
}

fn unknown(facts: &Facts) -> Vec<Fix> {
    let faults = [
        facts.login.as_ref().and_then(|login| login.as_ref().err()),
        facts.manifest.as_ref().and_then(|found| found.as_ref().err()),
    ];
    let kind = faults.into_iter().flatten().map(|fault| fault.kind).next();
    match kind {
        Some(ErrorKind::CredentialUnavailable) => vec![run(
            "Mend the password file of the registries entry.",
            "syncd config check",
        )],
        Some(ErrorKind::OriginRefused) => vec![say(
            "The registry sends callers to another host. If that host is its own token server, name it \
             in `trustedTokenHosts` of the registries entry.",
        )],
        _ => remedies(Cause::Unknown),
    }
}

fn did_you_mean(reference: &Reference, repository: &str, tag: &str) -> Fix {
    let name = format!("{}/{repository}:{tag}", reference.host);
    run(format!("Did you mean {name}?"), format!("syncd diagnose {name}"))
}

fn tag_not_found(facts: &Facts, reference: &Reference) -> Vec<Fix> {
    let mut out = Vec::new();
    if let (Target::Tag(tag), Some(Ok(tags))) = (reference.target(), &facts.tags) {
        if tag.as_str() == "latest" && !facts.asked.ends_with(":latest") {
            out.push(say("No tag was given, so `latest` was asked for: name a tag."));
        }
        for near in near(tag.as_str(), &tags.names) {
            if near.parse::<syncd_config::Tag>().is_ok() && near != tag.as_str() {
                out.push(did_you_mean(reference, reference.repository.as_str(), near));
            }
        }
        if out.is_empty() || tags.names.len() > out.len() {
            out.push(list_tags(reference, &tags.names));
        }
    } else {
        out.push(list_tags(reference, &[]));
    }
    if facts.route.as_ref().is_some_and(|route| route.own) || matches!(facts.mirror, MirrorFacts::Itself) {
        out.push(run(
            "If it should be in the mirror: list it in `mirror.images`, then mirror.",
            "syncd sync mirror",
        ));
    }
    out
}

fn list_tags(reference: &Reference, names: &[String]) -> Fix {
    let shown: Vec<String> = names
        .iter()
        .take(5)
        .map(|name| syncd_config::text::clean_to(name, 40))
        .collect();
    let text = match (shown.len(), names.len()) {
        (0, _) => "List the tags that exist.".to_owned(),
        (shown_n, n) if n > shown_n => format!(
            "List the tags that exist; {n} were seen, among them {}.",
            shown.join(", ")
        ),
        _ => format!("These tags exist: {}.", shown.join(", ")),
    };
    run(
        text,
        format!(
            "skopeo list-tags docker://{}/{}",
            reference.host, reference.repository
        ),
    )
}

fn repo_not_found(finding: &Finding, facts: &Facts, reference: &Reference) -> Vec<Fix> {
    let tag = reference.tag.as_ref().map_or("latest", |tag| tag.as_str());
    let mut out: Vec<Fix> = near(reference.repository.as_str(), &facts.neighbours)
        .into_iter()
        .filter(|name| name.parse::<syncd_config::Repository>().is_ok())
        .map(|name| did_you_mean(reference, name, tag))
        .collect();
    out.push(say(
        "Compare the name letter by letter with the registry's own list.",
    ));
    if reference.host.is_docker_hub() && !facts.asked.contains("docker.io") {
        out.push(say(
            "No registry host was given, so Docker Hub was asked: write the host in front, if the image \
             is elsewhere.",
        ));
    }
    if facts.route.as_ref().is_some_and(|route| route.own) {
        out.push(run(
            "If it should be in the mirror: list it in `mirror.images`, then mirror.",
            "syncd sync mirror",
        ));
    }
    if finding.confidence != Confidence::Certain && facts.anonymous() {
        out.extend(login(reference).into_iter().map(|mut fix| {
            fix.text = format!("If the repository is private: {}", lower_first(&fix.text));
            fix
        }));
    }
    out
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn platform(facts: &Facts, reference: &Reference) -> Vec<Fix> {
    let mut out = remedies(Cause::PlatformMismatch);
    if let (Some(first), Some(tag)) = (out.first_mut(), &reference.tag) {
        first.command = Some(format!(
            "docker buildx build --push --platform {} --tag {}/{}:{tag} .",
            facts.platform, reference.host, reference.repository
        ));
    }
    out
}

fn content(cause: Cause, reference: &Reference, facts: &Facts) -> Vec<Fix> {
    let mut out = remedies(cause);
    if cause == Cause::UnsupportedManifest {
        if let Some(first) = out.first_mut() {
            first.command = Some(format!("skopeo inspect --raw docker://{reference}"));
        }
    } else if facts.route.as_ref().is_some_and(|route| route.own) {
        out = vec![run("Mirror the image again.", "syncd sync mirror")];
    } else if let Some(last) = out.last_mut() {
        last.destructive = true;
    }
    out
}

fn login(reference: &Reference) -> Vec<Fix> {
    let key = reference.host.auth_keys().into_iter().next().unwrap_or_default();
    vec![
        run(
            format!("Give the pod an imagePullSecret made from a docker config.json with the key `{key}`."),
            "kubectl create secret generic pull-secret --type=kubernetes.io/dockerconfigjson \
             --from-file=.dockerconfigjson=config.json",
        ),
        say(format!(
            "Give syncd a `registries` entry for {} with `basic: {{username: …, passwordFile: …}}`.",
            reference.host
        )),
    ]
}

fn credential(cause: Cause, facts: &Facts, reference: &Reference) -> Vec<Fix> {
    let mut out = remedies(cause);
    let identity = facts.route.as_ref().and_then(|route| route.identity.as_ref());
    if let (Some(Identity::Entry(entry)), Some(first)) = (identity, out.first_mut()) {
        first.text = match cause {
            Cause::AuthTokenExpired => format!("Renew the token in the file of registries entry `{entry}`."),
            _ => format!("Put the right user and password into registries entry `{entry}`."),
        };
        first.command = ecr_region(reference.host.name())
            .map(|region| format!("aws ecr get-login-password --region {region} > PASSWORD_FILE"));
    }
    out
}

/// The region of an Amazon ECR host: `<account>.dkr.ecr.<region>.amazonaws.com`.
fn ecr_region(host: &str) -> Option<&str> {
    let (account, rest) = host.split_once(".dkr.ecr.")?;
    let region = rest
        .strip_suffix(".amazonaws.com")
        .or(rest.strip_suffix(".amazonaws.com.cn"))?;
    (account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) && !region.contains('.'))
        .then_some(region)
}

fn rate(facts: &Facts) -> Vec<Fix> {
    let mut out = remedies(Cause::RateLimited);
    let faults = [
        facts.api.as_ref().and_then(|api| api.as_ref().err()),
        facts.login.as_ref().and_then(|login| login.as_ref().err()),
        facts.manifest.as_ref().and_then(|found| found.as_ref().err()),
    ];
    let wait = faults.into_iter().flatten().find_map(|fault| fault.retry_after);
    if let (Some(wait), Some(first)) = (wait, out.first_mut()) {
        first.text = format!("Wait: the registry says {} seconds.", wait.as_secs());
    }
    if !facts.anonymous() {
        out.retain(|fix| !fix.text.starts_with("Log in"));
    }
    out
}

fn refused(facts: &Facts, reference: &Reference) -> Vec<Fix> {
    let mut out = Vec::new();
    let Some(route) = &facts.route else {
        return remedies(Cause::ConnectionRefused);
    };
    if let Some(listen) = route.embedded {
        if route.own {
            out.push(run(
                "The embedded registry is not running: start the daemon.",
                "syncd run",
            ));
        } else if reference.host.is_ip() && listen.ip().to_string() == route.name {
            let mut meant = reference.clone();
            if let Ok(host) = listen.to_string().parse() {
                meant.host = host;
                out.push(run(
                    format!("The embedded registry listens on {listen}: did you mean {meant}?"),
                    format!("syncd diagnose {meant}"),
                ));
            }
        }
    }
    if route.name == "localhost" || route.name.starts_with("127.") || route.name == "::1" {
        out.push(say(
            "On a node this name means the node itself: use a name that leads to the registry from there.",
        ));
    }
    out.push(run(
        "Compare the port with the one the registry listens on.",
        "ss -ltn",
    ));
    out
}

fn tls(cause: Cause, facts: &Facts, reference: &Reference) -> Vec<Fix> {
    let Some(route) = &facts.route else {
        return remedies(cause);
    };
    let look = format!(
        "openssl s_client -connect {} -servername {} -showcerts",
        route.authority(),
        route.name
    );
    let host = &reference.host;
    match cause {
        Cause::TlsUnknownCa => vec![
            say(format!(
                "On each node: put the CA's certificate into /etc/containerd/certs.d/{host}/ca.crt and \
                 name it in the hosts.toml there."
            )),
            say(format!("In syncd: `caFile` of the registries entry for {host}.")),
            run(
                "See which certificates the server sends. If the host is a public registry, something \
                 in between opens the connections: ask who runs the network.",
                look,
            ),
        ],
        Cause::TlsCertTime => vec![
            run(
                "Compare this machine's clock with the certificate's times.",
                "date -u",
            ),
            say("Renew the certificate on the registry."),
        ],
        Cause::TlsHttpMismatch if route.plain_http => vec![say(format!(
            "Take `plainHttp` out of the registries entry for {host}, and out of the node's setting."
        ))],
        Cause::TlsHttpMismatch => vec![
            say("Compare the port with the one on which the registry has https."),
            say(format!(
                "If it has plain http only: `plainHttp: true` in syncd's registries entry for {host}; on \
                 the node, `server = \"http://{host}\"` in /etc/containerd/certs.d/{host}/hosts.toml. \
                 For this one host only."
            )),
        ],
        _ => {
            let mut out = remedies(cause);
            if let Some(last) = out.last_mut() {
                last.command = Some(format!("getent ahosts {}", route.name));
            }
            if let Some(second) = out.get_mut(1) {
                second.command = Some(look);
            }
            out
        }
    }
}

fn network(finding: &Finding, facts: &Facts) -> Vec<Fix> {
    let mut out = remedies(finding.cause);
    let Some(route) = &facts.route else {
        return out;
    };
    let scheme = if route.plain_http { "http" } else { "https" };
    let ask = format!("curl -v --max-time 10 {scheme}://{}/v2/", route.authority());
    let command = match finding.cause {
        Cause::DnsFailure => format!("getent ahosts {}", route.name),
        Cause::NetworkUnreachable => "ip route".to_owned(),
        Cause::ProxyError => "printenv HTTPS_PROXY HTTP_PROXY NO_PROXY".to_owned(),
        _ => ask,
    };
    if let Some(first) = out.first_mut() {
        first.command = Some(command);
    }
    if finding.cause == Cause::RegistryError && finding.confidence == Confidence::Possible {
        out.insert(
            0,
            say(format!(
                "Compare the host name: {} answers with something other than a registry.",
                route.host
            )),
        );
    }
    out
}

/// The mirror has what the registry does not give.
fn from_mirror(facts: &Facts) -> Option<Fix> {
    match &facts.mirror {
        MirrorFacts::Present { name, .. } => Some(say(format!(
            "The mirror has this image as {name}: let the nodes ask there first."
        ))),
        _ => None,
    }
}

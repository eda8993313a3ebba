//! kubelet on its own, CRI-O, docker, admission, and what is no pull at all.

use crate::report::Cause as C;

pub(super) const ROWS: &[(C, Option<C>, &str)] = &[
    (
        C::NoCauseInMessage,
        None,
        r#"Back-off pulling image "reg.example/a:1""#,
    ),
    (C::NoCauseInMessage, None, "Error: ErrImagePull"),
    (C::NoCauseInMessage, None, "Error: ImagePullBackOff"),
    (
        C::TagNotFound,
        None,
        r#"Back-off pulling image "reg.example/a:1": ErrImagePull: failed to pull and unpack image "reg.example/a:1": failed to resolve reference "reg.example/a:1": reg.example/a:1: not found"#,
    ),
    (
        C::PullQpsExceeded,
        None,
        r#"Failed to pull image "reg.example/a:1": pull QPS exceeded"#,
    ),
    (
        C::ImageNeverPull,
        None,
        r#"Container image "reg.example/a:1" is not present with pull policy of Never"#,
    ),
    (
        C::InvalidReference,
        None,
        r#"Failed to apply default image tag "Reg.example/A:1:2": couldn't parse image reference "Reg.example/A:1:2": invalid reference format: repository name must be lowercase"#,
    ),
    (C::InvalidReference, None, r#"Error: InvalidImageName"#),
    (
        C::InvalidReference,
        None,
        r#"Failed to inspect image "": rpc error: code = Unknown desc = short-name "tool:1" did not resolve to an alias and no unqualified-search registries are defined in "/etc/containers/registries.conf""#,
    ),
    (
        C::InvalidReference,
        None,
        r#"Failed to inspect image "tool:1": short name mode is enforcing, but image name tool:1 returns ambiguous list"#,
    ),
    (
        C::SecretMissing,
        None,
        r#"Unable to retrieve some image pull secrets (team-pull); attempting to pull the image may not succeed."#,
    ),
    (
        C::CredentialProviderFailed,
        None,
        r#"Failed to get credential from external registry credential provider: error execing credential provider plugin cloud-provider for image reg.example/a: exit status 1"#,
    ),
    (
        C::CredentialProviderFailed,
        None,
        r#"error getting credentials - err: exec: "docker-credential-helper": executable file not found in $PATH, out: ``"#,
    ),
    (
        C::SecretMisconfigured,
        None,
        r#"unable to parse .dockerconfigjson: invalid character 'x' looking for beginning of value"#,
    ),
    (
        C::SecretMisconfigured,
        None,
        r#"illegal base64 data at input byte 4"#,
    ),
    (
        C::SecretMisconfigured,
        None,
        r#"unable to parse auth field, must be formatted as base64(username:password)"#,
    ),
    (
        C::SecretMisconfigured,
        None,
        r#"json: cannot unmarshal string into Go struct field DockerConfigJSON.auths of type credentialprovider.DockerConfig"#,
    ),
    (
        C::SecretMisconfigured,
        None,
        r#"json: cannot unmarshal number into Go struct field DockerConfigJSON.auths.username of type string"#,
    ),
    (
        C::SecretMisconfigured,
        None,
        r#"json: cannot unmarshal number into Go struct field dockerConfigEntryWithAuth.username of type string"#,
    ),
    (
        C::SecretMisconfigured,
        None,
        r#"json: cannot unmarshal string into Go value of type credentialprovider.dockerConfigEntryWithAuth"#,
    ),
    (
        C::SecretMisconfigured,
        None,
        r#"json: cannot unmarshal array into Go value of type credentialprovider.DockerConfig"#,
    ),
    (
        C::TagNotFound,
        None,
        r#"initializing source docker://reg.example/a:1: reading manifest 1 in reg.example/a: manifest unknown"#,
    ),
    (
        C::RepoNotFound,
        None,
        r#"initializing source docker://reg.example/b:1: reading manifest 1 in reg.example/b: name unknown: repository not found"#,
    ),
    (
        C::AuthMissing,
        None,
        r#"unable to retrieve auth token: invalid username/password: unauthorized: Please login to the Red Hat Registry using your Customer Portal credentials"#,
    ),
    (
        C::AuthWrongCredentials,
        None,
        r#"initializing source docker://reg.example/a:1: unable to retrieve auth token: invalid username/password: unauthorized: authentication required"#,
    ),
    (
        C::RateLimited,
        None,
        r#"initializing source docker://alpine:3: reading manifest 3 in docker.io/library/alpine: toomanyrequests: You have reached your pull rate limit."#,
    ),
    (
        C::RateLimited,
        None,
        r#"initializing source docker://reg.example/a:1: too many requests to registry"#,
    ),
    (
        C::NetworkTimeout,
        None,
        r#"initializing source docker://reg.example/a:1: pinging container registry reg.example: Get "https://reg.example/v2/": dial tcp 192.0.2.9:443: i/o timeout"#,
    ),
    (
        C::TlsUnknownCa,
        None,
        r#"initializing source docker://reg.example/a:1: pinging container registry reg.example: Get "https://reg.example/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority"#,
    ),
    (
        C::ConnectionRefused,
        None,
        r#"RegistryUnavailable: initializing source docker://reg.example/a:1: pinging container registry reg.example: Get "https://reg.example/v2/": dial tcp 192.0.2.9:443: connect: connection refused"#,
    ),
    (
        C::SignatureRejected,
        None,
        r#"SignatureValidationFailed: Source image rejected: A signature was required, but no signature exists"#,
    ),
    (
        C::SignatureRejected,
        None,
        r#"Source image rejected: Running image docker://reg.example/a:1 is rejected by policy."#,
    ),
    (
        C::BlockedByPolicy,
        None,
        r#"initializing source docker://reg.example/a:1: registry reg.example is blocked in /etc/containers/registries.conf or /etc/containers/registries.conf.d"#,
    ),
    (
        C::AuthMissing,
        Some(C::MirrorFault),
        "initializing source docker://reg.example/a:1: (Mirrors also failed: [cache.example/a:1: reading manifest 1 in cache.example/a: manifest unknown]\n): reg.example/a:1: reading manifest 1 in reg.example/a: unauthorized: please log in",
    ),
    (
        C::TlsUnknownCa,
        Some(C::MirrorFault),
        "initializing source docker://reg.example/a:1: (Mirrors also failed: [cache.example/a:1: pinging container registry cache.example: Get \"https://cache.example/v2/\": dial tcp 192.0.2.4:443: connect: connection refused]): reg.example/a:1: pinging container registry reg.example: Get \"https://reg.example/v2/\": x509: certificate signed by unknown authority",
    ),
    (
        C::PlatformMismatch,
        None,
        r#"choosing an image from manifest list docker://reg.example/a:1: no image found in manifest list for architecture "arm64", variant "v8", OS "linux""#,
    ),
    (
        C::ContentCorrupt,
        None,
        r#"copying system image from manifest list: writing blob: storing blob to file: Digest did not match, expected sha256:00, got sha256:11"#,
    ),
    (
        C::LayerExtractFailed,
        None,
        r#"writing blob: adding layer with blob "sha256:00": processing tar file(potentially insufficient UIDs or GIDs available in user namespace (requested 0:42 for /etc/shadow)): exit status 1"#,
    ),
    (
        C::TagNotFound,
        None,
        r#"Error response from daemon: manifest for reg.example/a:1 not found: manifest unknown: manifest unknown"#,
    ),
    (
        C::RepoNotFound,
        Some(C::AuthMissing),
        r#"Error response from daemon: pull access denied for acme/wdget, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"#,
    ),
    (
        C::AuthMissing,
        Some(C::RepoNotFound),
        r#"Error response from daemon: Head "https://ghcr.io/v2/acme/tool/manifests/1": unauthorized"#,
    ),
    (
        C::AuthWrongCredentials,
        None,
        r#"Error response from daemon: Head "https://ghcr.io/v2/acme/tool/manifests/1": denied: denied"#,
    ),
    (
        C::RepoNotFound,
        None,
        r#"Error response from daemon: unauthorized: access to the requested resource is not authorized: docker://quay.io/acme/tool:1"#,
    ),
    (
        C::AuthMissing,
        Some(C::PermissionDenied),
        r#"Error response from daemon: Head "https://registry.gitlab.example/v2/g/p/manifests/1": denied: access forbidden"#,
    ),
    (
        C::AuthWrongCredentials,
        None,
        r#"Error response from daemon: Get "https://reg.example/v2/": unauthorized: HTTP Basic: Access denied"#,
    ),
    (
        C::AuthWrongCredentials,
        None,
        r#"Error response from daemon: Get "https://registry-1.docker.io/v2/": unauthorized: incorrect username or password"#,
    ),
    (
        C::NetworkTimeout,
        None,
        r#"Error response from daemon: Get "https://registry-1.docker.io/v2/": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)"#,
    ),
    (
        C::DnsFailure,
        None,
        r#"Error response from daemon: Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io on 192.0.2.53:53: server misbehaving"#,
    ),
    (
        C::RegistryError,
        None,
        r#"Error response from daemon: received unexpected HTTP status: 503 Service Unavailable"#,
    ),
    (
        C::RegistryError,
        None,
        r#"Error response from daemon: error parsing HTTP 502 response body: invalid character '<' looking for beginning of value: "<html>""#,
    ),
    (
        C::BlockedByPolicy,
        None,
        r#"error pulling image configuration: error parsing HTTP 403 response body: invalid character '<' looking for beginning of value: "<html>""#,
    ),
    (
        C::PlatformMismatch,
        None,
        r#"no matching manifest for linux/s390x in the manifest list entries"#,
    ),
    (
        C::LayerExtractFailed,
        None,
        r#"failed to register layer: ApplyLayer exit status 1 stdout: stderr: lchown /x: operation not permitted"#,
    ),
    (
        C::ContentCorrupt,
        None,
        r#"filesystem layer verification failed for digest sha256:00"#,
    ),
    (
        C::RuntimeUnavailable,
        None,
        r#"Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"#,
    ),
    (
        C::NotImageProblem,
        None,
        r#"Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"#,
    ),
    (C::NotImageProblem, None, r#"modprobe: no kernel modules found"#),
    (
        C::NotImageProblem,
        None,
        r#"0/3 nodes are available: 3 Insufficient cpu."#,
    ),
    (
        C::NotImageProblem,
        None,
        r#"Back-off restarting failed container app in pod web"#,
    ),
    (
        C::NotImageProblem,
        None,
        r#"Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "ab": plugin type="bridge" failed (add): Get "https://10.96.0.1:443/api": dial tcp 10.96.0.1:443: connect: connection refused"#,
    ),
    (
        C::NotImageProblem,
        None,
        r#"MountVolume.SetUp failed for volume "v" : secret "tls" not found"#,
    ),
    (C::NotImageProblem, None, r#"Error: secret "env" not found"#),
    (
        C::BlockedByPolicy,
        None,
        r#"unknown: current image with 3 vulnerabilities cannot be pulled due to configured policy in 'Prevent images with vulnerability severity of "High" or higher from running.'"#,
    ),
    (
        C::BlockedByPolicy,
        None,
        r#"denied: client with IP '192.0.2.1' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."#,
    ),
    (
        C::SignatureRejected,
        None,
        r#"admission webhook "policy.sigstore.dev" denied the request: validation failed: failed policy: keys: spec.containers[0].image reg.example/a@sha256:00 no matching signatures"#,
    ),
    (
        C::SandboxImagePull,
        Some(C::DnsFailure),
        r#"Failed to create pod sandbox: rpc error: code = Unknown desc = failed pulling image "reg.example/pause:3": Error response from daemon: Get "https://reg.example/v2/": dial tcp: lookup reg.example on 192.0.2.53:53: no such host"#,
    ),
];

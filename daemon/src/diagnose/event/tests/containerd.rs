//! containerd, old and new, as kubelet passes it on.

use crate::report::Cause as C;

pub(super) const ROWS: &[(C, Option<C>, &str)] = &[
    (
        C::TagNotFound,
        Some(C::RepoNotFound),
        r#"Failed to pull image "reg.example:5000/shop/cart:9": rpc error: code = NotFound desc = failed to pull and unpack image "reg.example:5000/shop/cart:9": failed to resolve reference "reg.example:5000/shop/cart:9": reg.example:5000/shop/cart:9: not found"#,
    ),
    (
        C::TagNotFound,
        None,
        r#"failed to pull and unpack image "docker.io/library/busybox:nine": failed to resolve reference "docker.io/library/busybox:nine": docker.io/library/busybox:nine: not found"#,
    ),
    (
        C::RepoNotFound,
        Some(C::AuthMissing),
        r#"Failed to pull image "acme/wdget:1": failed to pull and unpack image "docker.io/acme/wdget:1": failed to resolve reference "docker.io/acme/wdget:1": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed"#,
    ),
    (
        C::AuthMissing,
        None,
        r#"failed to pull and unpack image "reg.example/a/b:1": failed to resolve reference "reg.example/a/b:1": pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials"#,
    ),
    (
        C::CredentialProviderFailed,
        Some(C::AuthMissing),
        r#"failed to resolve reference "111122223333.dkr.ecr.eu-north-1.amazonaws.com/app:1": pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials"#,
    ),
    (
        C::AuthMissing,
        None,
        r#"failed to resolve image: failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://ghcr.io/token?scope=%5BREDACTED%5D&service=%5BREDACTED%5D: 403 Forbidden"#,
    ),
    (
        C::AuthMissing,
        None,
        r#"failed to resolve reference "team.azurecr.io/app:1": failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://team.azurecr.io/oauth2/token?scope=repository%3Aapp%3Apull&service=team.azurecr.io: 401 Unauthorized"#,
    ),
    (
        C::AuthWrongCredentials,
        None,
        r#"failed to resolve reference "reg.example/a/b:1": failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized"#,
    ),
    (
        C::AuthWrongCredentials,
        None,
        "failed to resolve image: failed to authorize: failed to fetch oauth token: unexpected status from POST request to https://auth.reg.example/token: 401 Unauthorized\nunauthorized: incorrect username or password",
    ),
    (
        C::AuthWrongCredentials,
        None,
        r#"Failed to pull image "reg.example/a:1": [failed to pull and unpack image "reg.example/a:1": failed to resolve reference "reg.example/a:1": failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://reg.example/token?service=x: 401 Unauthorized, failed to pull and unpack image "reg.example/a:1": failed to resolve reference "reg.example/a:1": failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://reg.example/token?service=x: 401 Unauthorized]"#,
    ),
    (
        C::ConnectionReset,
        None,
        r#"Failed to pull image "team.azurecr.io/a:1": [failed to pull and unpack image "team.azurecr.io/a:1": failed to copy: httpReadSeeker: failed open: failed to do request: Get "https://blobs9.blob.core.windows.net/d/data?sig=abc": EOF, failed to pull and unpack image "team.azurecr.io/a:1": failed to resolve reference "team.azurecr.io/a:1": failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://team.azurecr.io/oauth2/token: 401 Unauthorized]"#,
    ),
    (
        C::AuthTokenExpired,
        None,
        "failed to resolve image: unexpected status from HEAD request to https://111122223333.dkr.ecr.eu-north-1.amazonaws.com/v2/app/manifests/1: 403 Forbidden\ndenied: Your authorization token has expired. Reauthenticate and try again.",
    ),
    (
        C::PermissionDenied,
        None,
        "failed to resolve image: unexpected status from HEAD request to https://111122223333.dkr.ecr.eu-north-1.amazonaws.com/v2/app/manifests/1: 403 Forbidden\ndenied: User: arn:aws:sts::1:assumed-role/x is not authorized to perform: ecr:BatchGetImage",
    ),
    (
        C::PermissionDenied,
        None,
        r#"failed to resolve image: unexpected status from HEAD request to https://europe-docker.pkg.dev/v2/p/r/app/manifests/1: 403 Forbidden: denied: Permission "artifactregistry.repositories.downloadArtifacts" denied on resource "projects/p/locations/europe/repositories/r" (or it may not exist)"#,
    ),
    (
        C::BlockedByPolicy,
        Some(C::PermissionDenied),
        r#"failed to resolve reference "registry.k8s.io/coredns:1": unexpected status from HEAD request to https://us-west2-docker.pkg.dev/v2/k8s-artifacts-prod/images/coredns/manifests/1: 403 Forbidden"#,
    ),
    (
        C::PermissionDenied,
        None,
        r#"failed to resolve reference "reg.example/a/b:1": unexpected status from HEAD request to https://reg.example/v2/a/b/manifests/1: 403 Forbidden"#,
    ),
    (
        C::RateLimited,
        None,
        r#"failed to copy: httpReadSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/library/redis/manifests/sha256:00aa: 429 Too Many Requests - Server message: toomanyrequests: You have reached your unauthenticated pull rate limit."#,
    ),
    (
        C::RateLimited,
        None,
        r#"failed to resolve image: unexpected status from HEAD request to https://reg.example/v2/a/manifests/1: 429 Too Many Requests"#,
    ),
    (
        C::RegistryError,
        None,
        r#"failed to resolve reference "reg.example/a:1": unexpected status from HEAD request to https://reg.example/v2/a/manifests/1: 503 Service Unavailable"#,
    ),
    (
        C::RegistryError,
        None,
        r#"failed to resolve reference "reg.example/a:1": unexpected status code [manifests 1]: 502 Bad Gateway"#,
    ),
    (
        C::RegistryError,
        None,
        r#"failed to resolve reference "reg.example/a:1": pulling from host reg.example failed with status code [manifests 1]: 500 Internal Server Error"#,
    ),
    (
        C::TagNotFound,
        Some(C::RepoNotFound),
        r#"Failed to pull image "reg.example/a:1": [failed to pull and unpack image "reg.example/a:1": failed to resolve reference "reg.example/a:1": failed to authorize: failed to fetch anonymous token: unexpected status: 403 Forbidden, failed to pull and unpack image "reg.example/a:1": failed to resolve reference "reg.example/a:1": reg.example/a:1: not found]"#,
    ),
    (
        C::ContentCorrupt,
        None,
        r#"Failed to pull image "reg.example/a:1": [failed to pull and unpack image "reg.example/a:1": failed to resolve reference "reg.example/a:1": failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized, failed to pull and unpack image "reg.example/a:1": failed to copy: httpReadSeeker: failed open: content at https://reg.example/v2/a/blobs/sha256:00 not found: not found]"#,
    ),
    (
        C::ContentCorrupt,
        Some(C::MirrorFault),
        r#"failed to pull and unpack image "reg.example/a:1": failed to copy: httpReadSeeker: failed open: content at https://reg.example/v2/a/blobs/sha256:00 not found: not found"#,
    ),
    (
        C::MirrorFault,
        Some(C::TagNotFound),
        r#"failed to copy: httpReadSeeker: failed open: unexpected status from GET request to https://cache.corp.example/v2/library/redis/blobs/sha256:00?ns=docker.io: 404 Not Found"#,
    ),
    (
        C::MirrorFault,
        Some(C::ConnectionRefused),
        r#"failed to resolve reference "docker.io/library/redis:7": failed to do request: Head "http://10.9.8.7:30000/v2/library/redis/manifests/7?ns=docker.io": dial tcp 10.9.8.7:30000: connect: connection refused"#,
    ),
    (
        C::MirrorFault,
        Some(C::DnsFailure),
        r#"failed to resolve image: failed to do request: Head "https://cache.corp.example/v2/library/redis/manifests/7?ns=%5BREDACTED%5D": dial tcp: lookup cache.corp.example on 10.0.0.2:53: no such host"#,
    ),
    (
        C::MirrorFault,
        None,
        r#"failed to resolve reference "quay.io/team/app:1": unexpected status from HEAD request to http://127.0.0.1:5050/v2/team/app/manifests/1?ns=quay.io: 500 Internal Server Error"#,
    ),
    (
        C::RateLimited,
        Some(C::MirrorFault),
        r#"failed to resolve reference "docker.io/library/redis:7": unexpected status from HEAD request to https://cache.corp.example/v2/library/redis/manifests/7?ns=docker.io: 429 Too Many Requests"#,
    ),
    (
        C::DnsFailure,
        None,
        r#"failed to resolve reference "reg.example/a:1": failed to do request: Head "https://reg.example/v2/a/manifests/1": dial tcp: lookup reg.example on 10.96.0.10:53: read udp 10.0.0.4:4242->10.96.0.10:53: i/o timeout"#,
    ),
    (
        C::DnsFailure,
        None,
        r#"failed to do request: Head "https://reg.example/v2/a/manifests/1": dial tcp: lookup reg.example: Temporary failure in name resolution"#,
    ),
    (
        C::NetworkTimeout,
        None,
        r#"failed to do request: Head "https://reg.example/v2/a/manifests/1": dial tcp 192.0.2.9:443: i/o timeout"#,
    ),
    (
        C::NetworkTimeout,
        None,
        r#"failed to do request: Head "https://reg.example/v2/a/manifests/1": net/http: TLS handshake timeout"#,
    ),
    (
        C::NetworkTimeout,
        None,
        r#"failed to do request: Head "https://reg.example/v2/a/manifests/1": dial tcp 192.0.2.9:443: connect: connection timed out"#,
    ),
    (
        C::NetworkUnreachable,
        None,
        r#"failed to do request: Head "https://reg.example/v2/a/manifests/1": dial tcp [2001:db8::7]:443: connect: network is unreachable"#,
    ),
    (
        C::NetworkUnreachable,
        None,
        r#"failed to do request: Head "https://reg.example/v2/a/manifests/1": dial tcp 192.0.2.9:443: connect: no route to host"#,
    ),
    (
        C::ConnectionRefused,
        None,
        r#"failed to do request: Head "https://reg.example:5000/v2/a/manifests/1": dial tcp 192.0.2.9:5000: connect: connection refused"#,
    ),
    (
        C::ProxyError,
        None,
        r#"failed to do request: Head "https://reg.example/v2/a/manifests/1": proxyconnect tcp: dial tcp 10.1.1.1:3128: connect: connection refused"#,
    ),
    (
        C::ProxyError,
        Some(C::ConnectionRefused),
        r#"failed to do request: Head "https://reg.example/v2/a/manifests/1": dial tcp 127.0.0.1:8118: connect: connection refused"#,
    ),
    (
        C::ProxyError,
        None,
        r#"failed to do request: Head "https://reg.example/v2/a/manifests/1": Proxy Authentication Required"#,
    ),
    (
        C::ConnectionReset,
        None,
        r#"failed to do request: Head "https://reg.example/v2/a/manifests/1": EOF"#,
    ),
    (
        C::ConnectionReset,
        None,
        r#"failed to copy: read tcp 10.0.0.4:50000->192.0.2.9:443: read: connection reset by peer"#,
    ),
    (
        C::ConnectionReset,
        None,
        "failed to copy: httpReadSeeker: failed open: failed to do request: Get \"https://d1.cloudfront.net/x?Signature=s\": http2: server sent GOAWAY and closed the connection",
    ),
    (
        C::TlsUnknownCa,
        None,
        r#"failed to do request: Head "https://reg.example/v2/a/manifests/1": tls: failed to verify certificate: x509: certificate signed by unknown authority"#,
    ),
    (
        C::TlsHostnameMismatch,
        None,
        r#"failed to do request: Head "https://reg.example/v2/a/manifests/1": tls: failed to verify certificate: x509: certificate is valid for web.example, not reg.example"#,
    ),
    (
        C::TlsHostnameMismatch,
        None,
        r#"failed to do request: Head "https://192.0.2.9/v2/a/manifests/1": x509: cannot validate certificate for 192.0.2.9 because it doesn't contain any IP SANs"#,
    ),
    (
        C::TlsHostnameMismatch,
        None,
        r#"failed to do request: Head "https://reg.example/v2/": x509: certificate relies on legacy Common Name field, use SANs instead"#,
    ),
    (
        C::TlsCertTime,
        None,
        r#"failed to do request: Head "https://reg.example/v2/a/manifests/1": tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2031-01-01T00:00:00Z is after 2030-01-01T00:00:00Z"#,
    ),
    (
        C::TlsHttpMismatch,
        None,
        r#"failed to do request: Head "https://reg.example:5000/v2/a/manifests/1": http: server gave HTTP response to HTTPS client"#,
    ),
    (
        C::PlatformMismatch,
        None,
        r#"Failed to pull image "reg.example/a:1": rpc error: code = NotFound desc = failed to pull and unpack image "reg.example/a:1": no match for platform in manifest: not found"#,
    ),
    (
        C::UnsupportedManifest,
        None,
        r#"not implemented: media type "application/vnd.docker.distribution.manifest.v1+prettyjws" is no longer supported since containerd v2.1, please rebuild the image"#,
    ),
    (
        C::ContentCorrupt,
        None,
        r#"failed commit on ref "layer-sha256:00aa": unexpected commit size 10, expected 20: failed precondition"#,
    ),
    (
        C::ContentCorrupt,
        None,
        r#"failed commit on ref "manifest-sha256:00aa": unexpected commit digest sha256:11, expected sha256:00aa: failed precondition"#,
    ),
    (
        C::LocalStoreCorrupt,
        None,
        r#"failed to extract layer sha256:00: failed to get reader from content store: content digest sha256:11: not found"#,
    ),
    (
        C::LayerExtractFailed,
        None,
        r#"failed to pull and unpack image "reg.example/a:1": failed to extract layer sha256:00: mount callback failed on /var/lib/containerd/tmpmounts/m1: failed to Lchown "/var/lib/containerd/tmpmounts/m1/f" for UID 700000, GID 7: lchown /f: invalid argument"#,
    ),
    (
        C::DiskFull,
        None,
        r#"failed to pull and unpack image "reg.example/a:1": failed to extract layer sha256:00: write /var/lib/containerd/x: no space left on device: unknown"#,
    ),
    (
        C::DiskFull,
        None,
        r#"failed to copy: failed to send write: write /var/lib/containerd/ingest/9/data: no space left on device"#,
    ),
    (
        C::PullCanceled,
        None,
        r#"failed to pull and unpack image "reg.example/a:1": failed to copy: context canceled"#,
    ),
    (
        C::PullCanceled,
        None,
        r#"rpc error: code = Canceled desc = failed to pull and unpack image "reg.example/a:1": context canceled"#,
    ),
    (
        C::PullCanceled,
        None,
        r#"Failed to pull image "reg.example/a:1": rpc error: code = DeadlineExceeded desc = context deadline exceeded"#,
    ),
    (
        C::SandboxImagePull,
        Some(C::NetworkTimeout),
        r#"Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox image "reg.example/pause:3.9": failed to pull image "reg.example/pause:3.9": failed to pull and unpack image "reg.example/pause:3.9": failed to resolve reference "reg.example/pause:3.9": failed to do request: Head "https://reg.example/v2/pause/manifests/3.9": dial tcp 192.0.2.9:443: i/o timeout"#,
    ),
    (
        C::SignatureRejected,
        None,
        r#"failed to pull and unpack image "reg.example/a:1": image verifier bindir blocked pull of reg.example/a:1 with digest sha256:00 for reason: unsigned"#,
    ),
    (
        C::RuntimeMisconfigured,
        None,
        r#"validate service connection: CRI v1 image API is not implemented for endpoint "unix:///run/containerd/containerd.sock": rpc error: code = Unimplemented desc = unknown service runtime.v1.ImageService"#,
    ),
    (
        C::RuntimeUnavailable,
        None,
        r#"rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial unix /run/containerd/containerd.sock: connect: no such file or directory""#,
    ),
    (
        C::TlsHttpMismatch,
        Some(C::RegistryError),
        r#"failed to pull and unpack image "reg.example:5000/a:1": failed to resolve image: unexpected status from HEAD request to http://reg.example:5000/v2/a/manifests/1: 400 Bad Request"#,
    ),
    (
        C::RegistryError,
        None,
        r#"failed to pull and unpack image "reg.example/a:1": failed to resolve image: unexpected status from HEAD request to https://reg.example/v2/a/manifests/1: 400 Bad Request"#,
    ),
    (
        C::ContentCorrupt,
        Some(C::ConnectionReset),
        r#"failed to pull and unpack image "reg.example/a:1": short read: expected 201728 bytes but got 100864: unexpected EOF"#,
    ),
];

//! The causes that lie on the way to the registry.

use super::causes::{About, about_of};
use crate::report::Cause;

pub(super) fn tls(cause: Cause) -> About {
    match cause {
        Cause::TlsUnknownCa => about_of(
            cause,
            "the certificate's issuer is not trusted",
            "The registry has a certificate of a private CA, or sends an incomplete chain. For a \
             public registry it means that something in between opens the TLS connections.",
            &[
                "Add the CA to what the runtime on the node trusts for this host, and to `caFile` of \
                 syncd's entry.",
                "Have the server send its whole chain.",
            ],
        ),
        Cause::TlsHostnameMismatch => about_of(
            cause,
            "the certificate is for another name",
            "The server that answered has no certificate for this host name: a certificate without \
             that name, or a name that leads to the wrong server (a search domain with a wildcard).",
            &[
                "Use a name that the certificate has.",
                "Issue the certificate for this name as well.",
                "Look at what the name resolves to.",
            ],
        ),
        Cause::TlsCertTime => about_of(
            cause,
            "the certificate is expired or not valid yet",
            "Either the certificate was not renewed, or the clock of this machine is wrong; the \
             evidence has both times.",
            &[
                "Renew the certificate.",
                "Set the clock, when that is the one that is off.",
            ],
        ),
        _ => about_of(
            cause,
            "one side speaks https and the other http",
            "The registry answers in plain http on the port where https was tried, or the other way \
             round.",
            &[
                "Use the port of the right protocol.",
                "For a registry that has plain http only, say so for that one host, on the node and \
                 in syncd's entry (`plainHttp: true`).",
            ],
        ),
    }
}

pub(super) fn network(cause: Cause) -> About {
    match cause {
        Cause::DnsFailure => about_of(
            cause,
            "the registry's name does not resolve",
            "The resolver says that there is no such name, fails, or does not answer.",
            &[
                "Compare the host name with the registry's own.",
                "Ask the same resolver for another name; look at the node's /etc/resolv.conf.",
            ],
        ),
        Cause::NetworkTimeout => about_of(
            cause,
            "no answer in time",
            "Packets are dropped on the way (a firewall, a missing route back, a proxy that must \
             be used), or the server hangs.",
            &[
                "Allow the way out to this host and port, or set the proxy.",
                "If small answers come and large ones hang, look at the MTU.",
            ],
        ),
        Cause::NetworkUnreachable => about_of(
            cause,
            "there is no route to the registry",
            "No network of this machine leads there; often an IPv6 address on a machine without IPv6.",
            &["Look at the routes and at the address family."],
        ),
        Cause::ConnectionRefused => about_of(
            cause,
            "nothing listens on that port",
            "The host is up and refuses the connection at once: a wrong port, a service that is \
             down, or `localhost`, which on a node is the node itself.",
            &["Compare the port.", "Start the registry."],
        ),
        Cause::ConnectionReset => about_of(
            cause,
            "the connection is cut",
            "Something ends the connection in the middle: a filter or a proxy on the way, or the \
             server itself.",
            &[
                "Try from another network.",
                "Look at the filters and proxies on the way.",
            ],
        ),
        _ => about_of(
            cause,
            "the proxy fails or refuses",
            "The registry is asked through a proxy, and the proxy cannot be reached, wants a login \
             or refuses this host.",
            &[
                "Compare the proxy's address.",
                "Name the registry in NO_PROXY when it must be reached directly.",
            ],
        ),
    }
}

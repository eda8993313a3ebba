//! The causes that lie on the node, in the pod's secrets or in a policy: those that a message or
//! a cluster shows, and that a question to the registry cannot.

use super::causes::{About, about_of};
use crate::report::Cause;

pub(super) fn about(cause: Cause) -> About {
    match cause {
        Cause::SecretMissing | Cause::SecretMisconfigured | Cause::CredentialProviderFailed => {
            credentials(cause)
        }
        Cause::DiskFull | Cause::LayerExtractFailed | Cause::LocalStoreCorrupt => store(cause),
        Cause::ImageNeverPull | Cause::PullQpsExceeded | Cause::PullCanceled => kubelet(cause),
        Cause::SandboxImagePull | Cause::RuntimeUnavailable | Cause::RuntimeMisconfigured => runtime(cause),
        _ => rest(cause),
    }
}

fn credentials(cause: Cause) -> About {
    match cause {
        Cause::SecretMissing => about_of(
            cause,
            "a named pull secret is not in the pod's namespace",
            "The pod or its service account names an imagePullSecret that its namespace does not \
             have. kubelet goes on without it, and the pull fails later with other words.",
            &[
                "Create the secret in the pod's own namespace, or have syncd put it there.",
                "Compare the name in the pod with the names of the namespace's secrets.",
            ],
        ),
        Cause::SecretMisconfigured => about_of(
            cause,
            "the pull secret is there but of no use for this image",
            "Its key is not the image's host and port, its type is not \
             kubernetes.io/dockerconfigjson, or its JSON has another shape. kubelet skips such a \
             secret without a word, and the registry is asked without a login.",
            &[
                "Write the key exactly as the host stands in the image, with the port; for Docker Hub \
                 it is https://index.docker.io/v1/.",
                "Give the secret the type kubernetes.io/dockerconfigjson and the shape \
                 {\"auths\": {…}}; the type of a secret cannot be changed, so write a new one.",
            ],
        ),
        _ => about_of(
            cause,
            "the node's own way to a credential failed",
            "kubelet asks a plugin or the cloud's metadata service for a credential, and got none \
             or an error. The registry then sees an anonymous pull, and says that it wants a login.",
            &[
                "Read kubelet's log on the node for the plugin's own error.",
                "Look at the plugin's configuration, the node's cloud role, and the way to the \
                 metadata service.",
            ],
        ),
    }
}

fn store(cause: Cause) -> About {
    match cause {
        Cause::DiskFull => about_of(
            cause,
            "the node's disk is full",
            "The file system of the images, or its inodes, has no room for the layers or for what \
             they unpack to.",
            &[
                "Make room on the node, or give its images a larger disk.",
                "Compare the image's unpacked size with the free space.",
            ],
        ),
        Cause::LayerExtractFailed => about_of(
            cause,
            "a layer was fetched and cannot be unpacked",
            "The node refuses what is in the layer: user ids outside of its range, extended \
             attributes, or a storage driver or file system that cannot do it.",
            &[
                "Read the end of the message: it names the file and the operation.",
                "On rootless nodes, widen the ranges in /etc/subuid and /etc/subgid.",
                "Look at the file system below the runtime's folder.",
            ],
        ),
        _ => about_of(
            cause,
            "the runtime's own store on the node is damaged",
            "The runtime believes to have content that is not there: a pull that was cut, a clean-up \
             at the wrong moment, another snapshotter. It is not a missing tag.",
            &[
                "Take the image out of the node's store and pull it again.",
                "If other images fail alike, drain the node and rebuild its store.",
            ],
        ),
    }
}

fn kubelet(cause: Cause) -> About {
    match cause {
        Cause::ImageNeverPull => about_of(
            cause,
            "the pod forbids a pull and the node lacks the image",
            "imagePullPolicy is Never, and this node does not have the image. kubelet says the same \
             when the node has it, but it was pulled with credentials that this pod does not have.",
            &[
                "Load the image on every node on which the pod may run.",
                "Set imagePullPolicy to IfNotPresent; nodes that come later can then pull it.",
            ],
        ),
        Cause::PullQpsExceeded => about_of(
            cause,
            "kubelet's own limit on pulls is used up",
            "Many pods start at once, and kubelet allows a few pulls a second (registryPullQPS, 5 \
             unless set). No registry was asked; kubelet tries again.",
            &[
                "Wait: it passes by itself.",
                "Raise registryPullQPS and registryBurst in kubelet's configuration.",
            ],
        ),
        _ => about_of(
            cause,
            "a timer or a restart ended the pull",
            "The runtime saw no progress for too long, kubelet's deadline passed, or somebody \
             stopped it. The network may be slow; the message does not say.",
            &[
                "Compare the image's size and the node's speed with the runtime's progress timeout.",
                "Mirror the image near the node.",
            ],
        ),
    }
}

fn runtime(cause: Cause) -> About {
    match cause {
        Cause::SandboxImagePull => about_of(
            cause,
            "the pause image does not pull",
            "Each pod starts with the runtime's pause image. It is named in the runtime's \
             configuration, and imagePullSecrets never apply to it. The other cause that is named \
             is why it failed.",
            &[
                "Load the pause image on the node.",
                "Point the runtime's sandbox image at a mirror that needs no login.",
            ],
        ),
        Cause::RuntimeUnavailable => about_of(
            cause,
            "the container runtime does not answer",
            "The runtime's socket is not there or nobody listens. No registry was asked.",
            &["Start the runtime on the node and read its log."],
        ),
        _ => about_of(
            cause,
            "the container runtime is set up wrongly",
            "A service of the runtime is switched off, its configuration does not parse, or it names \
             something that is not there.",
            &[
                "Read the runtime's log for the file and the line.",
                "Compare the configuration with the runtime's version.",
            ],
        ),
    }
}

fn rest(cause: Cause) -> About {
    match cause {
        Cause::SignatureRejected => about_of(
            cause,
            "a signature rule refuses the image",
            "A policy of the node or of the cluster wants a signature or an attestation, or a digest \
             in place of a tag, and this image does not have it.",
            &[
                "Sign or attest the image with the key that the policy names.",
                "Deploy it by its digest.",
                "When mirroring, copy its signatures as well.",
            ],
        ),
        Cause::NoCauseInMessage => about_of(
            cause,
            "the message holds no cause",
            "It says that the pull failed and is tried again later, not why.",
            &[
                "Read the pod's waiting message and its last event with the reason Failed.",
                "Ask the registry as the node does.",
            ],
        ),
        _ => about_of(
            cause,
            "this is not about pulling an image",
            "The pod does not start for another reason: scheduling, its network, a volume, a crash, \
             the node's own certificate, rights on this machine.",
            &["Read the event in its own words; registry and credentials have no part in it."],
        ),
    }
}

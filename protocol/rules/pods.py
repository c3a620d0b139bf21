# SPDX-License-Identifier: Apache-2.0
"""Rules about a pod: whether a provider takes it, whether it starts, what is done with one that is there."""

from trustedpods.protocol.rules.rule import Rule

OTHER = "choose another provider; `trustedpods provider list --for FILE` says which can run it"
_LATER = "try again in a moment"
_LOOK = "`trustedpods status NAME` says what is there"
_AGAIN = "run the same command again: it goes on where it was"
_MANIFEST = "change the manifest"

PODS = {
    "access-mode": Rule(
        "the storage class cannot do a volume's access mode", "have one replica, or " + OTHER
    ),
    "awaiting-key": Rule(
        "the provider's machine was restarted, and its new keys open no bundle from before",
        "`trustedpods watch --once`, or deploy again: the pod is released to the new keys",
    ),
    "blob-size": Rule(
        "a part of an image is longer than the bundle says", "save the image anew, deploy again"
    ),
    "blob-unknown": Rule("a blob was sent that is not in the pod's bundle", "deploy again"),
    "blobs-missing": Rule("the images did not arrive in time", _AGAIN),
    "blobs-ahead": Rule(
        "more images were sent ahead of their deploy than the provider keeps unpaid",
        "deploy what was sent, or wait an hour: what nobody deploys goes",
    ),
    "busy": Rule("the provider has as many conversations as it takes", _LATER),
    "cap": Rule(
        "the channel's cap does not pay for the replicas that always run",
        "raise `maxCostPerDay`, or lower `scale.min`",
    ),
    "capability": Rule("the provider lacks what the pod needs", OTHER),
    "capacity-*": Rule("the provider has no room for a pod of this size", "ask for less, or " + OTHER),
    "capacity-node": Rule("no single node has room for one replica", "ask for less, or " + OTHER),
    "capacity-services": Rule("the provider has no free place for one more service", OTHER),
    "capacity-users": Rule(
        "processes of that user are as many on the node as its kernel takes",
        "give the image a user that few have, or lower scale.max",
    ),
    "channel-missing": Rule(
        "no payment came in time", "look at `trustedpods balance`, then run the same deploy again"
    ),
    "commander": Rule("this key may not command the pod", "use the key that deployed it"),
    "container": Rule("the pod has no container of that name", "give one of those that are listed"),
    "copy": Rule("tar in the container failed", "look at the path; what tar said stands in the message"),
    "csi-driver": Rule(
        "the provider does not offer that CSI driver", "mount a `secret` instead, or " + OTHER
    ),
    "denied": Rule("the provider's operator serves this key no more", OTHER),
    "digest": Rule("a part of an image is not what its digest says", "save the image anew, deploy again"),
    "disk": Rule("the provider's disk is full, so that it takes nothing new", OTHER),
    "draining": Rule("the provider takes no new pods", OTHER),
    "egress": Rule(
        "the provider does not let pods call that", _MANIFEST + " (docs/isolation.md), or " + OTHER
    ),
    "ending": Rule("replicas from before a reboot are still ending", _LATER),
    "exec-start": Rule(
        "the command is not in the container, or may not be run", "look at the words behind `--`"
    ),
    "forward-port": Rule(
        "the pod has no such port", "give one that its manifest lists under `ports`, or one of a service"
    ),
    "generated-key": Rule(
        "a key would be made in the place of one of another type that was kept",
        "give its entry under `generate` the type that it had, or a higher `renewal` to have another key",
    ),
    "generation": Rule(
        "a newer request of this key came first",
        _LOOK + "; if nobody else deploys with this key, this machine's clock is behind",
    ),
    "given-up": Rule("what was waited for cannot come any more", _LOOK),
    "host-taken": Rule("another pod has that host", "choose another in `hosts`"),
    "hosts": Rule(
        "the host is not proven to be yours",
        "make the DNS record that is named, and deploy again when it is seen",
    ),
    "idle": Rule(
        "no byte of a command moved for an hour", "run it again; let a long command write something"
    ),
    "image": Rule("an image at the provider is not what was sent", "deploy again"),
    "image-signer": Rule(
        "an image is not signed by anybody whom the policy demands",
        "sign it with `cosign sign --key`, or have the policy name who did; docs/images.md",
    ),
    "image-size": Rule("the images are larger than the provider takes", "make them smaller, or " + OTHER),
    "ingress": Rule(
        "the cluster's controller gave the service no address", "write `expose: http`, or " + OTHER
    ),
    "ingress-annotation": Rule("the provider takes no such annotation", "leave it out, or " + OTHER),
    "ingress-class": Rule("the provider has no such ingress class", "write `expose: http`, or " + OTHER),
    "isolation": Rule("pods are not kept apart there at the moment", _LATER + ", or " + OTHER),
    "lives-elsewhere": Rule(
        "the pod runs at another provider, and a deploy moves none",
        "`trustedpods delete NAME` first, or give this one another `--name`",
    ),
    "load-balancer": Rule("the cluster gave the service no address", "expose it otherwise, or " + OTHER),
    "log-gone": Rule("the container's log is there no more", "ask without `--previous`"),
    "names": Rule(
        "a pod reaches more addresses by name than are opened", "ask for fewer names, or by address"
    ),
    "namespace-terminating": Rule("what was there of the pod is still being removed", _LATER),
    "newer": Rule("a newer deploy with this key won, and nothing of it was touched", _LOOK),
    "no-bundle": Rule(
        "this client has no copy of what runs, so it cannot release it",
        "`trustedpods deploy FILE`, or watch where it was deployed",
    ),
    "no-images": Rule("the provider lacks images, and it is not known where they are", "deploy FILE again"),
    "no-provider": Rule(
        "no provider of the market can and may run the pod",
        "`--explain` says why of each; `--trust open` allows operators who can read it",
    ),
    "no-replica": Rule("no replica runs", "a request to its URL wakes it; `scale: {min: 1}` keeps one awake"),
    "backup-gone": Rule(
        "the newest backup that this machine knows of is not in its place any more",
        "`trustedpods backup NAME --list` shows the others; name one of them to take it all the same",
    ),
    "backup-store": Rule(
        "the place of backups cannot be read or written",
        "do what the message says, then again: what was cut off is taken away by the next backup",
    ),
    "no-backup": Rule(
        "nothing of the pod can be backed up, or the commands that do it failed",
        "do what the message says; docs/backup.md",
    ),
    "no-restore": Rule(
        "no volume of the pod waits for a backup, or it could not be filled",
        "do what the message says; docs/backup.md",
    ),
    "no-tar": Rule(
        "the container has no tar, by which files are copied",
        "name another container with -c, or put tar into the image",
    ),
    "no-version": Rule(
        "no earlier version of the pod is kept on this machine",
        "`trustedpods rollback NAME --list` shows those that are; deploy the older file and image otherwise",
    ),
    "not-serving": Rule("the pod does not serve", "`trustedpods status NAME` says what it does"),
    "not-agreed": Rule("somebody was asked, or had to be, and did not agree", "`--yes` agrees beforehand"),
    "parked": Rule("the pod's publisher has stopped it", "`trustedpods start NAME` lets it run again"),
    "user-namespaces": Rule(
        "pods have no user ids of their own there, or it is not shown yet that they have",
        "leave `hostUsers` out, or " + OTHER,
    ),
    "own-sleep": Rule("no pod asks for its own sleep there", "leave `scale.ownSleep` out, or " + OTHER),
    "phase": Rule("the pod is not in a state for that", _LOOK + ", then ask again"),
    "placement": Rule(
        "no node fits what the pod wants", "`trustedpods provider inspect` shows labels; or " + OTHER
    ),
    "pod-lock": Rule("another command on this machine is at the pod", "wait until it has ended, or end it"),
    "price": Rule("the channel was opened at other prices", "`trustedpods delete NAME`, then deploy again"),
    "quota": Rule("the provider keeps as many unfinished images of yours as it takes", _LATER),
    "rate": Rule("too many requests came from this address", _LATER),
    "removed": Rule("the pod was removed meanwhile", "deploy again"),
    "removing": Rule("the pod is being removed", "deploy again when it is gone"),
    "render-size": Rule(
        "the pod's objects are too many for one answer", "fewer ports and blocks in `network`"
    ),
    "replicas": Rule("a pod has at least one replica", "raise `scale.max`"),
    "retained": Rule(
        "only the pod's volumes are left", "deploy again to take them up, or delete with `--purge`"
    ),
    "seed": Rule("the provider cannot fill volumes", "let the program make its first files, or " + OTHER),
    "start": Rule(
        "the pod did not start; what its container wrote last is told",
        "mend the program or the manifest (port, user, memory, probe), and deploy again",
    ),
    "storage-class": Rule(
        "the provider has no such storage class, or no default one",
        "leave `storageClassName` out or name another, or " + OTHER,
    ),
    "terms": Rule("the provider's prices in the registry and in its profile differ", OTHER),
    "tls": Rule(
        "certificate and key of a service do not fit", "give the files of one certificate and its own key"
    ),
    "too-long": Rule("a terminal or a port-forward was open for twelve hours", "run it again"),
    "tunnel": Rule(
        "the provider makes no tunnels between nodes, or two nodes would have one address in theirs",
        "another provider, or another name of one of the nodes",
    ),
    "unknown-pod": Rule("there is no such pod", "`trustedpods list` shows all pods of the key"),
    "unknown-provider": Rule("the registry has no such provider, or several", "`trustedpods provider list`"),
    "unpublished": Rule("nothing is published in that slot", "look at the pod: it was removed meanwhile"),
    "volumes": Rule(
        "the newer version would lose a volume, or make it smaller",
        "keep the volume and its size, or delete the pod with all its data and deploy it anew",
    ),
    "waiting": Rule("too many pods there wait for their first payment", _LATER + ", or " + OTHER),
    "webhook": Rule("the webhook is not a public http or https URL", "change `notify.webhook`"),
}

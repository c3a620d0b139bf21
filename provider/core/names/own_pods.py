# SPDX-License-Identifier: Apache-2.0
"""Pods of one publisher that call each other: their names, and the marks by which policies know them.

A mark is a digest of the publisher and the pod's name, so whoever sees the cluster's labels learns neither.
The namespace of a pod carries its own mark, and a label for each pod that it may call. Who is called lets in
exactly those namespaces, who calls reaches exactly that one.
"""

import hashlib
import re
from dataclasses import dataclass

from trustedpods.manifests.spec.egress import OWN_PODS, Network
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.ids import Address, address_bytes

NAMED = "trustedpods.dev/named"
"""Label of a namespace; its value is the mark of its pod."""

CALLS = "calls.trustedpods.dev/"
"""Beginning of a label's key, before the mark of a pod that may be called from the namespace."""

MAY = "yes"
"""The value of such a label."""

ANSWER_S = 5
"""How long an answer is good. A service keeps its address over all versions of its pod: only a pod that was
deleted and deployed anew is looked for in vain for this long."""

_TAG = b"trustedpods own pod v1"
_MARK_BYTES = 20
"""160 bits, beyond collision; as text it fits into a label, which has 63 characters."""

_HOST = re.compile(r"([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)\.([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)\." + OWN_PODS)


@dataclass(frozen=True, slots=True)
class OwnHost:
    """`SERVICE.POD.internal`: a service, or a replica (`pod-0`) of a stateful pod, and its pod."""

    service: str
    pod: str


def own_host(host: str) -> OwnHost | None:
    """What such a name means; None for any other name."""
    found = _HOST.fullmatch(host)
    return None if found is None else OwnHost(found[1], found[3])


def mark(publisher: Address, name: str) -> str:
    """The mark of the publisher's pod *name*."""
    return hashlib.sha256(_TAG + address_bytes(publisher) + name.encode()).digest()[:_MARK_BYTES].hex()


def marked(publisher: Address, network: Network) -> dict[str, str]:
    """The pods that may be called, by name, each with its mark."""
    names = [peer.pod for rule in network.egress for peer in rule.to if peer.pod is not None]
    return {name: mark(publisher, name) for name in names}


def marks(publisher: Address, manifest: PodManifest) -> dict[str, str]:
    """The labels of the pod's namespace: which of the publisher's pods it is, and which of them it calls."""
    called = marked(publisher, manifest.spec.network).values()
    return {NAMED: mark(publisher, manifest.metadata.name), **{CALLS + one: MAY for one in called}}

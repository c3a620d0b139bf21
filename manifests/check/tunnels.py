# SPDX-License-Identifier: Apache-2.0
"""What does not fit in a pod's encrypted link to other nodes."""

from collections.abc import Iterator

from trustedpods.manifests.check.names import known
from trustedpods.manifests.problem import Location, Problem
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.spec.service import AT_NODES


def tunnel_problems(manifest: PodManifest) -> Iterator[Problem]:
    """Everything that keeps the link from being made, or its peers from reaching it."""
    network, at = manifest.spec.network, ("spec", "network", "tunnel")
    if network.tunnel is None:
        return
    if not network.nodes:
        yield Problem(at, "the tunnel leads to no node: list those that are called in spec.network.nodes")
    key = manifest.identity_key
    if key is None or key.type != "x25519":
        text = (
            "the tunnel's key is what the pod is known by: generate one with `type: x25519, identity: true`"
        )
        yield Problem(at, text)
    if manifest.spec.scale.max > 1:
        yield Problem(at, "a tunnel's key and address belong to one replica: have no more of them")
    yield from _service(manifest, network.tunnel.service, (*at, "service"))
    opened = [(one.protocol, one.port) for one in network.tunnel.opens]
    for number, (protocol, port) in enumerate(opened):
        if (protocol, port) in opened[:number]:
            yield Problem((*at, "opens", number), f"port {port} ({protocol}) is listed twice")


def _service(manifest: PodManifest, name: str, at: Location) -> Iterator[Problem]:
    service = next((one for one in manifest.spec.services if one.name == name), None)
    if service is None:
        yield Problem(at, f"no service {name!r}{known(one.name for one in manifest.spec.services)}")
    elif service.expose not in AT_NODES or [one.protocol for one in service.ports] != ["UDP"]:
        text = f"the service {name!r} must have one port of `protocol: UDP`, and `expose: udp` or nodePort"
        yield Problem(at, text)

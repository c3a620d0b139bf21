# SPDX-License-Identifier: Apache-2.0
"""Hosts that a controller of the cluster's serves belong to one pod at a time, and to nobody else's Ingress.

Control over a host is proven elsewhere (`provider/dns`). This is for hosts of which the same publisher could
have two, for `*.localhost`, which is nobody's, and for the Ingresses that the cluster has beside pods'.
"""

from collections.abc import Collection, Iterator

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import ChannelId, host_label
from trustedpods.protocol.messages.admission import AdmitBody
from trustedpods.provider.cluster.client import Cluster
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.pods.records import Pods


class IngressHosts:
    """Looks at the pods that are here, and at the cluster itself."""

    def __init__(self, cluster: Cluster, pods: Pods, bundles: Bundles) -> None:
        self._cluster = cluster
        self._pods = pods
        self._bundles = bundles

    async def check(self, wanted: AdmitBody | PodManifest, channel: ChannelId) -> None:
        """Refused (rule `host-taken`) where a host of the pod is served for somebody else.

        A question says less than a manifest: where it has services of both kinds its hosts are the facade's.
        """
        own, all_own = _asked(wanted) if isinstance(wanted, AdmitBody) else _hosts(wanted)
        if not all_own:
            return
        for manifest in self._others(channel):
            theirs, all_theirs = _hosts(manifest)
            _refuse_shared((own & all_theirs) | (all_own & theirs), "another pod")
        if own:
            label = host_label(channel)
            for one in await self._cluster.ingresses():
                if one.label != label:
                    _refuse_shared(own & one.hosts, "somebody else")

    def _others(self, but: ChannelId) -> Iterator[PodManifest]:
        for record in self._pods.standing:
            if record.channel != but and self._bundles.held(record):
                yield self._bundles.open(record).manifest
                if record.previous is not None:  # it serves until its update is proven
                    yield self._bundles.open_stored(record.previous).manifest


def _asked(ask: AdmitBody) -> tuple[set[str], set[str]]:
    mixed = any(protocol in ("http", "h2") for protocol in ask.services.values())
    return set() if mixed or not ask.ingresses else set(ask.hosts), set(ask.hosts)


def _hosts(manifest: PodManifest) -> tuple[set[str], set[str]]:
    """Hosts of a pod that a controller serves, and all of them."""
    services = manifest.spec.services
    served = {host for one in services if one.ingress is not None for host in one.hosts}
    return served, {host for one in services for host in one.hosts}


def _refuse_shared(hosts: Collection[str], whose: str) -> None:
    if hosts:
        raise Refused(
            f"{min(hosts)} is served for {whose} at this provider",
            rule="host-taken",
            hint="take another host, or delete the pod that has it first",
        )

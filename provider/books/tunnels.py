# SPDX-License-Identifier: Apache-2.0
"""Keeps the tunnels of pods as their manifests and address books want them, and says who is silent.

Everything is read anew at each look, and told whole: a daemon that starts anew goes on, and so does what
makes them.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import trio

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.ids import ChannelId
from trustedpods.provider.cluster.networks.tunnel_door import TunnelDoor, TunnelView
from trustedpods.provider.cluster.objects.network_nodes.ways import service_of
from trustedpods.provider.core.generated.key_pairs import private_file, private_key
from trustedpods.provider.core.networks.book import newer
from trustedpods.provider.core.networks.tunnels import TunnelEnd, silent, wanted_tunnel
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.lifecycle.additions import kept_book
from trustedpods.provider.lifecycle.seldom import SeldomWarnings
from trustedpods.provider.pods.bundles import Bundles, OpenBundle
from trustedpods.provider.pods.records import Pods

_log = logging.getLogger(__name__)

LOOK_S = 2.0
"""How late a book or a new replica is followed. A look costs three questions to the cluster for each pod with
a tunnel, and nothing where there is none."""


class Tunnels:
    """All tunnels of the cluster; one look every `LOOK_S`."""

    def __init__(self, doors: Doors, pods: Pods, bundles: Bundles) -> None:
        self._doors = doors
        self._pods = pods
        self._bundles = bundles
        self._warnings = SeldomWarnings(_log)
        self._views: Mapping[str, TunnelView] = {}
        self._stand = True
        """Whether there may be some: who led before may have left them."""
        self._without: dict[ChannelId, bytes] = {}
        """Of pods that want none, the request that was looked into: not to open every bundle at each look."""

    async def run(self) -> None:
        """Look for ever; what cannot be read or told now is tried again, and stays as it is until then."""
        doors = [TunnelDoor(Path(path)) for path in self._doors.config.exposure.tunnel_sockets]
        if not doors:  # whoever keeps tasks going would begin one that ended again
            await trio.sleep_forever()
        while True:
            try:
                await self.look(doors)
            except TrustedPodsError as error:
                self._warnings.warn("look", f"tunnels are not kept now: {error}")
            else:
                self._warnings.well("look")
            await trio.sleep(LOOK_S)

    async def look(self, doors: Sequence[TunnelDoor]) -> None:
        """Tell once what is wanted: to each node all, as each knows its own pods."""
        wanted: dict[str, dict[str, Any]] = {}
        for record, opened in self._with_tunnels():
            for namespace in {record.namespace, record.other or record.namespace}:
                config = await self._config(record, opened, namespace)
                if config is not None:
                    wanted[namespace] = config
        if wanted or self._stand:
            self._views, told = await self._tell(doors, wanted)
            self._stand = bool(wanted) or not told

    async def _tell(
        self, doors: Sequence[TunnelDoor], wanted: Mapping[str, Mapping[str, Any]]
    ) -> tuple[dict[str, TunnelView], bool]:
        """How tunnels are where it could be told, and whether it could everywhere: a node is its own."""
        found: dict[str, TunnelView] = {}
        whole = True
        for number, door in enumerate(doors):
            try:
                found |= await door.keep(wanted)
            except TrustedPodsError as error:
                whole = False
                self._warnings.warn(number, f"a node's tunnels are not kept now: {error}")
            else:
                self._warnings.well(number)
        return found, whole

    def told(self, record: PodRecord) -> str:
        """Which nodes the pod's tunnel has not heard for too long, in words; empty where none is."""
        view = self._views.get(record.namespace)
        gone = [] if view is None else silent(view.heard, view.since_s)
        return f"nothing comes by the tunnel from {', '.join(gone)}" if gone else ""

    def _with_tunnels(self) -> list[tuple[PodRecord, OpenBundle]]:
        """The pods whose present version wants a tunnel; none that this boot cannot open."""
        found: list[tuple[PodRecord, OpenBundle]] = []
        without: dict[ChannelId, bytes] = {}
        for record in self._pods.standing:
            opened = None
            if self._without.get(record.channel) != record.request:
                opened = self._opened(record)
                if opened is None:
                    continue
            if opened is None or opened.manifest.spec.network.tunnel is None:
                without[record.channel] = record.request
            else:
                found.append((record, opened))
        self._without = without
        return found

    def _opened(self, record: PodRecord) -> OpenBundle | None:
        """Its bundle; None where this boot cannot open it."""
        try:
            return self._bundles.open(record)
        except TrustedPodsError:
            return None

    async def _config(self, record: PodRecord, opened: OpenBundle, namespace: str) -> dict[str, Any] | None:
        """What the tunnel in *namespace* is to be; None while its key or its book is not there."""
        cluster, network = self._doors.cluster, opened.manifest.spec.network
        book = newer(await kept_book(self._doors, record, namespace), opened.bundle.book)
        own = await self._own_end(opened.manifest, namespace)
        if network.tunnel is None or book is None or own is None:
            return None
        ways = {service_of(node): node for node in book.nodes}
        places = {
            ways[one.name]: one.cluster_ip
            for one in await cluster.services(namespace)
            if one.name in ways and one.cluster_ip
        }
        return wanted_tunnel(network, network.tunnel, own, book, places)

    async def _own_end(self, manifest: PodManifest, namespace: str) -> TunnelEnd | None:
        """The pod's key, and the container's port behind the service of the tunnel."""
        tunnel = manifest.spec.network.tunnel
        if manifest.identity is None or tunnel is None:
            return None
        volume, file = manifest.identity
        files = await self._doors.cluster.secret_files(namespace, volume)
        key = private_key(files.get(file, b""), "x25519")
        service = next(one for one in manifest.spec.services if one.name == tunnel.service)
        if key is None:
            return None
        return TunnelEnd(service.ports[0].target, private_file(key, "base64").decode())

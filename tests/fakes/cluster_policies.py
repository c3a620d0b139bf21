# SPDX-License-Identifier: Apache-2.0
"""Policies, Secrets, and ways to nodes, one by one, of the cluster in memory (`tests/fakes/cluster.py`)."""

from base64 import b64decode
from itertools import count
from typing import TYPE_CHECKING

from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.cluster.api.errors import NamespaceEnding
from trustedpods.provider.cluster.networks.ways import ServiceEnd, change_of, way_of
from trustedpods.provider.cluster.objects.names import MADE_HERE, KubeObject
from trustedpods.provider.cluster.objects.network_nodes import local_policy
from trustedpods.provider.cluster.objects.secret import made_files
from trustedpods.provider.cluster.views import NamespaceView, service_view
from trustedpods.provider.core.generated.values import MadeFiles
from trustedpods.provider.core.networks.local_nodes import NodeWay, Passages

if TYPE_CHECKING:
    from tests.fakes.provider.claims import FakeLife


_POLICY = ("NetworkPolicy", local_policy.NAME)


class FakePolicies:
    """The methods of `Cluster` by which the pods' resolver opens and shuts, and values are found again."""

    lives: "dict[str, FakeLife]"
    _numbers: "count[int]"

    async def _called(self, what: str) -> None:
        raise NotImplementedError

    async def secret_files(self, namespace: str, name: str) -> dict[str, bytes]:
        await self._called("secret files")
        life = self.lives.get(namespace)
        found = None if life is None else life.objects.get(("Secret", name))
        return {} if found is None else {key: b64decode(value) for key, value in found["data"].items()}

    async def made_files(self, namespace: str, name: str) -> MadeFiles:
        await self._called("made files")
        life = self.lives.get(namespace)
        return made_files(None if life is None else life.objects.get(("Secret", name)))

    async def made_secrets(self, namespace: str) -> list[str]:
        await self._called("made secrets")
        objects = self.lives[namespace].objects if namespace in self.lives else {}
        return [
            name
            for (kind, name), one in objects.items()
            if kind == "Secret" and MADE_HERE in one["metadata"].get("annotations", {})
        ]

    async def delete_secret(self, namespace: str, name: str) -> None:
        await self._called(f"delete secret {name}")
        if namespace in self.lives:
            self.lives[namespace].objects.pop(("Secret", name), None)

    async def find_policy(self, namespace: str, name: str) -> KubeObject | None:
        await self._called("find_policy")
        life = self.lives.get(namespace)
        return life.objects.get(("NetworkPolicy", name)) if life else None

    async def write_policy(self, policy: KubeObject) -> int:
        await self._called("write_policy")
        metadata = policy["metadata"]
        self.lives[metadata["namespace"]].objects["NetworkPolicy", metadata["name"]] = policy
        return next(self._numbers)

    async def policies_named(self, name: str) -> list[tuple[str, str]]:
        await self._called("policies_named")
        return [
            (life.name, life.label) for life in self.lives.values() if ("NetworkPolicy", name) in life.objects
        ]

    async def namespaces_labelled(self, key: str, value: str) -> list[NamespaceView]:
        await self._called("namespaces_labelled")
        found = [
            NamespaceView(life.name, life.label, life.deleting, UnixSeconds(life.created))
            for life in self.lives.values()
            for name, made in life.objects.items()
            if name[0] == "Namespace" and made["metadata"]["labels"].get(key) == value
        ]
        return sorted(found, key=lambda view: (view.created, view.name))


class FakeWays:
    """The methods of `NodeWays`. Behind each Service of a pod are the replicas that are ready."""

    lives: "dict[str, FakeLife]"

    async def _called(self, what: str) -> None:
        raise NotImplementedError

    async def ways(self, namespace: str | None = None) -> list[NodeWay]:
        await self._called("ways")
        lives = [life for life in self.lives.values() if namespace in (None, life.name)]
        slices = [one for life in lives for (kind, _), one in life.objects.items() if kind == "EndpointSlice"]
        return [way for one in slices if (way := way_of(one)) is not None]

    async def service_ends(self) -> list[ServiceEnd]:
        await self._called("service ends")
        made = []
        for life in self.lives.values():
            ready = tuple(sorted(one.ip for one in life.pods.values() if one.ready and one.ip))
            for (kind, name), one in life.objects.items():
                if kind == "Service" and "selector" in one["spec"]:
                    targets = service_view(one).targets
                    made += [ServiceEnd(life.name, name, sort, port, ready) for sort, _, port in targets]
        return made

    async def lead(self, way: NodeWay) -> None:
        await self._called(f"lead {way.name}")
        held = self.lives[way.namespace].objects.get(("EndpointSlice", way.name))
        if held is None or way_of(held) is None or way_of(held).published != way.published:
            return
        change = change_of(way)
        notes = {**held["metadata"]["annotations"], **change["metadata"]["annotations"]}
        metadata = {**held["metadata"], "annotations": {key: text for key, text in notes.items() if text}}
        made = {**held, "metadata": metadata, "endpoints": change["endpoints"], "ports": change["ports"]}
        self.lives[way.namespace].objects["EndpointSlice", way.name] = made

    async def passages(self) -> dict[str, KubeObject]:
        await self._called("passages")
        return {
            life.name: life.objects[_POLICY]["spec"]
            for life in self.lives.values()
            if _POLICY in life.objects
        }

    async def open_passages(self, namespace: str, passages: Passages | None) -> None:
        await self._called(f"open passages of {namespace}")
        life = self.lives.get(namespace)
        if life is None:
            return
        if life.deleting and passages is not None:
            raise NamespaceEnding("namespace is being terminated", rule="namespace-terminating")
        if passages is None:
            life.objects.pop(_POLICY, None)
        else:
            life.objects[_POLICY] = local_policy.local_policy(namespace, passages)

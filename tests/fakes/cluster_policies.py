# SPDX-License-Identifier: Apache-2.0
"""Single NetworkPolicies and Secrets of the cluster in memory (`tests/fakes/cluster.py`)."""

from base64 import b64decode
from itertools import count
from typing import TYPE_CHECKING

from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.cluster.objects.names import MADE_HERE, KubeObject
from trustedpods.provider.cluster.objects.secret import made_files
from trustedpods.provider.cluster.views import NamespaceView
from trustedpods.provider.core.generated.values import MadeFiles

if TYPE_CHECKING:
    from tests.fakes.provider.claims import FakeLife


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

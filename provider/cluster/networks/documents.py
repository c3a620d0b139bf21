# SPDX-License-Identifier: Apache-2.0
"""What a cluster keeps of networks: one Secret for each, and a Lease object for people.

Each write names the version that was read, so of two writers one is told so and nothing is half
written. What stands in a Secret is opaque here.
"""

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.provider.cluster.api import errors
from trustedpods.provider.cluster.api.http import Api, path_of
from trustedpods.provider.cluster.objects.names import APPLIER, NETWORK_LABEL, NETWORKS_NAMESPACE

OBJECT_TYPE = "trustedpods.dev/network"
DATA_KEY = "network"

_NAME = "trustedpods.dev/network"
"""The annotation that has the network's own name."""

_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""Kubernetes then leaves out what the objects hold: documents are large, and only counted here."""


@dataclass(frozen=True, slots=True)
class NetworkObject:
    """How a network's objects are called: `name` of both, the founder's label, and the network's own name."""

    name: str
    founder: str
    network: str

    @property
    def metadata(self) -> dict[str, Any]:
        """As Kubernetes holds it."""
        return {
            "name": self.name,
            "namespace": NETWORKS_NAMESPACE,
            "labels": {NETWORK_LABEL: self.founder},
            "annotations": {_NAME: self.network},
        }


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """The bytes of a Secret, and the version at which they were read."""

    data: bytes
    version: str


@dataclass(frozen=True, slots=True)
class NetworkLease:
    """What a Lease object says: who holds it ("" for nobody), since when it was renewed (Unix seconds)."""

    holder: str
    lasts_s: int
    acquired: float
    renewed: float
    transitions: int


async def read(api: Api, name: str) -> StoredDocument | None:
    """The Secret of that name; None where the API server says that there is none."""
    path = path_of("Secret", NETWORKS_NAMESPACE, name)
    secret = await api.find(path)
    if secret is None:
        return None
    try:
        data = b64decode(secret["data"][DATA_KEY], validate=True)
        return StoredDocument(data, str(secret["metadata"]["resourceVersion"]))
    except (KeyError, TypeError, binascii.Error):
        raise RemoteProtocolError("a network's Secret was changed by hand", where=path) from None


async def write(api: Api, network: NetworkObject, data: bytes, version: str | None) -> str:
    """Make or replace the Secret; the version that it has now. Conflict where another one stands there."""
    metadata = network.metadata | ({} if version is None else {"resourceVersion": version})
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": OBJECT_TYPE,
        "data": {DATA_KEY: b64encode(data).decode()},
    }
    if version is not None:
        path = path_of("Secret", NETWORKS_NAMESPACE, network.name)
        try:
            answer = await api.call("PUT", path, body=secret)
        except errors.NotThere as error:
            raise errors.Conflict("the network's Secret was deleted", where=path) from error
        return str(answer.json()["metadata"]["resourceVersion"])
    path = path_of("Secret", NETWORKS_NAMESPACE)
    try:
        answer = await api.call("POST", path, body=secret)
    except errors.NotThere:
        await _make_namespace(api)
        answer = await api.call("POST", path, body=secret)
    return str(answer.json()["metadata"]["resourceVersion"])


async def remove(api: Api, network: NetworkObject, version: str) -> None:
    """Delete the Secret as it was read; one that is gone is deleted. Conflict where it was changed since."""
    path = path_of("Secret", NETWORKS_NAMESPACE, network.name)
    options = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"resourceVersion": version},
        "propagationPolicy": "Background",
    }
    try:
        await api.call("DELETE", path, body=options)
    except errors.NotThere:
        return


async def kept(api: Api) -> list[NetworkObject]:
    """Each Secret, as it is called; an empty name of the network where a person took it away."""
    return await _objects(api, "Secret")


async def with_lease(api: Api) -> list[NetworkObject]:
    """Each Lease object of a network, as `kept` has its Secrets."""
    return await _objects(api, "Lease")


async def _objects(api: Api, kind: str) -> list[NetworkObject]:
    path = path_of(kind, NETWORKS_NAMESPACE)
    answer = await api.call("GET", path, query={"labelSelector": NETWORK_LABEL}, accept=_METADATA_ONLY)
    return [_object(one["metadata"]) for one in answer.json().get("items") or []]


def _object(metadata: dict[str, Any]) -> NetworkObject:
    name = str((metadata.get("annotations") or {}).get(_NAME, ""))
    return NetworkObject(str(metadata["name"]), str(metadata["labels"][NETWORK_LABEL]), name)


async def tell_lease(api: Api, network: NetworkObject, lease: NetworkLease | None) -> None:
    """Write the Lease object, whatever stands there; None deletes it."""
    if lease is None:
        await api.delete(path_of("Lease", NETWORKS_NAMESPACE, network.name))
        return
    wanted = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": network.metadata,
        "spec": {
            "holderIdentity": lease.holder,
            "leaseDurationSeconds": lease.lasts_s,
            "acquireTime": _micro(lease.acquired),
            "renewTime": _micro(lease.renewed),
            "leaseTransitions": lease.transitions,
        },
    }
    await api.apply(path_of("Lease", NETWORKS_NAMESPACE, network.name), wanted, APPLIER)


async def _make_namespace(api: Api) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NETWORKS_NAMESPACE}}
    await api.apply(path_of("Namespace", name=NETWORKS_NAMESPACE), namespace, APPLIER)


def _micro(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

# SPDX-License-Identifier: Apache-2.0
"""Server-side apply with two field managers: one for the objects, one for `spec.replicas`.

An apply that leaves `spec.replicas` out would set it to 1, were nobody else its owner. So a new
Deployment is made with 0, the scaler takes the field at once, and an apply to a Deployment whose
number the scaler does not own (a daemon was killed in between) gives it to the scaler first.
"""

from typing import Any

from trustedpods.provider.cluster.api.errors import NamespaceEnding
from trustedpods.provider.cluster.api.http import Api, path_of
from trustedpods.provider.cluster.objects.names import APPLIER, SCALER, WORKLOAD, KubeObject


async def apply(api: Api, wanted: KubeObject) -> None:
    """Apply one object. A namespace that is ending would still take changes of what it holds: refused."""
    metadata = wanted["metadata"]
    path = path_of(wanted["kind"], metadata.get("namespace"), metadata["name"])
    if wanted["kind"] == "Deployment":
        await _apply_deployment(api, path, wanted)
        return
    made = await api.apply(path, wanted, APPLIER)
    if wanted["kind"] == "Namespace" and "deletionTimestamp" in made["metadata"]:
        raise NamespaceEnding(
            f"namespace {metadata['name']} is being terminated", where=path, rule="namespace-terminating"
        )


async def _apply_deployment(api: Api, path: str, wanted: KubeObject) -> None:
    namespace = wanted["metadata"]["namespace"]
    there = await api.find(path)
    if there is None:
        await api.apply(path, {**wanted, "spec": {**wanted["spec"], "replicas": 0}}, APPLIER)
        await scale(api, namespace, 0)
        return
    if not _scaler_owns(there):
        await scale(api, namespace, int(there["spec"].get("replicas", 0)))
    await api.apply(path, wanted, APPLIER)


def _scaler_owns(deployment: dict[str, Any]) -> bool:
    for entry in deployment["metadata"].get("managedFields", []):
        if entry.get("manager") == SCALER and "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {}):
            return True
    return False


async def scale(api: Api, namespace: str, replicas: int) -> None:
    """Set the number of replicas through the scale subresource, as the scaler."""
    wanted = {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": WORKLOAD, "namespace": namespace},
        "spec": {"replicas": replicas},
    }
    await api.apply(path_of("Deployment", namespace, WORKLOAD) + "/scale", wanted, SCALER)

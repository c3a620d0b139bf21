# SPDX-License-Identifier: Apache-2.0
"""Server-side apply of any object that a pod becomes; workloads are applied by their strategies."""

from trustedpods.provider.cluster import workloads
from trustedpods.provider.cluster.api.errors import NamespaceEnding
from trustedpods.provider.cluster.api.http import Api, path_of
from trustedpods.provider.cluster.objects.names import APPLIER, KubeObject


async def apply(api: Api, wanted: KubeObject) -> None:
    """Apply one object. A namespace that is ending would still take changes of what it holds: refused."""
    workload = workloads.of_kind(wanted["kind"])
    if workload is not None:
        await workload.apply(api, wanted)
        return
    metadata = wanted["metadata"]
    path = path_of(wanted["kind"], metadata.get("namespace"), metadata["name"])
    made = await api.apply(path, wanted, APPLIER)
    if wanted["kind"] == "Namespace" and "deletionTimestamp" in made["metadata"]:
        raise NamespaceEnding(
            f"namespace {metadata['name']} is being terminated", where=path, rule="namespace-terminating"
        )

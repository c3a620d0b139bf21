# SPDX-License-Identifier: Apache-2.0
"""What a newer bundle does with the version that serves: nothing, a proof beside it, or a stop first."""

from collections.abc import Sequence

from trustedpods.manifests.versions import runs_alike, why_stopped_before
from trustedpods.provider.cluster.client import Cluster
from trustedpods.provider.cluster.objects.ingress.ingress import KIND as INGRESS
from trustedpods.provider.cluster.objects.names import KubeObject
from trustedpods.provider.cluster.objects.service import KIND as SERVICE
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.pods.bundles import Bundles, OpenBundle

KEPT = "nothing that runs changes: it keeps running, and only what was agreed is other"
"""What is told of such an update."""


def keeps_running(bundles: Bundles, record: PodRecord, opened: OpenBundle) -> bool:
    """Whether the newer bundle, which is *opened*, changes nothing that runs: terms and notices alone.

    A restart is the same bundle again, and wants new replicas.
    """
    before = _untouched(bundles, record)
    if before is None or record.previous == record.request:
        return False
    return runs_alike(before.bundle, opened.bundle, (before.manifest, opened.manifest))


async def serves_all(cluster: Cluster, namespace: str, wanted: Sequence[KubeObject]) -> bool:
    """Whether every Service and Ingress that is *wanted* is in *namespace*: they move one by one."""
    made = {(SERVICE, view.name) for view in await cluster.services(namespace)}
    if any(one["kind"] == INGRESS for one in wanted):
        made |= {(INGRESS, view.name) for view in await cluster.ingresses() if view.namespace == namespace}
    return made.issuperset((one["kind"], one["metadata"]["name"]) for one in wanted)


def proven_beside(bundles: Bundles, record: PodRecord, opened: OpenBundle) -> bool:
    """Whether a newer version can be proven beside the one that serves."""
    before = _untouched(bundles, record)
    return before is not None and not why_stopped_before(before.manifest, opened.manifest)


def data_before(bundles: Bundles, record: PodRecord) -> set[tuple[str, str]]:
    """Data of the version to which an update that fails goes back, and what may lock it."""
    if record.previous is None:
        return set()
    before = bundles.open_stored(record.previous)
    claims = {("PersistentVolumeClaim", name) for name in before.volumes}
    return claims | {("Secret", name) for name in before.manifest.made_secrets}


def _untouched(bundles: Bundles, record: PodRecord) -> OpenBundle | None:
    """The version that serves, where nothing of the newer one is in its place yet."""
    if record.previous is None or record.applied or not record.live:
        return None
    return bundles.open_stored(record.previous)

# SPDX-License-Identifier: Apache-2.0
"""Blobs of a version that comes later: whose are taken, and how many bytes, as nobody pays for them yet."""

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.messages.bundle import BlobRef
from trustedpods.protocol.sealing.blobs import sealed_size
from trustedpods.provider.core.pod import Phase, PodRecord
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.store.spool import Spool

SHARE_OF_SPOOL = 16
"""What one publisher's blobs take ahead of their bundles, as a part of the spool: 4 GiB of the usual 64."""


class BlobsAhead:
    """Of publishers whose pod serves here, up to *most* bytes each. They go an hour after their last byte."""

    def __init__(self, pods: Pods, bundles: Bundles, spool: Spool, most: int) -> None:
        self._pods = pods
        self._bundles = bundles
        self._spool = spool
        self._most = most

    def check(self, record: PodRecord, blob: BlobRef) -> None:
        """Refused (rules `phase`, `blobs-ahead`) where *blob* is not taken for a later version of the pod."""
        if record.phase is not Phase.SERVING:
            raise Refused(
                f"the pod is {record.phase}: only one that serves takes images of its next version",
                rule="phase",
                hint="`trustedpods deploy` sends them with the version",
            )
        publisher = record.ref.publisher
        needed = {blob.blob_id}
        for other in self._pods.standing:
            if other.ref.publisher == publisher and self._bundles.held(other):
                needed |= self._bundles.open(other).blobs.keys()
        if self._spool.unneeded(publisher, needed) + sealed_size(blob.size) > self._most:
            raise Refused(
                f"images that no version has yet take {self._most // MIB} MiB of a publisher at most",
                rule="blobs-ahead",
                hint="deploy the version that they are for; what no version needs goes within two hours",
            )

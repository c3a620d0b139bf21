# SPDX-License-Identifier: Apache-2.0
"""Serves one publisher only while nobody has shown that the cluster's network parts two.

With our own network agent pods wait for their policies, so there is nothing to show. Any other cluster
may store NetworkPolicies and ignore them: there the daemon tries it with two live pods.
"""

import logging
from collections.abc import Iterable

import trio

from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.protocol.ids import Address
from trustedpods.provider.admission.isolation_probe import isolation_of
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.doors import Doors

_log = logging.getLogger(__name__)

AGAIN_AFTER_S = 300.0
"""After a proof that failed: the operator may have changed the cluster's network meanwhile."""


SWEEP_EVERY_S = 300.0
"""What `doctor` leaves when it is killed is a namespace with ended pods: it costs nothing, only order."""


class TenancyGuard:
    """What is known of the cluster's network. `doubt` says why tenants may not be apart; None: they are."""

    def __init__(self) -> None:
        self.doubt: str | None = None

    def begin(self, doors: Doors) -> None:
        """From now on nothing is taken for granted that was not tried."""
        if doors.config.cluster.traffic_socket is None:
            self.doubt = "it is being tried whether this cluster's network keeps tenants apart"

    def check(self, publisher: Address, standing: Iterable[PodRecord]) -> None:
        """Refused (rule `isolation`) where *publisher* would be the second one, and there is doubt."""
        if self.doubt is not None and any(record.ref.publisher != publisher for record in standing):
            raise Refused(
                f"another publisher's pods are here, and {self.doubt}",
                rule="isolation",
                hint="take another provider, or try again in a minute",
            )

    async def keep_proving(self, doors: Doors) -> None:
        """Try until it is proven; then only clear away what a killed `doctor` leaves. Never returns."""
        while self.doubt is not None:
            try:
                await isolation_of(doors.config, doors.cluster)
            except TrustedPodsError as error:
                self.doubt = error.what
                _log.warning("only one publisher is served: %s", error)
                await trio.sleep(AGAIN_AFTER_S)
            else:
                self.doubt = None
                _log.info("the cluster's network keeps tenants apart: two probe pods have shown it")
        while True:
            try:
                await doors.cluster.sweep_probes()
            except TrustedPodsError as error:
                _log.info("probes are not swept: %s", error)
            await trio.sleep(SWEEP_EVERY_S)

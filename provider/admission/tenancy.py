# SPDX-License-Identifier: Apache-2.0
"""Serves one publisher only while nobody has shown that the cluster's network parts two.

With our own network agent pods wait for their policies, so there is nothing to show. Any other cluster
may store NetworkPolicies and ignore them: there the daemon tries it with two live pods. Where pods are to
have user ids of their own, it tries that as well, and takes no new pod while they have none.
"""

import logging
from collections.abc import Iterable

import trio

from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.protocol.ids import Address
from trustedpods.provider.admission.isolation_probe import isolation_of, own_users_of
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.doors import Doors

_log = logging.getLogger(__name__)

AGAIN_AFTER_S = 300.0
"""After a proof that failed: the operator may have changed the cluster meanwhile. What a killed `doctor`
leaves, a namespace with ended pods, costs nothing, only order."""

SOON_S = 15.0
"""After a try that told nothing: pods may not start yet, as after a boot, and publishers wait."""


class TenancyGuard:
    """What is known of how the cluster keeps tenants apart; what `doubt` says is why its network may not.

    `users_doubt` says why pods have no user ids of their own where they are to: None also where it could not
    be told yet, which keeps out only new pods that cannot do without.
    """

    def __init__(self) -> None:
        self.doubt: str | None = None
        self.users_doubt: str | None = None
        self._users_untried = False

    def begin(self, doors: Doors) -> None:
        """From now on nothing is taken for granted that was not tried."""
        if doors.config.cluster.traffic_socket is None:
            self.doubt = "it is being tried whether this cluster's network keeps tenants apart"
        self._users_untried = doors.config.cluster.user_namespaces

    def check(self, publisher: Address, standing: Iterable[PodRecord]) -> None:
        """Refused (rule `isolation`) where *publisher* would be the second one, and there is doubt."""
        if self.doubt is not None and any(record.ref.publisher != publisher for record in standing):
            raise Refused(
                f"another publisher's pods are here, and {self.doubt}",
                rule="isolation",
                hint="take another provider, or try again in a minute",
            )

    def check_users(self, *, asked: bool) -> None:
        """Refused (rule `user-namespaces`) while a probe pod had no user ids of its own, though pods are to.

        While none was tried, only who *asked* for them is.
        """
        if self.users_doubt is not None:
            what = "pods are to have user ids of their own here, and a probe pod had none"
        elif asked and self._users_untried:
            what = "it is being tried whether pods have user ids of their own here"
        else:
            return
        raise Refused(
            what, rule="user-namespaces", hint="take another provider, or try again in some minutes"
        )

    async def keep_proving(self, doors: Doors) -> None:
        """Try until all is proven, and clear away what a killed `doctor` leaves. Never returns."""
        while True:
            await self._prove_network(doors)
            await self._prove_users(doors)
            try:
                await doors.cluster.sweep_probes()
            except TrustedPodsError as error:
                _log.info("probes are not swept: %s", error)
            told_nothing = self._users_untried and self.users_doubt is None
            await trio.sleep(SOON_S if told_nothing else AGAIN_AFTER_S)

    async def _prove_network(self, doors: Doors) -> None:
        if self.doubt is None:
            return
        try:
            await isolation_of(doors.config, doors.cluster)
        except TrustedPodsError as error:
            self.doubt = error.what
            _log.warning("only one publisher is served: %s", error)
        else:
            self.doubt = None
            _log.info("the cluster's network keeps tenants apart: two probe pods have shown it")

    async def _prove_users(self, doors: Doors) -> None:
        if not self._users_untried:
            return
        try:
            found = await own_users_of(doors.config, doors.cluster)
        except TrustedPodsError as error:
            _log.warning("it cannot be told whether pods have user ids of their own: %s", error)
            return
        if found.own_ids is None:
            _log.warning("it cannot be told whether pods have user ids of their own: %s", found.why_not)
            return
        self.users_doubt = None if found.own_ids else found.why_not
        self._users_untried = not found.own_ids
        if found.own_ids:
            _log.info("pods have user ids of their own: a probe pod has shown it")
        else:
            _log.warning("no new pod is taken: pods have no user ids of their own: %s", found.why_not)

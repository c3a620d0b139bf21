# SPDX-License-Identifier: Apache-2.0
"""Looks after what running pods are due: certificates before they end, and hooks that were not run yet."""

import logging

import trio

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.provider.books.books import Books
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.lifecycle.seldom import SeldomWarnings
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.pods.records import Pods

_log = logging.getLogger(__name__)

LOOK_S = 600.0
"""Certificates are due a month before they end, so this is soon; a look reads one Secret of each such pod. It
is also how soon a hook is run again that failed. One that a restart of the daemon came between is run with
its first look: no client need be there for a node to take the addresses that its provider has."""


class CertificateRenewal:
    """One look every `LOOK_S`, one pod after another; what fails is told seldom, and tried with each look."""

    def __init__(self, pods: Pods, bundles: Bundles, books: Books) -> None:
        self._pods = pods
        self._bundles = bundles
        self._books = books
        self._warnings = SeldomWarnings(_log)

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await trio.sleep(LOOK_S)

    async def look(self) -> None:
        """Renew what is due of all pods that serve."""
        for record in self._pods.standing:
            if record.phase is not Phase.SERVING:
                continue
            what = "certificates are not renewed"
            try:
                manifest = self._bundles.open(record).manifest
                if not manifest.certified:
                    what = "hook was not run"
                if manifest.certified or manifest.spec.reload is not None:
                    await self._books.renew(record)
            except Exception as error:  # noqa: BLE001 - one pod must not end the renewal of those behind it
                why = error if isinstance(error, TrustedPodsError) else repr(error)
                self._warnings.warn(record.channel, f"{record.label}: its {what}: {why}")
            else:
                self._warnings.well(record.channel)

# SPDX-License-Identifier: Apache-2.0
"""Verbs that stop and start pods and get money back, as a Python program calls them."""

from trustedpods.publisher.network_client import NetworkClient
from trustedpods.publisher.results.money import WithdrawResult
from trustedpods.publisher.results.pods import StoppedPod, VisitProgress
from trustedpods.publisher.verbs import money
from trustedpods.publisher.verbs.running import stopping


class OperatingClient(NetworkClient):
    """These verbs of one key in one market; `Client` has all others too."""

    async def stop(self, name: str, *, wait_s: float = stopping.STOP_WAIT_S) -> StoppedPod:
        """Have no replica of the pod until `start`; returns once none is left. 0 seconds: nobody waits."""
        return await stopping.stop(self._account, name, VisitProgress(), self._journal(), wait_s)

    async def start(self, name: str, *, wait_s: float = stopping.START_WAIT_S) -> StoppedPod:
        """Let a stopped pod run again; returns once as many replicas as always run are ready."""
        return await stopping.start(self._account, name, VisitProgress(), self._journal(), wait_s)

    async def withdraw(self, name: str | None = None, *, to_payer: bool = False) -> WithdrawResult:
        """Get what the payment contract owes the key's address; Refused for a pod that is paid for."""
        return await money.withdraw(self._account, name, self._journal(), to_payer=to_payer)

# SPDX-License-Identifier: Apache-2.0
"""The part of the door to Kubernetes that starts probe pods."""

from trustedpods.provider.cluster.api.http import Api
from trustedpods.provider.cluster.isolation_proof import probe_pods, proof, scratch, users
from trustedpods.provider.cluster.isolation_proof.probe_pods import ProbePlace
from trustedpods.provider.cluster.isolation_proof.proof import Proof
from trustedpods.provider.cluster.isolation_proof.scratch import WritablePlace
from trustedpods.provider.cluster.isolation_proof.users import SharedUsers


class LiveProofs:
    """What a cluster really does, as probe pods show it."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def prove(self, place: ProbePlace) -> Proof:
        """Start two probe pods and see whether policies part them; see `proof.prove`."""
        return await proof.prove(self._api, place)

    async def unbounded_places(self, place: ProbePlace) -> list[WritablePlace]:
        """Start probe pods that write more than they may; see `scratch.unbounded`."""
        return await scratch.unbounded(self._api, place)

    async def shared_users(self, place: ProbePlace, own_within_s: float = users.OWN_WITHIN_S) -> SharedUsers:
        """Start probe pods that say what tenants of one user id share; see `users.shared_users`."""
        return await users.shared_users(self._api, place, own_within_s)

    async def sweep_probes(self, older_than_s: float = probe_pods.ABANDONED_S) -> None:
        """Remove what a probe left behind that was killed."""
        await probe_pods.sweep(self._api, older_than_s)

# SPDX-License-Identifier: Apache-2.0
"""Who may command a pod: the keys of its first bundle, with generations that only grow."""

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.sealing.requests import OpenedRequest
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.keys.generations import NewestGenerations
from trustedpods.provider.pods.records import Pods


class CommandRights:
    """What a signed request is allowed to do, by the pods' records and the newest generations seen."""

    def __init__(self, pods: Pods, generations: NewestGenerations) -> None:
        self._pods = pods
        self._generations = generations

    def check(self, request: OpenedRequest) -> None:
        """Refused where nothing would be done for the request; nothing is read or written for that."""
        if request.verb == "admit":
            return
        if request.verb not in ("provision", "render"):
            self.commanded_pod(request)
            return
        if request.verb == "provision":
            self.check_newest(request)
        record = self._pods.get(request.ref.channel)
        if record is not None:
            self.check_commander(record, request)

    def commanded_pod(self, request: OpenedRequest) -> PodRecord:
        """The pod that the request is about; Refused unless its signer may command it."""
        record = self._pods.get(request.ref.channel)
        if record is None:
            raise Refused("no such pod here", rule="unknown-pod")
        self.check_commander(record, request)
        return record

    def check_commander(self, record: PodRecord, request: OpenedRequest) -> None:
        """The keys that may command a pod were pinned by its first bundle; Refused for any other."""
        if request.signer not in record.commanders:
            raise Refused(f"{request.signer} may not command this pod", rule="commander")

    def check_newest(self, request: OpenedRequest) -> None:
        """A pod's generations only grow, also when the store was set back; Refused otherwise."""
        record = self._pods.get(request.ref.channel)
        newest = max(
            self._generations.newest(request.ref.channel), -1 if record is None else record.generation
        )
        if request.generation <= newest:
            raise superseded(request.generation, newest)


def superseded(generation: int, newest: int) -> Refused:
    """What a request is told that is older than one that was taken."""
    return Refused(
        f"generation {generation} came after {newest}",
        rule="generation",
        hint="a newer deploy won, or this machine's clock is behind",
    )

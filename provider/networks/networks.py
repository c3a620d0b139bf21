# SPDX-License-Identifier: Apache-2.0
"""The networks of this cluster: what is asked of one is decided by the core, kept, and then answered.

An answer that tells of a change is sent after the change is written. Where it is not known whether a
write stands, what was remembered of the copy counts no more and is read again; a write of that time
that arrives late finds another version and changes nothing.
"""

import logging
import math
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field

import trio

from trustedpods.protocol.errors import (
    CopiesDiffer,
    NetworkFailure,
    Refused,
    RemoteProtocolError,
    TrustedPodsError,
)
from trustedpods.protocol.ids import Address, address_bytes, keccak256
from trustedpods.protocol.messages.networks import (
    MAX_KEPT_NETWORKS,
    KeptNetwork,
    NetworkQuestion,
    ReadBody,
)
from trustedpods.protocol.networks import wire
from trustedpods.protocol.networks.documents import Answer
from trustedpods.protocol.networks.leases import LEASE_MS, Acquire, Milliseconds
from trustedpods.protocol.sealing.subjects import NetworkRef
from trustedpods.provider.cluster.api.errors import Conflict
from trustedpods.provider.cluster.networks.documents import NetworkLease, NetworkObject
from trustedpods.provider.cluster.objects.names import NETWORKS_NAMESPACE
from trustedpods.provider.core.networks import documents
from trustedpods.provider.core.networks.documents import NetworkState
from trustedpods.provider.core.networks.leases import aged
from trustedpods.provider.doors import SharedDoors
from trustedpods.provider.networks import rights, stored

_log = logging.getLogger(__name__)

MAX_REMEMBERED = 64
"""Networks whose copies are in memory, of 0.8 MiB at most; the others are read again."""

MAX_OF_FOUNDER = 8
"""Networks that one address founds at one provider: keys are free, but one person's mistake is bounded."""

MAX_TICKET_JUMP = 1 << 32
"""How far ahead of this cluster's own a ticket may be: other clusters have seen other attempts."""

TELL_AGAIN_S = 5.0
"""After a Lease object could not be written."""


@dataclass(slots=True)
class _Network:
    """One network in memory. Without `read`, `state` is what was known before a write that failed."""

    turn: trio.Lock = field(default_factory=trio.Lock)
    read: bool = False
    state: NetworkState | None = None
    data: bytes = b""
    version: str | None = None

    def forget_copy(self) -> None:
        """Keep of what is remembered only when a grant ends: a grant that is read again begins anew."""
        assert self.state is not None
        self.read, self.data, self.state = False, b"", NetworkState(self.state.lease)


class Networks:
    """Answers questions about networks, one after another for each of them."""

    def __init__(self, doors: SharedDoors) -> None:
        self._doors = doors
        self._networks: OrderedDict[str, _Network] = OrderedDict()
        self._to_tell: dict[NetworkObject, NetworkLease | None] = {}
        self._leases: dict[NetworkObject, NetworkLease] = {}
        """The Lease objects that stand, or are about to."""
        self._told = trio.Event()

    async def answer(self, ref: NetworkRef, body: NetworkQuestion, signer: Address) -> Answer:
        """What *signer* is answered.

        Refused where it may not ask, NetworkFailure where nobody can say now.
        """
        network = object_of(ref, body.network)
        kept = self._remembered(network.name)
        async with kept.turn:
            if isinstance(body, ReadBody):
                kept.read = False  # what a person did to the cluster itself is seen by whoever compares
            state = await self._state(kept, network)
            now = self._doors.now()
            question = wire.question_of(body, state.copy, signer, now)
            await trio.to_thread.run_sync(rights.check, ref, state.copy, question, signer, now)
            _check_ticket(state, question)
            decided, answer = documents.answer(state, question, signer, _now())
            await self._keep(kept, network, decided)
        self._tell(network, state, decided)
        return answer

    async def names(self) -> list[KeptNetwork]:
        """Who founded which networks: all that strangers learn. One that was edited by hand is left out."""
        found = []
        for one in await self._doors.cluster.kept_networks():
            with suppress(ValueError):
                found.append(KeptNetwork(founder=bytes.fromhex(one.founder[2:]), name=one.network))
        return sorted(found, key=lambda one: (one.founder, one.name))[:MAX_KEPT_NETWORKS]

    def _remembered(self, name: str) -> _Network:
        kept = self._networks.setdefault(name, _Network())
        self._networks.move_to_end(name)
        if len(self._networks) > MAX_REMEMBERED:
            self._make_room(name)
        return kept

    def _make_room(self, name: str) -> None:
        """Forget the network but *name* that was asked about longest ago, of those that nobody holds.

        Of those before it that somebody holds the end of the grant stays, and no copy: else many questions
        about other networks would let a dead holder's lease never end. They are MAX_KEPT_NETWORKS at most.
        """
        for idle, held in list(self._networks.items()):
            if idle == name or held.turn.locked():
                continue
            if held.state is None or aged(held.state.lease, _now()).grant is None:
                del self._networks[idle]
                return
            held.forget_copy()

    async def _state(self, kept: _Network, network: NetworkObject) -> NetworkState:
        if kept.read and kept.state is not None:
            return kept.state
        try:
            found = await self._doors.cluster.network_document(network.name)
            read = NetworkState() if found is None else stored.from_bytes(found.data, _now())
        except RemoteProtocolError as error:
            raise CopiesDiffer(
                "what this cluster keeps of the network was changed by hand, and is no document any more",
                where=error.where,
                rule="copies",
                hint=f"its operator deletes the Secret {network.name} in {NETWORKS_NAMESPACE}; then the "
                "network's founder runs `trustedpods state repair --from` another cluster",
            ) from error
        if found is None:
            if kept.version is not None:  # a removal of which nobody heard, or a person's
                self._tell_of(network, None)
            kept.state, kept.data, kept.version = read, b"", None
        else:
            read = stored.taken_up(read, kept.state)
            if kept.state is None:  # the grant of an earlier run of the daemon: it ends with this one's clock
                self._tell(network, NetworkState(), read)
            kept.state = read
            kept.data, kept.version = found.data, found.version
        kept.read = True
        return kept.state

    async def _keep(self, kept: _Network, network: NetworkObject, decided: NetworkState) -> None:
        """Write what changed; until it stands for sure, nothing of it is remembered."""
        data = b"" if decided.empty else stored.to_bytes(decided)
        if data == kept.data:
            kept.state = decided
            return
        if kept.version is None:
            await self._check_room(network)
        kept.read = False
        try:
            version = await self._written(network, data, kept.version)
        except Conflict as error:
            raise NetworkFailure(
                "somebody else changed what is kept of the network", where=error.where, hint="ask again"
            ) from error
        kept.read, kept.state, kept.data, kept.version = True, decided, data, version

    async def _written(self, network: NetworkObject, data: bytes, version: str | None) -> str | None:
        """The version that the network's object has now; None where there is no data and so no object."""
        if data:
            return await self._doors.cluster.keep_network_document(network, data, version)
        if version is not None:
            await self._doors.cluster.remove_network_document(network, version)
        return None

    async def _check_room(self, network: NetworkObject) -> None:
        founders = [one.founder for one in await self._doors.cluster.kept_networks()]
        if len(founders) >= MAX_KEPT_NETWORKS:
            raise Refused(f"this provider keeps {MAX_KEPT_NETWORKS} networks already", rule="networks")
        if founders.count(network.founder) >= MAX_OF_FOUNDER:
            raise Refused(f"{network.founder} has {MAX_OF_FOUNDER} networks here already", rule="networks")

    # ---- for people -----------------------------------------------------------------------------

    def _tell(self, network: NetworkObject, before: NetworkState, now: NetworkState) -> None:
        grant, was = now.lease.grant, before.lease.grant
        if grant == was:
            return
        if grant is None:
            self._tell_of(network, None)
            return
        clock, told = self._doors.clock(), self._leases.get(network)
        renewed = told is not None and was is not None and was.fence == grant.fence
        lease = NetworkLease(
            holder=f"{grant.attempt.who} at {grant.command.machine}",
            lasts_s=LEASE_MS // 1000,
            acquired=told.acquired if told is not None and renewed else clock,
            renewed=clock,
            transitions=grant.fence,
        )
        self._tell_of(network, lease)

    def _tell_of(self, network: NetworkObject, lease: NetworkLease | None) -> None:
        self._leases.pop(network, None)
        if lease is not None:
            self._leases[network] = lease
        self._to_tell[network] = lease
        self._told.set()

    async def keep_telling(self) -> None:
        """Write Lease objects as leases change; the last word counts, and a failure delays no answer.

        That of a holder who died goes with the end of its grant, though nobody asks. Those that an earlier
        run of the daemon left are taken up first.
        """
        taken_up = False
        while True:
            taken_up = taken_up or await self._take_up_leases()
            if not taken_up:
                await trio.sleep(TELL_AGAIN_S)
                continue
            with trio.move_on_after(self._until_an_end_s()):
                await self._told.wait()
            self._told = trio.Event()
            for network in [one for one in self._leases if self._left(one) <= 0]:
                self._tell_of(network, None)
            failed = False
            for network, lease in list(self._to_tell.items()):
                del self._to_tell[network]
                try:
                    await self._doors.cluster.tell_network_lease(network, lease)
                except TrustedPodsError as error:
                    _log.warning("the Lease %s cannot be written: %s", network.name, error)
                    self._to_tell.setdefault(network, lease)
                    failed = True
            if failed:
                self._told.set()
                await trio.sleep(TELL_AGAIN_S)

    async def _take_up_leases(self) -> bool:
        """Whether the Lease objects that stand are seen through: it stopped before it could write some.

        That of a network that nobody holds goes. A holder of then has a full duration from now on.
        """
        try:
            for network in await self._doors.cluster.networks_with_lease():
                kept = self._remembered(network.name)
                async with kept.turn:
                    try:
                        state = await self._state(kept, network)
                    except CopiesDiffer:
                        state = NetworkState()  # nobody can hold what is no document
                    if state.lease.grant is None:
                        self._tell_of(network, None)
        except NetworkFailure as error:
            _log.warning("the Leases of networks cannot be read: %s", error)
            return False
        except TrustedPodsError as error:
            _log.warning("the Leases of an earlier run stay until their networks are asked about: %s", error)
        return True

    def _until_an_end_s(self) -> float:
        """How long until the first grant of which a Lease object tells ends; for ever where there is none."""
        return max(0, min((self._left(one) for one in self._leases), default=math.inf)) / 1000

    def _left(self, network: NetworkObject) -> int:
        """Milliseconds that the network's present grant is still good for."""
        kept = self._networks.get(network.name)
        grant = None if kept is None or kept.state is None else kept.state.lease.grant
        return 0 if grant is None else grant.ends - _now()


def object_of(ref: NetworkRef, name: str) -> NetworkObject:
    """How a network's objects are called: by its name and its founder, as others may have the same name."""
    mark = keccak256(address_bytes(ref.publisher) + ref.salt).hex()[:12]
    return NetworkObject(f"network-{name}-{mark}", ref.publisher.lower(), name)


def _check_ticket(state: NetworkState, question: object) -> None:
    """Nobody may count on to the end of all tickets."""
    if isinstance(question, Acquire) and question.attempt.ticket > state.lease.ticket + MAX_TICKET_JUMP:
        raise Refused(f"{question.attempt.ticket} is no ticket of this network", rule="ticket")


def _now() -> Milliseconds:
    return Milliseconds(int(trio.current_time() * 1000))

# SPDX-License-Identifier: Apache-2.0
"""Freezes and thaws replicas by the agent of their node (`deploy/kube/netpol/frozen`), over its unix socket.

A freeze is a lease: it is asked for again and again, and the agent thaws what was not for `LEASE_S`. It also
thaws whatever anybody ends, as the kernel ends nothing that is frozen.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import trio

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.units import MIB
from trustedpods.provider.cluster.freezer.listening import Listener, parse_listeners
from trustedpods.provider.cluster.networks.node_socket import NodeProgram

LEASE_S = 20
"""For how long the agent keeps what it froze, unasked: a few renewals may be late on a busy machine."""

ANSWER_LIMIT_S = 10.0
"""A pod is frozen within milliseconds; the kernel is given two seconds for each."""

MAX_ANSWER = 1024 * 1024
"""Some 80 bytes for each pod of a node."""

MAX_REASON = 256
"""Of what keeps an agent from paging out: a path and some words."""

OTHERS_S = 0.5
"""Nodes without any replica that is asked for are given so long once all are told of: one may hang."""

_AGENT = NodeProgram("the node's agent", "netpol agent", ANSWER_LIMIT_S, MAX_ANSWER)


@dataclass(frozen=True, slots=True)
class FrozenView:
    """A replica as its node has it: whether it is frozen, and the memory that it holds, in whole MiB.

    One that `restores` gets at its thaw the CPU that it had at its freeze, whatever its node did meanwhile.
    """

    frozen: bool
    memory_mib: int
    restores: bool = False


@dataclass(frozen=True, slots=True)
class NodeMemory:
    """Of one node, in bytes."""

    total: int
    available: int


@dataclass(frozen=True, slots=True)
class FreezerAnswer:
    """What one agent says of the replicas of its node that it was asked about, by uid.

    `paging`: "on" where it pages frozen replicas out, "off", or why it cannot.
    """

    replicas: Mapping[str, FrozenView]
    memory: NodeMemory
    listening: Mapping[str, tuple[Listener, ...]] = field(default_factory=dict)
    paging: str = "off"


@dataclass(frozen=True, slots=True)
class Freezer:
    """The agents of all nodes; without any nothing is frozen. NetworkFailure where one does not answer."""

    sockets: Sequence[Path] = ()

    @property
    def there(self) -> bool:
        """Whether any node has one."""
        return bool(self.sockets)

    async def freeze(self, uids: Collection[str]) -> list[FreezerAnswer]:
        """Freeze these replicas, or keep them frozen, for `LEASE_S`; what is not told as frozen is not.

        NetworkFailure where a node does not answer and one of them may be there.
        """
        return await self._ask("freeze", uids)

    async def keep(self, uids: Collection[str]) -> tuple[list[FreezerAnswer], list[NetworkFailure]]:
        """As `freeze`, of many pods: beside what the nodes tell why others did not."""
        return await self._answers("freeze", uids)

    async def thaw(self, uids: Collection[str]) -> None:
        """When this returns none of them is frozen, wherever it is; NetworkFailure where one may still be."""
        answers = await self._ask("thaw", uids)
        still = [uid for one in answers for uid, view in one.replicas.items() if view.frozen]
        if still:
            raise NetworkFailure(f"{len(still)} replicas are not thawed", where="the node's agent")

    async def size(self, uids: Collection[str]) -> dict[str, FrozenView]:
        """How these replicas are now; those that no node has are left out."""
        answers = await self._ask("size", uids)
        return {uid: view for one in answers for uid, view in one.replicas.items()}

    async def known(self, uids: Collection[str]) -> dict[str, FrozenView]:
        """The same of those nodes that answer."""
        answers, _ = await self._answers("size", uids)
        return {uid: view for one in answers for uid, view in one.replicas.items()}

    async def listening(self, uids: Collection[str]) -> dict[str, tuple[Listener, ...]]:
        """Where their programs take TCP connections; replicas that no agent sees into are left out."""
        answers, _ = await self._answers("listening", uids)
        return {uid: listeners for one in answers for uid, listeners in one.listening.items()}

    async def paging(self) -> list[str]:
        """Of each node whether its agent pages out; NetworkFailure where one does not answer."""
        question = json.dumps({"verb": "size", "pods": []}).encode()
        return [parse_answer(await _AGENT.ask(path, question), str(path)).paging for path in self.sockets]

    async def _ask(self, verb: str, uids: Collection[str]) -> list[FreezerAnswer]:
        """One that is away counts where a replica is missing."""
        found, failures = await self._answers(verb, uids)
        told = {uid for one in found for uid in one.replicas}
        if failures and not told.issuperset(uids):
            raise failures[0]
        return found

    async def _answers(
        self, verb: str, uids: Collection[str]
    ) -> tuple[list[FreezerAnswer], list[NetworkFailure]]:
        """Ask every agent, as they know which node a replica is on; until all replicas are told of."""
        question = {"verb": verb, "pods": sorted(uids), "seconds": LEASE_S}
        said, found = json.dumps(question).encode(), list[FreezerAnswer]()
        failures, missing = list[NetworkFailure](), set(uids)

        async def ask(path: Path) -> None:
            try:
                found.append(parse_answer(await _AGENT.ask(path, said), str(path)))
            except NetworkFailure as error:
                failures.append(error)
                return
            missing.difference_update(found[-1].replicas)
            if not missing:
                nursery.cancel_scope.deadline = trio.current_time() + OTHERS_S

        async with trio.open_nursery() as nursery:
            for path in self.sockets:
                nursery.start_soon(ask, path)
        return found, failures


def parse_answer(answer: bytes, where: str) -> FreezerAnswer:
    """`{"pods": {UID: {frozen, memory, restores}}, "memory": {total, available}}`, all of it in bytes.

    Whoever asked where replicas listen finds `"listens": {UID: ["ADDRESS:PORT"]}` beside them.

    NetworkFailure where it makes no sense: who answers so is no agent, and cannot be relied on.
    """
    try:
        told = json.loads(answer)
        replicas = {uid: _view(**one) for uid, one in told["pods"].items()}
        memory = _memory(**told["memory"])
        listening = {uid: parse_listeners(one) for uid, one in told.get("listens", {}).items()}
        paging = _short(told.get("paging", "off"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NetworkFailure(f"no answer of the node's agent: {error!r}", where=where) from None
    return FreezerAnswer(replicas, memory, listening, paging)


def _short(text: object) -> str:
    if not isinstance(text, str) or len(text) > MAX_REASON or not text.isprintable():
        raise ValueError("a reason is a short text")
    return text


def _memory(total: int, available: int) -> NodeMemory:
    if not all(type(one) is int and one >= 0 for one in (total, available)):
        raise ValueError(f"memory {total}, {available}")
    return NodeMemory(total, available)


def _view(frozen: bool, memory: int, restores: bool = False) -> FrozenView:
    """An agent of before knows nothing of CPU, and restores none."""
    if type(frozen) is not bool or type(restores) is not bool or type(memory) is not int or memory < 0:
        raise ValueError(f"{frozen}, {memory}, {restores}")
    return FrozenView(frozen, memory // MIB, restores)

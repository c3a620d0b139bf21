# SPDX-License-Identifier: Apache-2.0
"""Lets the node's agent lead the facade's ports to replicas (`deploy/kube/netpol/ways`), over a unix socket.

Each question says all that is wanted, so it may be repeated; a later one is never overtaken by an earlier one
(`turn`). The agent gives leases: what nobody asks for ends by itself, and the facade carries it.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.cluster.networks.node_socket import NodeProgram
from trustedpods.provider.core.facade_ways.ways import (
    LEASE_S,
    LedConnection,
    WayLoad,
    WaysTold,
    WaysWanted,
)

ANSWER_LIMIT_S = 5.0
"""The kernel is told within milliseconds."""

MAX_ANSWER = 64 * 1024 * 1024
"""Some 150 bytes for each connection that is told one by one."""

_AGENT = NodeProgram("the node's agent", "netpol agent", ANSWER_LIMIT_S, MAX_ANSWER)


@dataclass(frozen=True, slots=True)
class KernelWaysDoor:
    """The agent of the facade's own node (`facade.ways_socket` in the daemon's configuration)."""

    socket: Path

    async def tell(
        self, wanted: WaysWanted, cut: Iterable[LedConnection] = (), *, connections: bool = False
    ) -> WaysTold:
        """See `WaysDoor`."""
        question = {
            "turn": time.monotonic_ns(),  # of this machine, whichever daemon it is
            "ways": [asdict(one) for one in wanted.ways],
            "owners": {str(port): pod for port, pod in wanted.owners.items()},
            "perSource": wanted.per_source,
            "seconds": LEASE_S,
            "cut": [_named(one) for one in cut],
            "list": connections,
        }
        answer = await _AGENT.ask(self.socket, json.dumps(question).encode())
        return parse_told(answer, str(self.socket))


def _named(one: LedConnection) -> dict[str, object]:
    return {
        "source": f"{one.source}:{one.source_port}",
        "port": one.port,
        "address": one.address,
        "target": one.target,
    }


def parse_told(answer: bytes, where: str) -> WaysTold:
    """`{"leading": [PORT], "loads": [{port, address, open, moved, newest}], "connections": [...]}`.

    NetworkFailure where the agent says what is wrong, or its answer makes no sense: nothing is known then.
    """
    try:
        told = json.loads(answer)
        wrong = told.get("wrong")
        loads = tuple(_load(one) for one in told["loads"])
        connections = tuple(_connection(one) for one in told.get("connections", ()))
        leading = frozenset(_number(port) for port in told["leading"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NetworkFailure(f"no answer of the node's agent: {error!r}", where=where) from None
    if wrong:
        raise NetworkFailure(f"the node's agent leads no connections: {str(wrong)[:200]}", where=where)
    return WaysTold(leading, loads, connections)


def _load(one: dict[str, object]) -> WayLoad:
    newest = one["newest"]
    age = None if newest == -1 else _number(newest)
    return WayLoad(
        _number(one["port"]), _text(one["address"]), _number(one["open"]), _number(one["moved"]), age
    )


def _connection(one: dict[str, object]) -> LedConnection:
    source, _, port = _text(one["source"]).rpartition(":")
    numbers = int(port), _number(one["port"]), _number(one["target"]), _number(one["age"])
    return LedConnection(source, numbers[0], numbers[1], _text(one["address"]), numbers[2], numbers[3])


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"not a number: {value!r}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a text: {value!r}")
    return value

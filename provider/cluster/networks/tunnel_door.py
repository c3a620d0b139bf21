# SPDX-License-Identifier: Apache-2.0
"""The program that makes tunnels of pods (`deploy/tunnel`), over its unix socket: the door to it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.provider.cluster.networks.node_socket import NodeProgram

ANSWER_LIMIT_S = 30.0
"""A tunnel is made within some 100 ms; after a start of the program all of them are."""

MAX_ANSWER = 4 * 1024 * 1024
"""Some 100 bytes for each peer of each pod."""

_PROGRAM = NodeProgram("the tunnels' program", "trustedpods-tunnel", ANSWER_LIMIT_S, MAX_ANSWER)


@dataclass(frozen=True, slots=True)
class TunnelView:
    """A tunnel that stands, for so many seconds; `heard` is how long ago each peer was, -1 for never."""

    since_s: int
    heard: Mapping[str, int]


class TunnelDoor:
    """One call tells all tunnels that there are to be, and brings how they are."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def keep(self, wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, TunnelView]:
        """Let those be, by namespace, and no others; how each is that stands.

        NetworkFailure where the program does not answer: what stood goes on. RemoteProtocolError where its
        answer makes no sense.
        """
        answer = await _PROGRAM.ask(self._path, json.dumps(wanted).encode())
        return parse_tunnels(answer, str(self._path))


def parse_tunnels(answer: bytes, where: str) -> dict[str, TunnelView]:
    """The answer: `{NAMESPACE: {since, heard: {NODE: SECONDS}}}`."""
    try:
        return {name: _view(**one) for name, one in json.loads(answer).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise RemoteProtocolError(f"not a list of tunnels: {error!r}", where=where) from None


def _view(since: int, heard: dict[str, int]) -> TunnelView:
    if not all(type(one) is int for one in (since, *heard.values())):
        raise ValueError(f"times {since}, {heard}")
    return TunnelView(since, heard)

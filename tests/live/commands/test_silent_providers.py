# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="no-untyped-call"
"""Rows that cost nothing and point at a listener which accepts and never answers: what they cost a deploy."""

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from threading import Thread
from time import monotonic, sleep

import pytest
import trio

from tests.live.clients.publisher import Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.money import GAS_WEI, Bank
from trustedpods.contracts.client import Chain
from trustedpods.contracts.eip712 import address_of
from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.localnet.market.files import read_market
from trustedpods.protocol.messages.provider import LeastTerms, Prices
from trustedpods.publisher.core.dialling import HEAD_START_S

pytestmark = pytest.mark.live

SILENT = 5
TURNS = 3
MOST_TURNS = 8
"""Where turns of a busy machine differ: the middle of more turns is steadier. The least is not, as one that
is much quicker than all others is on one side alone."""

MOST = 1.3
"""Of what the same deploy takes without them."""

BLOCK_S = 1.0
"""Of the localnet's chain. A deploy waits for a block, how long depends on where in its second it begins, and
rows are written in the moment of one: each turn begins at another moment, so that both sides see all."""

SLOWER_S = 0.5
"""What a busy machine may add to a search beyond its one wait."""

FREE = Prices(cpu_core_ms=0, memory_mib_s=0, storage_mib_s=0, egress_kib=0, ingress_kib=0, scale=80)


class Listener:
    """Accepts, says nothing, and counts who came."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        self.accepted: list[socket.socket] = []
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                self.accepted.append(self._socket.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for one in self.accepted:
            one.close()


@dataclass
class SilentRows:
    """Rows of owners of their own, cheaper than all, which come and go."""

    market: LiveLocalnet
    keys: list[bytes]
    listener: Listener

    def register(self) -> None:
        """Fund the owners and write their rows, like the honest one's but for price and address."""
        for key in self.keys:
            Bank(self.market).rpc("anvil_setBalance", address_of(key), hex(GAS_WEI))
        trio.run(self._all, True)

    def remove(self) -> None:
        trio.run(self._all, False)

    async def _all(self, there: bool) -> None:
        async with Chain(self.market.settings.rpc, read_market(self.market.state)) as chain:
            [honest, *_] = await chain.providers()
            async with trio.open_nursery() as nursery:
                for key in self.keys:
                    if there:
                        nursery.start_soon(chain.register, key, self._row(key, honest))
                    else:
                        nursery.start_soon(chain.remove, key, 1)

    def _row(self, key: bytes, honest: RegistryRow) -> RegistryRow:
        peer = honest.endpoint.rpartition("/")[2]
        return replace(
            honest,
            owner=address_of(key),
            daemon=1,
            prices=FREE,
            least=LeastTerms(deposit=0, unlock_s=60, idle_mib=0),
            endpoint=f"/ip4/127.0.0.1/tcp/{self.listener.port}/p2p/{peer}",
        )


@contextmanager
def silent_rows(market: LiveLocalnet) -> Iterator[SilentRows]:
    rows = SilentRows(market, [secrets.token_bytes(32) for _ in range(SILENT)], Listener())
    try:
        yield rows
    finally:
        rows.listener.close()


@dataclass(frozen=True)
class Turn:
    """One deploy: how long its search for a provider took, and all the rest of the command."""

    select_s: float
    rest_s: float


def deploy(publisher: Publisher, home: Path, number: int) -> Turn:
    """By somebody who remembers nobody: a home of its own."""
    home.mkdir()
    sleep(BLOCK_S * number / MOST_TURNS)
    began = monotonic()
    steps = publisher.deploy(publisher.manifest("hello", unique("quick")), home=home).result["steps"]
    whole_s = monotonic() - began
    select_s = float(next(step["seconds"] for step in steps if step["name"] == "select"))
    return Turn(select_s, whole_s - select_s)


def usual_rest(turns: list[Turn]) -> float:
    """What a turn takes beside its search."""
    return median(one.rest_s for one in turns)


def test_five_silent_providers_cost_a_deploy_one_short_wait(
    market: LiveLocalnet, publisher: Publisher, tmp_path: Path
) -> None:
    """In turns with the same deploy without them. What they change is the search alone: each is dialled, all
    are waited for together, and nothing else waits for them."""
    without: list[Turn] = []
    among: list[Turn] = []
    with silent_rows(market) as rows:
        for number in range(MOST_TURNS):
            without.append(deploy(publisher, tmp_path / f"without-{number}", number))
            rows.register()
            try:
                before = len(rows.listener.accepted)
                among.append(deploy(publisher, tmp_path / f"among-{number}", number))
                assert len(rows.listener.accepted) == before + SILENT
            finally:
                rows.remove()
            if number + 1 >= TURNS and usual_rest(among) <= MOST * usual_rest(without):
                break
    told = f"without them {without}, among them {among}"
    waited = median(one.select_s for one in among) - median(one.select_s for one in without)
    assert 0 < waited <= HEAD_START_S + SLOWER_S, told
    assert 1 + waited / median(one.select_s + one.rest_s for one in without) <= MOST, told
    assert usual_rest(among) <= MOST * usual_rest(without), told

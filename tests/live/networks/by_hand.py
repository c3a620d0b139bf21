# SPDX-License-Identifier: Apache-2.0
"""A member who asks daemons what no client of ours would, and a state of an older version."""

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import msgpack
import trio

from tests.live.networks.people import People
from trustedpods.protocol.codec import encode, unpack
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import address_bytes
from trustedpods.protocol.networks.content import NetworkCluster
from trustedpods.protocol.networks.documents import NOTHING, Answer, Document, Generation, Prepare
from trustedpods.protocol.networks.leases import NO_TICKET, Acquire, Attempt, Command, Fence, Granted, Release
from trustedpods.protocol.networks.members import MemberChange, NetworkName
from trustedpods.protocol.networks.sealed_documents import parse_body, seal_body
from trustedpods.protocol.units import UnixSeconds
from trustedpods.publisher.context import read_market
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.keyfile import load_key
from trustedpods.publisher.market.market import MarketAccount, open_account
from trustedpods.publisher.networks.clusters import NetworkClusters
from trustedpods.publisher.networks.states import first_content, founded_body, own_card
from trustedpods.publisher.verbs.networks.places import opened, parse_place

T = TypeVar("T")
OLDER = 3
"""A schema before this one, from which all later changes are still to be made."""


class _Nobody:
    """What verbs tell is told to nobody."""

    def line(self, text: str) -> None: ...

    def warning(self, text: str) -> None: ...

    def progress(self, name: str, done: int, total: int) -> None: ...


class ByHand:
    """The founder of a network in both clusters, with a client of the test's own."""

    def __init__(self, people: People, name: str) -> None:
        self.people, self.name = people, name

    def writes_without_a_lease(self) -> dict[str, str]:
        """What each daemon answers to a first document of somebody who never asked for the lease."""

        async def ask(account: MarketAccount, clusters: NetworkClusters) -> dict[str, str]:
            document = Document(Generation(1), self._older(account, 1))
            asked = Prepare(self._attempt(account), Fence(1), NOTHING, document)
            return {name: _kind(await door.ask(asked)) for name, door in clusters.doors.items()}

        return self._run(ask)

    def writes_with_an_old_number(self) -> dict[str, str]:
        """The same to the next document of the holder of both leases, whose number is one too low."""

        async def ask(account: MarketAccount, clusters: NetworkClusters) -> dict[str, str]:
            told, base = {}, await clusters.read()
            what = Command("by hand", "a test", UnixSeconds(int(time.time())))
            number = Generation(base.generation + 1)
            document = Document(number, self._older(account, number, parse_body(base.body).changes))
            for name, door in clusters.doors.items():
                granted = await door.ask(Acquire(self._attempt(account), what))
                assert isinstance(granted, Granted)
                assert granted.fence > 1
                asked = Prepare(granted.attempt, Fence(granted.fence - 1), base, document)
                told[name] = _kind(await door.ask(asked))
                await door.ask(Release(granted.attempt, aside=False))
            assert await clusters.read() == base
            return told

        return self._run(ask)

    def write_as_older(self) -> str:
        """Write the next state as the version before wrote it; the rule of the refusal, if it is one."""

        async def write(account: MarketAccount, clusters: NetworkClusters) -> str:
            base = await clusters.read()
            changes = parse_body(base.body).changes if base.body else None
            try:
                async with clusters.locked("an older version") as held:
                    await held.write(self._older(account, base.generation + 1, changes))
            except Refused as error:
                return str(error.rule)
            return ""

        return self._run(write)

    def _older(
        self, account: MarketAccount, generation: int, changes: Sequence[MemberChange] | None = None
    ) -> bytes:
        publisher, network = account.publisher, NetworkName(account.publisher.address, self.name)
        found = [
            NetworkCluster(name=name, owner=address_bytes(one.owner), daemon=one.daemon or 0)
            for name, one in parse_place(self.name, self.people.named).clusters.items()
        ]
        content = first_content(publisher, network, found)
        changes = changes or parse_body(founded_body(publisher, network, content)).changes
        fields = unpack(encode(content)) | {"schema_version": OLDER}
        packed = msgpack.packb({key: fields[key] for key in sorted(fields)}, use_bin_type=True)
        team, epoch = (changes, [own_card(publisher)]), content.metadata.epoch
        return seal_body(publisher.key, network, Generation(generation), OLDER, *team, packed, epoch=epoch)

    def _attempt(self, account: MarketAccount) -> Attempt:
        return Attempt(NO_TICKET, secrets.token_hex(16), account.publisher.address)

    def _run(self, work: Callable[[MarketAccount, NetworkClusters], Awaitable[T]]) -> T:
        async def run() -> T:
            async with self._opened() as (account, clusters):
                return await work(account, clusters)

        return trio.run(run)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[tuple[MarketAccount, NetworkClusters]]:
        market = read_market(self.people.pair.market_file)
        key = load_key(str(self.people.person.key), warn=lambda _: None)
        place = parse_place(self.name, self.people.named)
        async with (
            open_account(market, key) as account,
            opened(account, place, Journal(_Nobody())) as (_, clusters),
        ):
            yield account, clusters


def _kind(answer: Answer) -> str:
    return type(answer).__name__

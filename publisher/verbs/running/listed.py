# SPDX-License-Identifier: Apache-2.0
"""`list`: all pods of a key, found on chain, and what each of them does as its provider says.

Nothing that is kept here is needed: the chain tells of every channel that the key opened, and the provider of
the pod's name, which is believed where it makes the channel's id.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from trustedpods.contracts.records import Channel, OpenedChannel
from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.errors import NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.ids import Address, PodRef, channel_hex
from trustedpods.protocol.messages.pod import PodStatus, StatusBody
from trustedpods.protocol.messages.provider import TrustClass
from trustedpods.protocol.net import open_host
from trustedpods.protocol.units import TokenUnits
from trustedpods.publisher.attestation.policies import policy_for
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Session, next_generation, open_session
from trustedpods.publisher.market.unlisted import identified
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.pods import ListedPod, ListResult
from trustedpods.publisher.state.names import known_names, remember_name
from trustedpods.publisher.verbs.pods import statement_of
from trustedpods.publisher.visits import records

if TYPE_CHECKING:
    from trustedpods.protocol.net import Host

PROVIDERS_AT_ONCE = 8
"""Machines that are dialled and verified side by side: each costs a handshake and a check of signatures."""

PODS_AT_ONCE = 16
"""Questions to one of them at once."""


@dataclass(slots=True)
class _Pod:
    """One channel, and what is found out about its pod."""

    opened: OpenedChannel
    live: Channel | None
    name: str | None = None
    ref: PodRef | None = None
    daemon: int | None = None
    trust: TrustClass | None = None
    policy: str | None = None
    status: PodStatus | None = None
    urls: tuple[str, ...] = ()
    error: TrustedPodsError | None = None

    def result(self) -> ListedPod:
        """As it is told."""
        live, status = self.live, self.status
        return ListedPod(
            name=self.name,
            channel=self.opened.channel,
            owner=self.opened.owner,
            daemon=self.daemon,
            phase="ended" if live is None else None if status is None else status.phase,
            reason="" if status is None else status.reason,
            replicas=None if status is None else status.replicas,
            ready=None if status is None else status.ready,
            urls=self.urls,
            left=None if live is None else TokenUnits(max(0, live.left - (status.accrued if status else 0))),
            runway_s=None if status is None else status.runway_s,
            unlock_at=None if live is None else live.unlock_at or None,
            error=None if self.error is None else ErrorReport.of(self.error),
            cpu_milli=0 if status is None else status.cpu_milli,
            memory_mib=0 if status is None else status.memory_mib,
            parked_at=None if status is None else status.parked_at,
        )


@dataclass(frozen=True, slots=True)
class _Machine:
    """One daemon under one policy: those of its pods that are asked about over one connection."""

    row: RegistryRow
    trust: TrustClass
    policy: str | None
    pods: list[_Pod] = field(default_factory=list, compare=False)


async def list_pods(account: MarketAccount, journal: Journal, *, ended: bool = False) -> ListResult:
    """Every pod of the key, by name; with *ended* those too whose channel is closed.

    A pod whose provider does not answer, or no longer verifies, has that as its `error` and stops no other.
    Raises `NetworkFailure` when the chain does not answer.
    """
    pods = await _channels(account)
    standing = [pod for pod in pods if pod.live is not None]
    await _identify(account, pods, standing, journal)
    rows = await account.market.rows()
    async with open_host(None, []) as host:
        await _ask_all(_Asking(account, host), standing, rows)
    listed = [pod.result() for pod in (pods if ended else standing)]
    return ListResult(
        account.token, tuple(sorted(listed, key=lambda pod: (pod.name is None, pod.name or "")))
    )


async def _channels(account: MarketAccount) -> list[_Pod]:
    """All that the key ever opened, each with its state on chain."""
    by_owner: dict[Address, list[OpenedChannel]] = defaultdict(list)
    for one in await account.chain.opened_by(account.publisher.address):
        by_owner[one.owner].append(one)
    found = []
    for owner, opened in by_owner.items():
        live = await account.chain.channels(owner, [one.channel for one in opened])
        found += [_Pod(one, channel) for one, channel in zip(opened, live, strict=True)]
    return found


async def _identify(
    account: MarketAccount, pods: Sequence[_Pod], standing: Sequence[_Pod], journal: Journal
) -> None:
    """Names from what is kept here, and of those that stand the salt too, kept here or not."""
    names = known_names(state_dir())
    for pod in pods:
        pod.name = names.get(channel_hex(pod.opened.channel))
    for pod in standing:
        record = records.load(channel_hex(pod.opened.channel), journal)
        if record is not None:
            pod.name, pod.trust, pod.policy = record.name, record.trust, record.policy
        known = await identified(account, pod.opened, pod.name)
        if known is None:
            pod.error = NetworkFailure(
                "the transaction that opened its channel is not told, so its provider cannot be asked",
                hint="give a node that keeps old transactions in the market file",
            )
            continue
        pod.ref, pod.daemon = known.ref, known.daemon


async def _ask_all(asking: "_Asking", pods: Sequence[_Pod], rows: Sequence[RegistryRow]) -> None:
    """One connection for all pods at a daemon; a pod whose daemon is not known is asked about at each."""
    by_owner: dict[Address, list[RegistryRow]] = defaultdict(list)
    for row in rows:
        by_owner[row.owner].append(row)
    machines: dict[tuple[Address, int, TrustClass, str | None], _Machine] = {}
    for pod in pods:
        if pod.ref is None:
            continue
        places = [row for row in by_owner[pod.opened.owner] if pod.daemon in (None, row.daemon)]
        if not places:
            pod.error = Refused(
                f"the provider {pod.opened.owner} is no longer in the registry",
                rule="no-provider",
                hint=f"`trustedpods close {channel_hex(pod.opened.channel)}` takes the deposit back",
            )
        for row in places:
            trust = pod.trust or row.trust
            key = (row.owner, row.daemon, trust, pod.policy)
            machines.setdefault(key, _Machine(row, trust, pod.policy)).pods.append(pod)
    limit = trio.CapacityLimiter(PROVIDERS_AT_ONCE)
    async with open_nursery() as nursery:
        for machine in machines.values():
            nursery.start_soon(asking.machine, machine, limit)


@dataclass(frozen=True, slots=True)
class _Asking:
    """Asks machines for pods; what fails is the pods' result."""

    account: MarketAccount
    host: "Host"

    async def machine(self, machine: _Machine, limit: trio.CapacityLimiter) -> None:
        """Verify it, and ask for all pods that are there."""
        async with limit:
            try:
                policy = policy_for(self.account.market, machine.trust, machine.policy)
                async with open_session(self.host, self.account.publisher, machine.row, policy) as session:
                    await self._pods(session, machine.pods)
            except TrustedPodsError as error:
                for pod in machine.pods:
                    _failed(pod, error)

    async def _pods(self, session: Session, pods: Sequence[_Pod]) -> None:
        at_once = trio.CapacityLimiter(PODS_AT_ONCE)
        async with open_nursery() as nursery:
            for pod in pods:
                nursery.start_soon(self._pod, session, pod, at_once)

    async def _pod(self, session: Session, pod: _Pod, at_once: trio.CapacityLimiter) -> None:
        assert pod.ref is not None
        async with at_once:
            try:
                status = await session.ask("status", pod.ref, StatusBody(), next_generation(), PodStatus)
                statement = statement_of(status, session, pod.opened.channel)
            except TrustedPodsError as error:
                _failed(pod, error)
                return
        pod.status, pod.error, pod.daemon = status, None, session.row.daemon
        pod.urls = () if statement is None else tuple(end.url for end in statement.endpoints)
        self._learn_name(pod, status.name)

    def _learn_name(self, pod: _Pod, name: str) -> None:
        """A name that was forgotten here, if it is the one that makes the channel."""
        if pod.name is not None or not name or pod.daemon is None:
            return
        if self.account.publisher.ref(pod.opened.owner, pod.daemon, name).channel == pod.opened.channel:
            pod.name = name
            remember_name(state_dir(), channel_hex(pod.opened.channel), name)


def _failed(pod: _Pod, error: TrustedPodsError) -> None:
    """It counts where no other daemon of the owner's has answered for the pod, or said more."""
    if pod.status is None and (pod.error is None or isinstance(pod.error, Refused)):
        pod.error = error

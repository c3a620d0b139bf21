# SPDX-License-Identifier: Apache-2.0
"""The activator: holds requests to sleeping pods, has the pods woken, and lets the requests through.

A process of its own, so that a restart of the daemon cuts nothing that it holds. It listens on
one unix socket per slot, to which HAProxy turns when a slot has no replica; the sockets outlive it
(`socket_activation`), so that its own restart refuses nobody. It parses nothing; when it gives up on a
request it sends a page that says why and closes.

    python -m trustedpods.provider.facade.activator.activator --sockets DIR --slots 256 --wake-socket PATH

For slots of h2 that page is the one thing that it knows of HTTP/2; those of tcp are just closed.
"""

import argparse
import logging
import os
import resource
import select
import signal
import socket
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.facade import pages
from trustedpods.provider.facade.activator import wake
from trustedpods.provider.facade.activator.h2_page import greeting, h2_response, has_request
from trustedpods.provider.facade.activator.socket_activation import KeptSockets
from trustedpods.provider.facade.activator.splice import close, dial, say, splice, until_seen
from trustedpods.provider.facade.activator.wake import WakeAddress, WakeAnswer, WakeRefusal
from trustedpods.provider.facade.haproxy.config import socket_path
from trustedpods.provider.facade.pools import Pools, SlotProtocol
from trustedpods.provider.unix_socket import open_listener

if TYPE_CHECKING:
    from trio_typing import TaskStatus

BACKLOG = 4096
"""Connections that may wait on one slot's socket while the process is started again."""

DIAL_S = 1.0
"""One attempt to connect to a pod that is said to be ready."""

SWEEP_S = 0.5
"""How soon it is noticed that a client has gone away while its request is held."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ActivatorConfig:
    """`max_held` requests may wait per slot and `max_total` may wait or run, `wake_limit` seconds long.

    Of one pod no more than `max_per_pod` wait or run, and never more than are still free (`has_room`).

    A pod that is said to be ready may refuse for `reach` seconds before the daemon is asked again.
    At SIGTERM nothing new is taken, and what there is gets `drain` seconds to end.
    """

    sockets: Path
    pools: Pools
    wake_socket: Path
    max_held: int = 256
    max_total: int = 4096
    max_per_pod: int = 1024
    wake_limit: float = 60.0
    drain: float = 10.0
    reach: float = 3.0


@dataclass(slots=True)
class _Ask:
    """One question to the daemon, shared by all who wait for the slot."""

    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    done: trio.Event = field(default_factory=trio.Event)
    answer: WakeAnswer | None = None


@dataclass(slots=True)
class _Slot:
    number: int
    protocol: SlotProtocol
    pod: int
    waiting: int = 0
    open: int = 0
    ask: _Ask | None = None


def has_room(pod: int, total: int, config: ActivatorConfig) -> bool:
    """Whether a pod that has so many connections of *total*, waiting or running, may have one more.

    The share is what is free: one greedy pod gets half of all, two a third each, and there is always as much
    left for the next one's first request. Dynamic thresholds: Choudhury and Hahne, IEEE/ACM ToN 6 (2), 1998.
    """
    return pod < min(config.max_per_pod, config.max_total - total)


class Activator:
    """All slots of one facade."""

    def __init__(self, config: ActivatorConfig, kept: KeptSockets) -> None:
        self._config = config
        self._kept = kept
        self._total = 0
        self._of_pod: Counter[int] = Counter()
        self._empty = trio.Event()
        self._stopping = False
        self._held: dict[int, trio.CancelScope] = {}
        self._asks: trio.Nursery

    async def serve(
        self, *, stop: trio.Event, task_status: "TaskStatus[None]" = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Listen until *stop*, then drain."""
        config = self._config
        paths = [socket_path(config.sockets, number) for number in range(config.pools.total)]
        listeners = [await self._open(path) for path in paths]
        self._kept.drop_rest()
        async with trio.open_nursery() as self._asks, trio.open_nursery() as handlers:
            async with trio.open_nursery() as listening:
                for number, listener in enumerate(listeners):
                    slot = _Slot(number, config.pools.protocol(number), pod=number)
                    listening.start_soon(self._listen, listener, slot, handlers)
                self._asks.start_soon(self._sweep)
                task_status.started()
                await stop.wait()
                listening.cancel_scope.cancel()
            _log.info("stopping: %d connections", self._total)
            await self._drained()
            handlers.cancel_scope.cancel()
            self._asks.cancel_scope.cancel()

    async def _open(self, path: Path) -> trio.SocketListener:
        """The socket at *path*: the one of the process before, with what waits there, or a new one."""
        kept = self._kept.take(path)
        if kept is not None:
            return trio.SocketListener(trio.socket.from_stdlib_socket(kept))
        listener = await open_listener(path, backlog=BACKLOG)
        self._kept.keep(path, listener.socket.fileno())
        return listener

    async def _drained(self) -> None:
        self._stopping = True
        if self._total:
            with trio.move_on_after(self._config.drain):
                await self._empty.wait()

    async def _listen(self, listener: trio.SocketListener, slot: _Slot, handlers: trio.Nursery) -> None:
        async with listener:
            while True:
                try:
                    accepted, _ = await listener.socket.accept()
                except OSError as full:
                    _log.error("slot %d: cannot accept: %s", slot.number, full)
                    await trio.sleep(0.1)
                    continue
                sock = socket.socket(fileno=accepted.detach())
                sock.setblocking(False)
                handlers.start_soon(self._handle, sock, slot)

    async def _handle(self, client: socket.socket, slot: _Slot) -> None:
        full = not has_room(self._of_pod[slot.pod], self._total, self._config)
        self._count(slot, 1)
        try:
            if full or slot.waiting >= self._config.max_held:
                await _refuse(client, slot, pages.too_many_waiting())
                return
            with self._holding(client, slot) as scope:
                reached = await self._reach(slot)
            if scope.cancelled_caught:
                return
            if isinstance(reached, pages.Page):
                await _refuse(client, slot, reached)
                return
            try:
                await splice(client, reached)
            finally:
                close(reached)
        except Exception:  # noqa: BLE001 - a fault with one connection must not end the others
            _log.exception("slot %d: a connection failed", slot.number)
        finally:
            close(client)
            self._count(slot, -1)
            if self._stopping and self._total == 0:
                self._empty.set()

    def _count(self, slot: _Slot, change: int) -> None:
        self._total += change
        slot.open += change
        self._of_pod[slot.pod] += change

    def _belongs(self, slot: _Slot, pod: int) -> None:
        """The slot is the pod's, and what it has counts as the pod's."""
        if slot.pod != pod:
            self._of_pod[slot.pod] -= slot.open
            self._of_pod[pod] += slot.open
            slot.pod = pod

    @contextmanager
    def _holding(self, client: socket.socket, slot: _Slot) -> Iterator[trio.CancelScope]:
        """Count as waiting; the scope is cancelled when the client goes away."""
        slot.waiting += 1
        with trio.CancelScope() as scope:
            self._held[client.fileno()] = scope
            try:
                yield scope
            finally:
                del self._held[client.fileno()]
                slot.waiting -= 1
                if slot.waiting == 0 and slot.ask is not None:
                    slot.ask.scope.cancel()

    async def _reach(self, slot: _Slot) -> socket.socket | pages.Page:
        """A connection to the slot's pod, or the page to send instead."""
        reached: socket.socket | pages.Page | None = None
        with trio.move_on_after(self._config.wake_limit):
            while reached is None:
                answer = await self._answer(slot)
                if isinstance(answer, WakeRefusal):
                    reached = pages.PARKED if answer.parked else pages.cannot_wake(answer.retry_after)
                elif answer is not None:
                    self._belongs(slot, slot.number if answer.pod is None else answer.pod)
                    reached = await _connect(answer, self._config.reach)
        return pages.waking_too_long(self._config.wake_limit) if reached is None else reached

    async def _answer(self, slot: _Slot) -> WakeAnswer | None:
        ask = slot.ask
        if ask is None:
            ask = slot.ask = _Ask()
            self._asks.start_soon(self._ask, slot, ask)
        await ask.done.wait()
        return ask.answer

    async def _ask(self, slot: _Slot, ask: _Ask) -> None:
        """Ask until there is an answer: while the daemon is away, what is held stays held."""
        pause = 0.02
        try:
            with ask.scope:
                while ask.answer is None:
                    try:
                        ask.answer = await wake.ask(self._config.wake_socket, slot.number)
                    except NetworkFailure as away:
                        _log.warning("slot %d: %s", slot.number, away)
                        await trio.sleep(pause)
                        pause = min(1.0, pause * 2)
        finally:
            slot.ask = None
            ask.done.set()

    async def _sweep(self) -> None:
        """Let go of requests whose client went away; they have sent data, so reading cannot tell."""
        while True:
            await trio.sleep(SWEEP_S)
            poll = select.poll()
            for number in self._held:
                poll.register(number, 0)
            for number, _ in poll.poll(0):
                self._held[number].cancel()


async def _refuse(client: socket.socket, slot: _Slot, page: pages.Page) -> None:
    """Send the page in the slot's protocol; plain TCP has none."""
    if slot.protocol is SlotProtocol.HTTP:
        await say(client, page.raw())
    elif slot.protocol is SlotProtocol.H2:
        with suppress(OSError):
            client.send(greeting())
        await until_seen(client, has_request)
        await say(client, h2_response(page))


async def _connect(address: WakeAddress, reach: float) -> socket.socket | None:
    """Connect to a ready pod, which may refuse for a moment."""
    pod, pause = None, 0.005
    with trio.move_on_after(reach):
        while pod is None:
            pod = await dial(address.address, address.port, DIAL_S)
            if pod is None:
                await trio.sleep(pause)
                pause = min(0.25, pause * 2)
    return pod


async def run(config: ActivatorConfig) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = trio.Event()
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            activator = Activator(config, KeptSockets(os.environ))
            await nursery.start(lambda task_status: activator.serve(stop=stop, task_status=task_status))
            _log.info("ready: %d slots in %s", config.pools.total, config.sockets)
            async for _ in signals:
                stop.set()
                break


def main(argv: Sequence[str] | None = None) -> int:
    """Command line of the process."""
    parser = argparse.ArgumentParser(
        prog="trustedpods-activator", description="Hold requests to sleeping pods."
    )
    parser.add_argument("--sockets", type=Path, required=True, help="folder of the slots' sockets")
    parser.add_argument("--slots", type=int, required=True, help="of http")
    parser.add_argument("--h2-slots", type=int, default=0)
    parser.add_argument("--tcp-slots", type=int, default=0)
    parser.add_argument("--wake-socket", type=Path, required=True, help="where the daemon answers")
    parser.add_argument("--max-held", type=int, default=256, help="waiting requests per slot")
    parser.add_argument("--max-total", type=int, default=4096, help="connections in all")
    parser.add_argument("--max-per-pod", type=int, default=1024, help="connections of one pod")
    parser.add_argument("--wake-limit", type=float, default=60.0, help="seconds that a request may wait")
    parser.add_argument("--drain", type=float, default=10.0, help="seconds to end in after SIGTERM")
    given = vars(parser.parse_args(argv))
    pools = Pools(given.pop("slots"), given.pop("h2_slots"), given.pop("tcp_slots"))
    config = ActivatorConfig(pools=pools, **given)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    _raise_file_limit(config)
    trio.run(run, config)
    return 0


def _raise_file_limit(config: ActivatorConfig) -> None:
    """As far as all slots and connections may need; where it may not be raised so far, that is logged."""
    wanted = config.pools.total + 2 * config.max_total + 256
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if resource.RLIM_INFINITY != allowed < wanted:
        _log.warning(
            "%d slots with their connections may need %d open files, and %d are allowed: raise LimitNOFILE",
            config.pools.total, wanted, allowed,
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""Answers pods' questions: who asks is known by the address, which no pod can forge."""

import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.provider.cluster.views import PodView
from trustedpods.provider.core.names.opened import HostAnswer
from trustedpods.provider.core.names.own_pods import own_host
from trustedpods.provider.dns import wire
from trustedpods.provider.names.openings import NamesUnknown

_log = logging.getLogger(__name__)

KNOWN_WITHIN_S = 4.0
"""A pod may ask before the API server has shown its address; its C library waits five seconds."""

MAX_AT_ONCE = 256
"""Questions in the works: each holds a task and, at most, a question to the upstream."""

MAX_OF_ONE = 16
"""The same of one address: one pod does not take the resolver from all others."""


class Answers(Protocol):
    """What is asked of who knows names."""

    async def resolve(self, namespace: str, label: str, host: str) -> HostAnswer:
        """See `Openings.resolve`."""
        ...

    async def allowed(self, namespace: str, label: str, host: str) -> bool:
        """See `Openings.allowed`."""
        ...


class PodResolver:
    """*openings* answer for hosts of the world, *own_pods* for names of the publisher's own pods.

    *find* gives the replica that has an address, as soon as one is known.
    """

    def __init__(
        self, openings: Answers, own_pods: Answers, find: Callable[[str], Awaitable[PodView]]
    ) -> None:
        self._openings = openings
        self._own_pods = own_pods
        self._find = find
        self._at_once = 0
        self._of_one: dict[str, int] = {}

    async def reply(self, data: bytes, address: str, *, tcp: bool = False) -> bytes | None:
        """The answer to *data* from *address*; None where none is given: no question, or too many of them."""
        if self._at_once >= MAX_AT_ONCE or self._of_one.get(address, 0) >= MAX_OF_ONE:
            return None
        asked = wire.question(data)
        if asked is None:
            return None
        self._at_once += 1
        self._of_one[address] = self._of_one.get(address, 0) + 1
        try:
            return await self._answer(asked, address, tcp=tcp)
        finally:
            self._at_once -= 1
            self._of_one[address] -= 1
            if not self._of_one[address]:
                del self._of_one[address]

    async def _answer(self, asked: wire.PodQuestion, address: str, *, tcp: bool) -> bytes:
        try:
            pod = await self._pod(address)
            if pod is None:
                return wire.answer(asked, "unknown", tcp=tcp)
            answers = self._openings if own_host(asked.host) is None else self._own_pods
            if not asked.addresses:
                there = await answers.allowed(pod.namespace, pod.label, asked.host)
                return wire.answer(asked, "there" if there else "unknown", tcp=tcp)
            told = await answers.resolve(pod.namespace, pod.label, asked.host)
        except NamesUnknown:
            return wire.answer(asked, "unknown", tcp=tcp)
        except TrustedPodsError as error:
            _log.info("a question of a pod is not answered: %s", error)
            return wire.answer(asked, "failed", tcp=tcp)
        return wire.answer(asked, "there", told.addresses, told.ttl_s, tcp=tcp)

    async def _pod(self, address: str) -> PodView | None:
        with trio.move_on_after(KNOWN_WITHIN_S) as scope:
            found = await self._find(address)
        return None if scope.cancelled_caught else found

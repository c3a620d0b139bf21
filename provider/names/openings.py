# SPDX-License-Identifier: Apache-2.0
"""What is open to each pod by name: asked of the upstream, written as a policy, renewed, and shut again.

The cluster holds all of it: which hosts a pod may call stands in its policy `names`, what is open in
`egress-names`. So a daemon that starts anew goes on where the last one ended.
"""

import logging
from collections.abc import Awaitable, Callable, Collection

import trio

from trustedpods.protocol.errors import NetworkFailure, Refused, TrustedPodsError
from trustedpods.provider.cluster.objects import named_egress
from trustedpods.provider.cluster.objects.named_egress import Hosts
from trustedpods.provider.core import egress
from trustedpods.provider.core.names import opened as names
from trustedpods.provider.core.names.opened import HostAnswer, Opened
from trustedpods.provider.dns.upstream import Upstream
from trustedpods.provider.doors import Doors

_log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often ends are looked for: an address is shut at most this much after its time."""

STANDS_WITHIN_S = 3.0
"""From a written policy to the kernel's rules: some 50 ms if the agent has time. A pod asks again later."""

ASK_AGENT_S = 0.01
"""Between two questions whether the rules stand."""


class Life:
    """One namespace: the hosts allowed, as last read, and what is open. One writer at a time."""

    def __init__(self, label: str, opened: Opened) -> None:
        self.label = label
        self.opened = opened
        self.hosts: Hosts = {}
        self.lock = trio.Lock()


class NamesUnknown(Exception):
    """The pod may not ask for this name, or may not call what it means."""


PoliciesSeen = Callable[[], Awaitable[int | None]]
"""See `TrafficDoor.policies_seen`."""


async def nobody_says() -> int | None:
    """Of a network that does not tell which policies hold: nothing is waited for."""
    return None


class Openings:
    """All of them. *running* gives the namespaces in which a replica runs: only theirs are renewed."""

    def __init__(
        self,
        doors: Doors,
        upstream: Upstream,
        least_ttl_s: int,
        running: Callable[[], Collection[str]],
        policies_seen: PoliciesSeen = nobody_says,
    ) -> None:
        self._doors = doors
        self._upstream = upstream
        self._least = least_ttl_s
        self._running = running
        self._policies_seen = policies_seen
        self._lives: dict[str, Life] = {}

    async def resolve(self, namespace: str, label: str, host: str) -> HostAnswer:
        """The addresses of *host*, open to the pods of *namespace* when this returns.

        NamesUnknown where they may not have it. NetworkFailure or Refused where nobody knows, or no policy
        could be written: nothing that was open is shut by that.
        """
        life = await self._life(namespace, label)
        await self._read_hosts(namespace, life)
        if host not in life.hosts:
            raise NamesUnknown(host)
        known = names.remembered(life.opened, host, self._doors.now())
        return known or await self._ask(namespace, life, host)

    async def allowed(self, namespace: str, label: str, host: str) -> bool:
        """Whether the pods of *namespace* may ask for *host* at all."""
        life = await self._life(namespace, label)
        await self._read_hosts(namespace, life)
        return host in life.hosts

    async def run(self) -> None:
        """Shut what is over, and renew what running pods have open, for ever."""
        while True:
            await self.look()
            await trio.sleep(LOOK_S)

    async def load(self) -> None:
        """Take over what the last daemon opened."""
        for namespace, label in await self._doors.cluster.policies_named(named_egress.OPENED):
            await self._life(namespace, label)

    async def look(self) -> None:
        """One look at all that is open."""
        running = self._running()
        async with trio.open_nursery() as nursery:
            for namespace, life in list(self._lives.items()):
                now = self._doors.now()
                if names.due(life.opened, now) or names.without_ended(life.opened, now) != life.opened:
                    nursery.start_soon(self._tend, namespace, life, namespace in running)
                elif not life.opened and namespace not in running:
                    del self._lives[namespace]

    async def _tend(self, namespace: str, life: Life, running: bool) -> None:
        """Renew what is due, then shut what is over; what fails is tried at the next look."""
        try:
            await self._read_hosts(namespace, life)
            for host in names.due(life.opened, self._doors.now()):
                if running and host in life.hosts:
                    await self._renew(namespace, life, host)
            async with life.lock:
                kept = names.without_ended(life.opened, self._doors.now())
                if kept != life.opened:
                    await self._write(namespace, life, kept)
        except TrustedPodsError as error:
            _log.warning("%s: names are not tended: %s", life.label, error)

    async def _renew(self, namespace: str, life: Life, host: str) -> None:
        try:
            await self._ask(namespace, life, host)
        except NamesUnknown:
            return  # it ends with its time
        except NetworkFailure as error:
            _log.info("%s: a name is not renewed: %s", life.label, error)

    async def _ask(self, namespace: str, life: Life, host: str) -> HostAnswer:
        """Ask the upstream, and open what it says."""
        found = await self._upstream.addresses(host)
        closed = self._doors.config.cluster.closed_networks
        addresses = egress.outside(found.addresses, closed)[: names.MAX_ADDRESSES]
        if not addresses:
            raise NamesUnknown(host)
        told = HostAnswer(tuple(addresses), names.lifetime(found.ttl_s, self._least))
        async with life.lock:
            now = self._doors.now()
            opened = names.with_answer(names.without_ended(life.opened, now), host, told, now)
            if opened is None:
                raise Refused(
                    f"more than {names.MAX_OPENED} addresses of one pod are open by name", rule="names"
                )
            await self._write(namespace, life, opened)
        return told

    async def _write(self, namespace: str, life: Life, opened: Opened) -> None:
        """Write the policy, and wait until the rules stand if it opens something. Needs the life's lock."""
        new = opened.keys() - life.opened.keys()
        if not life.hosts:
            life.opened = {}
            return
        made = named_egress.opened_policy(namespace, life.label, life.hosts, opened)
        version = await self._doors.cluster.write_policy(made)
        life.opened = opened
        if new:
            await self._until_stands(version)

    async def _until_stands(self, version: int) -> None:
        with trio.move_on_after(STANDS_WITHIN_S):
            while True:
                seen = await self._policies_seen()
                if seen is None or seen >= version:
                    return  # None: a network that does not say; its first packets may be dropped
                await trio.sleep(ASK_AGENT_S)
        raise NetworkFailure("the network agent has not applied the policy", where="network agent")

    async def _life(self, namespace: str, label: str) -> Life:
        if namespace not in self._lives:
            opened = await self._doors.cluster.find_policy(namespace, named_egress.OPENED)
            self._lives.setdefault(namespace, Life(label, named_egress.opened_of(opened)))
        return self._lives[namespace]

    async def _read_hosts(self, namespace: str, life: Life) -> None:
        found = await self._doors.cluster.find_policy(namespace, named_egress.ASKS)
        life.hosts = {} if found is None else named_egress.hosts_of(found)

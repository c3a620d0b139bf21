# SPDX-License-Identifier: Apache-2.0
"""Crash points: every call of a door and every transaction of the store, entered and left.

A recording run finds them. A second run stops at one of them as a killed process does: from then on
no call of any door goes through, whatever `finally` blocks and handlers would like to do.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from trustedpods.protocol.errors import NetworkFailure


@dataclass
class Points:
    """The points that were passed, with what *note* said at each.

    At number *stop_at* all stops; at *act_at*, *act* happens first.
    """

    stop_at: int | None = None
    act_at: int | None = None
    act: Callable[[], None] = lambda: None
    note: Callable[[], object] = lambda: None
    names: list[str] = field(default_factory=list)
    notes: list[object] = field(default_factory=list)
    dead: trio.Event = field(default_factory=trio.Event)
    armed: bool = False

    async def passed(self, name):
        if not self.armed:
            return
        if self.dead.is_set():
            await trio.sleep_forever()
        number = len(self.names)
        self.names.append(name)
        self.notes.append(self.note())
        if number == self.act_at:
            self.act()
        if number == self.stop_at:
            self.dead.set()
            await trio.sleep_forever()

    async def run(self, work):
        """Run *work* to its end or to the point where it is killed."""
        self.armed = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._kill, nursery.cancel_scope)
            try:
                await work()
            except* NetworkFailure:  # a caller's connection may end a moment before he does
                if not self.dead.is_set():
                    raise
            nursery.cancel_scope.cancel()

    async def _kill(self, scope):
        await self.dead.wait()
        scope.cancel()


class Door:
    """A door whose every call is two crash points."""

    def __init__(self, name, door, points):
        self._name = name
        self._door = door
        self._points = points

    def __getattr__(self, name):
        found = getattr(self._door, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def call(*arguments, **options):
            words = [self._name, name]
            if self._name == "store":  # which query or change it is
                words.append(arguments[0].__name__)
            place = ".".join(words)
            await self._points.passed(f"{place} entered")
            result = await found(*arguments, **options)
            await self._points.passed(f"{place} left")
            return result

        return call

# SPDX-License-Identifier: Apache-2.0
"""This node's facade while its daemon does not lead: when it is emptied, and what its activator is told."""

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from trustedpods.protocol.errors import TrustedPodsError

_log = logging.getLogger(__name__)

REST_WITHIN_S = 5.0
"""HAProxy answers in milliseconds; one that hangs keeps no daemon from standing by."""


async def _no_rest() -> bool:
    return False


@dataclass(frozen=True)
class OwnFacade:
    """This node's facade, while another daemon leads, or may lead.

    `rest` has it lead nowhere, as the other one may give its pods' addresses to other tenants; False where it
    is not this daemon's to empty. `refuse` tells the activator so, for whom it holds, and never returns.
    """

    rest: Callable[[], Awaitable[bool]] = _no_rest
    refuse: Callable[[], Awaitable[None]] = trio.sleep_forever


NO_FACADE = OwnFacade()


async def rests(facade: OwnFacade) -> bool | None:
    """Whether it leads nowhere now; None while nobody can say: it is asked again."""
    try:
        with trio.fail_after(REST_WITHIN_S):
            return await facade.rest()
    except (TrustedPodsError, trio.TooSlowError) as error:
        _log.warning("the facade may still lead to pods: %s", str(error) or "no answer")
        return None


class Silence:
    """A daemon waits: its facade rests once another one is seen to act, or could have begun to.

    That is *limit_s* seconds from now, if nobody can say. Wakes are refused then, by a task of *nursery*.
    """

    def __init__(self, facade: OwnFacade, nursery: trio.Nursery, limit_s: float) -> None:
        self._facade, self._nursery = facade, nursery
        self._end = trio.current_time() + limit_s
        self._rests: bool | None = None

    def another(self) -> None:
        """Somebody said that another daemon acts, or did."""
        self._end = -math.inf

    async def look(self) -> None:
        """Often: rest if it is time, until HAProxy has done it."""
        if self._rests is None and trio.current_time() >= self._end:
            self._rests = await rests(self._facade)
            if self._rests:
                self._nursery.start_soon(self._facade.refuse)

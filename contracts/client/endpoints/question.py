# SPDX-License-Identifier: Apache-2.0
"""One request to several nodes at once."""

import threading
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from trustedpods.contracts.client.endpoints.agreement import Json, OneAnswer, is_flat, judge
from trustedpods.contracts.client.endpoints.http import Hiccup, HttpTransport
from trustedpods.contracts.client.endpoints.standings import NodeStandings
from trustedpods.protocol.errors import NetworkFailure

REST_S = 1.0
"""How long an estimate waits for the other nodes, once enough have answered."""

_NO_ANSWER = "says what is no answer"

Ask: TypeAlias = Callable[[HttpTransport], Json]
"""One request to one node."""


class NodeQuestion:
    """One request to all nodes; answers are there as they come, in that order.

    *compared* ones must be alike, and show who differs.
    """

    def __init__(
        self,
        nodes: Mapping[int, HttpTransport],
        standings: NodeStandings,
        method: str,
        ask: Ask,
        *,
        agree: int,
        compared: bool = True,
    ) -> None:
        self._standings, self._method, self._ask = standings, method, ask
        self._compared, self._agree, self._numbers = compared, agree if compared else 1, nodes.keys()
        self._came = threading.Condition()
        self._answers: list[OneAnswer] = []
        self._silent = standings.silent()
        for number, node in nodes.items():
            if standings.begin(number):
                threading.Thread(target=self._run, args=(number, node), daemon=True).start()
            else:
                self._take(OneAnswer(number, trouble="it holds up too many requests", passing=True))

    def wait(self, enough: Callable[[list[OneAnswer]], bool], *, for_all: bool = False) -> list[OneAnswer]:
        """The answers once they are *enough*, or all are there: each node has its own limit.

        With *for_all* also those are waited for, `REST_S` at most, that were not silent before.
        """
        whole = set(self._numbers)
        with self._came:
            self._came.wait_for(lambda: not self._missing(whole) or enough(self._answers))
            if for_all and not self._came.wait_for(lambda: not self._missing(whole - self._silent), REST_S):
                late = self._missing(whole - self._silent)
            else:
                late = set()
            answers = list(self._answers)
        self._standings.note_late(late, REST_S)
        return answers

    def _missing(self, nodes: Collection[int]) -> set[int]:
        return set(nodes) - {one.node for one in self._answers}

    def _run(self, number: int, node: HttpTransport) -> None:
        try:
            value = self._ask(node)
            answer = OneAnswer(number, value) if is_flat(value) else OneAnswer(number, trouble=_NO_ANSWER)
        except NetworkFailure as error:
            answer = OneAnswer(number, trouble=error.what, passing=isinstance(error, Hiccup))
        except Exception as error:  # noqa: BLE001 (of a client that was closed meanwhile, say: no answer)
            answer = OneAnswer(number, trouble=type(error).__name__)
        finally:
            self._standings.ended(number)
        self._take(answer)

    def _take(self, answer: OneAnswer) -> None:
        with self._came:
            self._answers.append(answer)
            compared = list(self._answers)
            self._came.notify_all()
        if not self._compared:  # who answers at all is not silent any more
            compared = [answer]
        self._standings.note(self._method, judge(self._method, compared, self._agree))

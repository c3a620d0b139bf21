# SPDX-License-Identifier: Apache-2.0
"""Several nodes as one transport: what enough of them say alike is believed, and nothing else is told.

All are asked at once, each in a thread; the answer is there when enough agree, so that one that is silent
holds up nobody. "latest" becomes a block that enough of them have: two honest nodes are often a block apart.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from trustedpods.contracts.client.client_limits import ClientLimits
from trustedpods.contracts.client.endpoints.agreement import (
    BATCH,
    Json,
    NodesVerdict,
    OneAnswer,
    is_refusal,
    judge,
    middle,
    newest_shared,
    shared_refusal,
)
from trustedpods.contracts.client.endpoints.http import Hiccup, HttpTransport
from trustedpods.contracts.client.endpoints.question import Ask, NodeQuestion
from trustedpods.contracts.client.endpoints.standings import NodeStanding, NodeStandings
from trustedpods.contracts.client.errors import MALFORMED
from trustedpods.contracts.client.rpc.answers import quantity
from trustedpods.protocol.errors import NetworkFailure

_NEWEST_BLOCK: Final = ("latest", False)
_PLACE_OF_BLOCK: Final = {
    "eth_call": 1, "eth_getCode": 1, "eth_getBalance": 1, "eth_getTransactionCount": 1,
    "eth_getBlockByNumber": 0,
}  # fmt: skip
_ESTIMATES: Final = frozenset({"eth_gasPrice", "eth_maxPriorityFeePerGas", "eth_estimateGas"})
"""Of which honest nodes say different numbers: the middle one counts."""

DISAGREE = "nodes-disagree"
"""Rule of the failure where too few answers are alike."""

_WHICH: Final = "`trustedpods-provider doctor` says which node is silent or differs"

FORK_DEPTH = 8
"""Blocks below the newest shared one at which nodes are asked for a hash that enough of them have.

So far the newest block may also go back: nodes that are further behind are enough only while others are
silent, and what they show of a channel's money is of long ago.
"""


class SeveralNodes:
    """The nodes, of which *agree* must say the same; more than half where it is None."""

    def __init__(
        self,
        nodes: Sequence[HttpTransport],
        limits: ClientLimits,
        agree: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nodes, self._limits, self._clock = nodes, limits, clock
        self._agree = len(nodes) // 2 + 1 if agree is None else agree
        at_once = limits.reads_at_once + limits.writes_at_once  # callers that may all need the same node
        self._standings = NodeStandings([node.place for node in nodes], at_once, clock)
        self._head: tuple[float, Json] | None = None
        self._highest = 0
        self._lock = threading.Lock()
        self._heights: Mapping[int, int] = {}

    def standings(self) -> tuple[NodeStanding, ...]:
        """How each fares, as its last answers show."""
        return self._standings.told()

    def close(self) -> None:
        """Drop all connections."""
        for node in self._nodes:
            node.close()

    def answer(self, method: str, params: Sequence[object]) -> Json:
        """The answer that is believed. NetworkFailure where too few answered, or alike."""
        if method == "eth_sendRawTransaction":
            return self._handed_in(method, params)
        if method == "eth_blockNumber":
            newest = self._head_answer()
            return newest | {"result": newest["result"]["number"]}
        if method in _ESTIMATES or "pending" in params:
            return self._estimated(method, params)
        if method == "eth_getBlockByNumber" and tuple(params) == _NEWEST_BLOCK:
            return self._head_answer()
        if method == "eth_chainId" and self._agree == 1:
            return self._one_chain(method)
        place = _PLACE_OF_BLOCK.get(method)
        if place is not None and params[place] == "latest":
            shared = self._head_answer()["result"]["number"]
            params = [*params[:place], shared, *params[place + 1 :]]
        return self._agreed(method, _asking(method, params), _block_asked(method, params))

    def batch(self, requests: Sequence[Mapping[str, Any]]) -> Json:
        """The answers to many calls, each at a block that is named."""
        return self._agreed(BATCH, lambda node: node.batch(requests))

    # ---- the newest block that enough have ----

    def _head_answer(self) -> Json:
        """The block, kept for a moment: many reads at once ask for it once."""
        kept = self._head
        if kept is not None and self._clock() < kept[0] + self._limits.head_kept_s:
            return kept[1]
        found = self._find_head()
        number = quantity(found["result"]["number"])
        with self._lock:
            if self._agree > 1 and number < self._highest - FORK_DEPTH:
                raise Hiccup(
                    f"enough chain nodes share block {number} only, and block {self._highest} was there",
                    rule=DISAGREE,
                    hint=_WHICH,
                )
            self._highest = max(self._highest, number)
            self._head = (self._clock(), found)
        return found

    def _find_head(self) -> Json:
        asked = self._question("eth_blockNumber", _asking("eth_blockNumber", []), compared=False)
        answers = asked.wait(lambda found: len(_numbers(found)) >= self._agree, for_all=True)
        heights = _numbers(answers)
        shared = newest_shared(heights, self._agree)
        if shared is None:
            raise self._disagreement("eth_blockNumber", judge("eth_blockNumber", answers, self._agree))
        self._standings.note_behind(heights, shared)
        self._heights = heights
        method, first = "eth_getBlockByNumber", None
        for number in range(shared, max(shared - FORK_DEPTH, -1), -1):
            verdict = self._verdict(method, _asking(method, [hex(number), False]), number)
            if verdict.believed is not None and _is_block(verdict.believed.value, number):
                return verdict.believed.value
            first = first or verdict
            if verdict.answered < self._agree:
                break  # no fork: they are silent
        assert first is not None
        raise self._disagreement(method, first)

    # ---- ways to ask ----

    def _agreed(self, method: str, ask: Ask, block: int | None = None) -> Json:
        verdict = self._verdict(method, ask, block)
        if verdict.believed is None:
            raise self._disagreement(method, verdict)
        return verdict.believed.value

    def _verdict(self, method: str, ask: Ask, block: int | None = None) -> NodesVerdict:
        asked = self._question(method, ask, at=block)
        answers = asked.wait(lambda found: self._decided(judge(method, found, self._agree)))
        return judge(method, answers, self._agree)

    def _decided(self, verdict: NodesVerdict) -> bool:
        """Where one is enough a complaint of one is not: another stands in for it."""
        told = verdict.believed is not None and not verdict.vague
        return told and (bool(verdict.agreeing) or self._agree > 1)

    def _estimated(self, method: str, params: Sequence[object]) -> Json:
        """The middle of what they say; where it is no number, what the first one says."""
        asked = self._question(method, _asking(method, params), compared=False)
        answers = asked.wait(lambda found: len(found) >= self._agree, for_all=True)
        numbers = _numbers(answers)
        if len(numbers) >= self._agree:
            return {"jsonrpc": "2.0", "id": 0, "result": hex(middle(list(numbers.values())))}
        answered = [one for one in answers if one.trouble is None]
        refused = [one for one in answered if is_refusal(one.value.get("error"))]
        others = [one for one in answered if one.node not in numbers and one not in refused]
        if len(refused) >= self._agree:
            return shared_refusal([one.value for one in refused], self._agree)
        if len(others) >= self._agree:
            return others[0].value
        raise self._disagreement(method, judge(method, answers, self._agree))

    def _one_chain(self, method: str) -> Json:
        """Where nobody is outvoted, one of another chain would be believed later: all are asked once."""
        answers = self._question(method, _asking(method, []), compared=False).wait(lambda _: False)
        numbers = _numbers(answers)
        if len(set(numbers.values())) != 1:
            told = "; ".join(f"{self._nodes[node].place}: chain {said}" for node, said in numbers.items())
            if not told:
                raise self._disagreement(method, judge(method, answers, self._agree))
            raise NetworkFailure(f"the chain nodes are of several chains: {told}", rule=DISAGREE, hint=_WHICH)
        return {"jsonrpc": "2.0", "id": 0, "result": hex(next(iter(numbers.values())))}

    def _handed_in(self, method: str, params: Sequence[object]) -> Json:
        """To all: one that takes it is enough. What came of it is read as everything else is."""
        asked = self._question(method, _asking(method, params), compared=False)
        answers = asked.wait(lambda found: any(_taken(one) for one in found))
        answered = [one for one in answers if one.trouble is None]
        for one in [*filter(_taken, answered), *answered]:
            return one.value
        raise self._disagreement(method, judge(method, answers, self._agree))

    def _question(
        self, method: str, ask: Ask, *, at: int | None = None, compared: bool = True
    ) -> NodeQuestion:
        """To the nodes that had the block *at* when they were asked last, where those are enough."""
        if method == "eth_getTransactionReceipt" and self._head is not None:
            at = quantity(self._head[1]["result"]["number"])  # one that lags knows of no receipt yet
        having = [number for number, height in self._heights.items() if at is not None and height >= at]
        numbers = sorted(having) if len(having) >= self._agree else range(len(self._nodes))
        nodes = {number: self._nodes[number] for number in numbers}
        return NodeQuestion(nodes, self._standings, method, ask, agree=self._agree, compared=compared)

    def _disagreement(self, method: str, verdict: NodesVerdict) -> NetworkFailure:
        silent = "; ".join(f"{self._nodes[node].place}: {why}" for node, why in verdict.failing.items())
        # Answers that differ, as a connection that was dropped: at the next try it may be over.
        again = verdict.passing or verdict.answered >= self._agree
        return (Hiccup if again else NetworkFailure)(
            f"{verdict.most_alike} of {len(self._nodes)} chain nodes say the same of {method}, "
            f"{self._agree} must" + (f" ({silent})" if silent else ""),
            rule=DISAGREE,
            hint=_WHICH,
        )


def _asking(method: str, params: Sequence[object]) -> Ask:
    return lambda node: node.answer(method, params)


def _block_asked(method: str, params: Sequence[Any]) -> int | None:
    """The last block that an answer is about; None where it is about none in particular."""
    place = _PLACE_OF_BLOCK.get(method)
    named = params[0]["toBlock"] if method == "eth_getLogs" else None if place is None else params[place]
    return int(named, 16) if isinstance(named, str) and named.startswith("0x") else None


def _is_block(answer: Json, number: int) -> bool:
    """Nodes behind one address may know of the newest block, and not have it."""
    block = answer.get("result")
    return isinstance(block, dict) and block.get("number") == hex(number)


def _taken(answer: OneAnswer) -> bool:
    return answer.trouble is None and "result" in answer.value


def _numbers(answers: Sequence[OneAnswer]) -> dict[int, int]:
    """Of those that said a number."""
    found = {}
    for one in answers:
        try:
            found[one.node] = quantity(one.value["result"])
        except MALFORMED:
            continue
    return found
